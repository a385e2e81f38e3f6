"""One suite for every implementation of `dualsync.runtime.ports`, after AWS's documentation.

It runs against the real adapters over HTTP and against the in-memory fakes. Where an emulator is known to differ, the
test that is skipped names the page that decides.
"""
