"""The worker's process: consumer, circuit breaker, heartbeat, controls."""
