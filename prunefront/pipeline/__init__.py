"""One stage's work, the same for all methods: evaluate each operating point, write its weights and its row."""
