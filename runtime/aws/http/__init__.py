"""The HTTP client: connections, pool, signatures, retries."""
