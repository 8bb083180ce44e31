"""Beside the pipeline: what people run by hand. No stage depends on it."""
