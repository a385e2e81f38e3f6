"""The only modules that talk to AWS; each implements an interface of `runtime.ports` and has a fake in `tests/fakes`."""
