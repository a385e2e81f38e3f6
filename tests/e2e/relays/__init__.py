"""Relays on loopback between the real processes and the local cloud emulator, which inject network faults."""
