"""The local cloud emulator, the emulated aws provider, and the commands `demo`, `serve` and `empty`."""
