"""The only modules that talk to AWS; each implements an interface of `dualsync.runtime.ports`, faked in
`tests/fakes`."""
