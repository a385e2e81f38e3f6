"""The operator's command line, one module per group of commands. `dualsync.runtime.operations` does the work."""
