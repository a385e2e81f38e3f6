"""Handlers of the emulated provider, one module per AWS service."""
