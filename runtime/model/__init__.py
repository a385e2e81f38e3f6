"""Values without I/O: versions, ledger entries, records, conflict order."""
