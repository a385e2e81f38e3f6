"""One suite for every implementation of `dualsync.runtime.ports`: what AWS's documentation says, asked of the real
edges over
HTTP and of the in-memory fakes alike. What a stand-in does otherwise is named where it is skipped, with the page that
decides."""
