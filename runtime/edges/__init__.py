"""The only modules that talk to AWS; each implements an interface of `runtime.ports`, faked in `tests/fakes`."""
