"""The synchronisation of one key at a time: fast path, full check, decision, actions, echo."""
