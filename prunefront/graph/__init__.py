"""A network as a list of plain operations: what is compacted, counted and written as C."""
