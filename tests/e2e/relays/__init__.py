"""Relays on loopback between the real processes and the local cloud emulator: they cut, stall, refuse, and repeat."""
