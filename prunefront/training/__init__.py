"""Fitting: the step that keeps zeros, recipes, the trainer, and going on after an interruption."""
