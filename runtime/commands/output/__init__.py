"""How results are shown: numbers and times, progress, the status screen, and the documents of `--json`."""
