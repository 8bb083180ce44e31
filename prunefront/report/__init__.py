"""The results as one page to read."""
