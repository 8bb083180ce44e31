"""Weights of a sparse network in a small file: positions and values, coded by what is smallest for each array."""
