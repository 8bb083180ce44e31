"""A network, its layers and outputs, and its weights in memory and in files."""
