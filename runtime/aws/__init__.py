"""Adapters to AWS: each implements an interface of `dualsync.runtime.ports`. No other package calls AWS."""
