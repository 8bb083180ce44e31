"""The submitted model in the formats of other runtimes, each file tried by its own; only the stage `export` runs it."""
