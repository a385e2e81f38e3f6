"""Refuse to act on an old observation: a stopped process may resume long after it has read what it decides over.

`SyncContext.for_message` wraps both buckets for the handling of one message. What the message's handling read is
remembered with the time at which it was asked. Before each write and deletion, what is older than `MAX_AGE_SECONDS` is
read again and must be the same. ETag, LastModified, size and version id are compared, so that a rewrite of the same
bytes counts as another object; S3's own condition compares the ETag only. The ledger's entry must have the same
revision, so that an object which came and went meanwhile is noticed. (Source: "PutObject" and "DeleteObject",
Amazon S3 API Reference: `x-amz-if-match-last-modified-time` and `x-amz-if-match-size` are for directory buckets only.)
"""

from __future__ import annotations

from collections.abc import Sequence

from dualsync.runtime.errors import MessageLostError, PreconditionFailedError
from dualsync.runtime.model.objects import (
    Attributes,
    ObjectHead,
    Part,
    Precondition,
    PutResult,
)
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.streamed_body import StreamedBody
from dualsync.runtime.ports import Bucket, Clock, Ledger, Message, ObjectReader
from dualsync.runtime.transfer.forwarding_bucket import ForwardingBucket

MAX_AGE_SECONDS = 5.0
"""Seconds after which an observation is made again before a write or deletion. A call takes a fraction of a second."""
MAX_READS = 3
"""How often an observation is made again before the request is given back to the queue."""


class Observations:
    """What the handling of one message has read from the buckets, and when it asked for it."""

    __slots__ = ("_clock", "_entry", "_message", "_seen")

    def __init__(self, clock: Clock, message: Message) -> None:
        self._clock = clock
        self._message = message
        self._seen: dict[tuple[int, str], tuple[Bucket, ObjectHead | None, float]] = {}
        self._entry: tuple[Ledger, str, int, float] | None = None

    def now(self) -> float:
        """Seconds of the clock that no stop of the process stops."""
        return self._clock.monotonic()

    def record(self, bucket: Bucket, key: str, head: ObjectHead | None, asked: float) -> None:
        """Remember what the bucket shows at the key, asked for at that time."""
        self._seen[id(bucket), key] = (bucket, head, asked)

    def forget(self, bucket: Bucket, key: str) -> None:
        """Remember nothing of the key: it was written or deleted."""
        self._seen.pop((id(bucket), key), None)

    def record_entry(self, ledger: Ledger, key: str, revision: int, asked: float) -> None:
        """Remember the revision of the ledger's entry for the key, asked for at that time."""
        self._entry = (ledger, key, revision, asked)

    async def confirm(self, deleted: tuple[Bucket, str] | None = None) -> None:
        """Read again what was read too long ago. `deleted` is the object that is about to be deleted.

        Raises `PreconditionFailedError` if it is not the same, or if the object to be deleted was never read: only the
        ledger's entry, read as long ago, says then what it is. Raises `MessageLostError` if the message may be visible
        to other workers.
        """
        self._check_message()
        for _ in range(MAX_READS):
            old = [at for at, (_, _, asked) in self._seen.items() if self.now() - asked > MAX_AGE_SECONDS]
            if old and deleted is not None and (id(deleted[0]), deleted[1]) not in self._seen:
                raise PreconditionFailedError("too long ago that the ledger was read for a deletion")
            for at in old:
                await self._read_again(*at)
            entry_is_old = await self._read_entry_again()
            if not old and not entry_is_old:
                self._check_message()
                return
        raise PreconditionFailedError("the buckets answer too slowly for what they show to be acted on")

    async def _read_again(self, bucket_id: int, key: str) -> None:
        bucket, before, _ = self._seen[bucket_id, key]
        asked = self.now()
        head = await bucket.head(key)
        if _name(head) != _name(before):
            raise PreconditionFailedError(f"{key!r} changed after it was read")
        self._seen[bucket_id, key] = (bucket, before, asked)

    async def _read_entry_again(self) -> bool:
        """Read the ledger's entry again if it was read too long ago. Returns True if it was."""
        if self._entry is None or self.now() - self._entry[3] <= MAX_AGE_SECONDS:
            return False
        ledger, key, revision, _ = self._entry
        asked = self.now()
        entry = await ledger.get(key)
        if (entry.revision if entry is not None else 0) != revision:
            raise PreconditionFailedError(f"the ledger's entry of {key!r} changed after it was read")
        self._entry = (ledger, key, revision, asked)
        return True

    def _check_message(self) -> None:
        if self.now() >= self._message.hidden_until:
            raise MessageLostError("the message became visible again: another worker may have it")


def _name(head: ObjectHead | None) -> tuple[str, int, int, str] | None:
    return None if head is None else (head.etag, head.modified, head.size, head.version_id)


class ObservedBucket(ForwardingBucket):
    """A bucket (`dualsync.runtime.ports.Bucket`) whose answers are remembered, and confirmed before a change."""

    __slots__ = ("_observations",)

    def __init__(self, bucket: Bucket, observations: Observations) -> None:
        super().__init__(bucket)
        self._observations = observations

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        asked = self._observations.now()
        head = await self._bucket.head(key, version_id, checksum=checksum)
        if not version_id:
            self._observations.record(self._bucket, key, head, asked)
        return head

    async def read(self, key: str) -> ObjectReader | None:
        asked = self._observations.now()
        reader = await self._bucket.read(key)
        self._observations.record(self._bucket, key, None if reader is None else reader.head, asked)
        return reader

    async def put(
        self, key: str, body: bytes | StreamedBody, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        await self._observations.confirm()
        self._observations.forget(self._bucket, key)
        return await self._bucket.put(key, body, attributes, stamp, condition)

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        await self._observations.confirm()
        self._observations.forget(self._bucket, key)
        return await self._bucket.complete_upload(key, upload_id, parts, condition, checksum, declared)

    async def delete(self, key: str, condition: Precondition) -> None:
        await self._observations.confirm((self._bucket, key))
        self._observations.forget(self._bucket, key)
        await self._bucket.delete(key, condition)
