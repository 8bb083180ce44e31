"""The commands: one per DVC stage. They read, call the core and write."""
