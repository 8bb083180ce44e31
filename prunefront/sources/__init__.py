"""A named source of examples and labels, made into prepared splits; only the stage `prepare` runs it."""
