"""Limits of a direction's speed, which an operator may change while the workers run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from dualsync.runtime.model.objects import (
    Attributes,
    ObjectHead,
    Part,
    Precondition,
    PutResult,
    StartedUpload,
)
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.streamed_body import StreamedBody
from dualsync.runtime.ports import Bucket, Clock, ObjectReader
from dualsync.runtime.transfer.forwarding_bucket import ForwardingBucket

MAX_SLEEP_SECONDS = 5.0
"""Longest sleep in seconds, so that a lifted limit is felt soon."""


SHORTEST = 1e-4
"""Seconds not worth a sleep: less than this may not move a clock at all."""


class _Rate:
    """An amount per second, with one second's worth at once. More than that waits; nothing is refused.

    Debts are kept as amounts, not as times: another rate (workers come and go, and share the limit) forgives none.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._booked = 0.0
        self._served = 0.0
        self._at = 0.0
        self.rate = 0.0

    def _now(self) -> float:
        """Return the amount that could have been served until now."""
        return self._served + (self._clock.monotonic() - self._at) * self.rate

    def limit(self, rate: float) -> None:
        self._served, self._at = self._now(), self._clock.monotonic()
        if self.rate <= 0:
            self._booked = self._served - rate
        self.rate = rate

    async def take(self, amount: float) -> None:
        if self.rate <= 0:
            return
        start = max(self._booked, self._now() - self.rate)
        self._booked = start + amount
        while self.rate > 0 and (wait := (start - self._now()) / self.rate) > SHORTEST:
            await self._clock.sleep(min(wait, MAX_SLEEP_SECONDS))


class Throttle:
    """A worker's share of its direction's limits. 0 means unlimited."""

    def __init__(self, clock: Clock) -> None:
        self._bytes = _Rate(clock)
        self._requests = _Rate(clock)

    def set_limits(self, bytes_per_second: float, requests_per_second: float) -> None:
        """Set both limits. Waiting calls continue at the new ones, at once when a limit is lifted."""
        self._bytes.limit(bytes_per_second)
        self._requests.limit(requests_per_second)

    async def wait_for_request(self, size: int = 0) -> None:
        """Wait until one more request to the peer may be sent, with `size` bytes of content."""
        if self._requests.rate:
            await self._requests.take(1)
        if size and self._bytes.rate:
            await self._bytes.take(size)

    async def wait_for_received(self, size: int) -> None:
        """Wait for `size` bytes that have come from the peer: what follows them comes later."""
        if self._bytes.rate:
            await self._bytes.take(size)


class _ThrottledReader:
    """An object that is read no faster than allowed."""

    def __init__(self, reading: ObjectReader, throttle: Throttle) -> None:
        self._reading = reading
        self._throttle = throttle

    @property
    def head(self) -> ObjectHead:
        return self._reading.head

    async def read_whole(self) -> bytes | None:
        content = await self._reading.read_whole()
        if content is not None:
            await self._throttle.wait_for_received(len(content))
        return content

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._reading.chunks():
            await self._throttle.wait_for_received(len(chunk))
            yield chunk

    async def close(self) -> None:
        await self._reading.close()


class ThrottledBucket(ForwardingBucket):
    """The peer's bucket (`dualsync.runtime.ports.Bucket`) as fast as the operator allows. Listings go unhindered."""

    def __init__(self, bucket: Bucket, throttle: Throttle) -> None:
        super().__init__(bucket)
        self._throttle = throttle

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        await self._throttle.wait_for_request()
        return await self._bucket.head(key, version_id, checksum=checksum)

    async def read(self, key: str) -> ObjectReader | None:
        await self._throttle.wait_for_request()
        reading = await self._bucket.read(key)
        return None if reading is None else _ThrottledReader(reading, self._throttle)

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        await self._throttle.wait_for_request(end - start)
        return await self._bucket.read_range(key, start, end, etag)

    async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        await self._throttle.wait_for_request(length)
        return await self._bucket.read_part(key, number, length, etag)

    async def head_part(self, key: str, number: int, etag: str) -> Part:
        await self._throttle.wait_for_request()
        return await self._bucket.head_part(key, number, etag)

    async def put(
        self, key: str, body: bytes | StreamedBody, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        await self._throttle.wait_for_request(len(body))
        return await self._bucket.put(key, body, attributes, stamp, condition)

    async def create_upload(
        self, key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = ""
    ) -> StartedUpload:
        await self._throttle.wait_for_request()
        return await self._bucket.create_upload(key, attributes, stamp, checksum)

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> Sequence[Part] | None:
        await self._throttle.wait_for_request()
        return await self._bucket.list_parts(key, upload_id, first, last)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, checksum: str = "", declared: str = ""
    ) -> Part:
        await self._throttle.wait_for_request(len(body))
        return await self._bucket.put_part(key, upload_id, number, body, checksum, declared)

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        await self._throttle.wait_for_request()
        return await self._bucket.complete_upload(key, upload_id, parts, condition, checksum, declared)

    async def delete(self, key: str, condition: Precondition) -> None:
        await self._throttle.wait_for_request()
        await self._bucket.delete(key, condition)
