"""The operator's command line, one group of commands a file. The doing is in `dualsync.runtime.operations`."""
