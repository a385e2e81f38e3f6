"""DynamoDB with provisioned capacity: writes above a rate are refused as DynamoDB refuses them."""

from __future__ import annotations

import json
import time

from tests.e2e.relays.http_relay import Answer, HttpRelay, Request, Send

WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")

REFUSAL = json.dumps(
    {
        "__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        "message": "The level of configured provisioned throughput for the table was exceeded.",
    }
).encode()
"""The service's answer ("Error handling with DynamoDB", Amazon DynamoDB Developer Guide); its status is 400."""


class ThrottledTable:
    """Passes all requests while there is no limit."""

    def __init__(self, endpoint: str) -> None:
        self._limit: float | None = None
        self._tokens = 0.0
        self._at = 0.0
        self.allowed = 0
        """Writes passed on since `limit`."""
        self.refused = 0
        """Writes refused since `limit`."""
        self._relay = HttpRelay(endpoint, self._decide)
        self.endpoint = self._relay.endpoint
        """Address for clients."""

    def limit(self, writes_per_second: float | None) -> None:
        """Allow this many writes per second from now on; None for any number."""
        self._tokens, self._at = writes_per_second or 0.0, time.monotonic()
        self._limit = writes_per_second
        if writes_per_second is not None:
            self.allowed = self.refused = 0

    def stop(self) -> None:
        """Close every connection and stop listening."""
        self._relay.stop()

    async def _decide(self, request: Request, send: Send) -> bytes:
        if self._limit is not None and request.headers.get("x-amz-target", "").rpartition(".")[2] in WRITES:
            now = time.monotonic()
            self._tokens = min(self._limit, self._tokens + (now - self._at) * self._limit)
            self._at = now
            if self._tokens < 1:
                self.refused += 1
                return Answer.of("400 Bad Request", REFUSAL, "application/x-amz-json-1.0").raw
            self._tokens -= 1
            self.allowed += 1
        return (await send()).raw
