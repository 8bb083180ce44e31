"""Scores to masks to counts, in plain NumPy."""
