"""The commands: a stage of the pipeline or a tool each. They read, call the library and write."""
