"""The typed interfaces between the core and the world. Every `await` in the core is a call to one of them.

That is what makes the real code runnable over in-memory fakes by a deterministic scheduler, and stoppable between any
two calls. Errors are those of `dualsync.runtime.errors` only. Keys are relative to the side's prefix everywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import (
    Attributes,
    ListedObject,
    ListedUpload,
    ObjectHead,
    Part,
    Precondition,
    PutResult,
    StartedUpload,
)
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.records import Record
from dualsync.runtime.model.streamed_body import StreamedBody

T = TypeVar("T")
U = TypeVar("U")


class Clock(Protocol):
    """Time, handed in."""

    def now(self) -> float:
        """Seconds since the epoch (UTC)."""

    async def sleep(self, seconds: float) -> None: ...


class ObjectReader(Protocol):
    """An object being read: what it is, and its content as chunks. `close` may be called at any time, once or more."""

    @property
    def head(self) -> ObjectHead: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class Bucket(Protocol):
    """One bucket under one prefix with one credential.

    Missing objects (and delete markers) are None, never an error. All calls may raise `RetryableError`,
    `CredentialRejectedError`
    and `PermanentError`; the conditional ones also `PreconditionFailedError` (412, or 404 for If-Match) and
    `ConcurrentWriteError` (409).
    """

    async def head(self, key: str, version_id: str = "") -> ObjectHead | None: ...

    async def read(self, key: str) -> ObjectReader | None:
        """GET as a stream; the headers are there before the body."""

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        """Bytes `start` to `end` (exclusive), If-Match `etag`. Raises `PreconditionFailedError` when it is another
        version now."""

    async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        """A part as it was uploaded, and its checksum where the store shows it. Raises `PreconditionFailedError`, and
        `ChecksumUnsupportedError` when it
        has another `length`. (Source: "GetObject", API Reference, partNumber; of composite checksums only, as "Using
        part-level checksums for multipart upload", User Guide, has it.)"""

    async def head_part(self, key: str, number: int, etag: str) -> Part:
        """Size and checksum of a part of the object with `etag`. Raises `PreconditionFailedError`."""

    async def put(
        self, key: str, body: bytes | StreamedBody, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult: ...

    async def create_upload(
        self, key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = ""
    ) -> StartedUpload:
        """Start a multipart upload that is to have `checksum`, if the store knows such."""

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> Sequence[Part] | None:
        """The parts that are there with their sizes, by number. None: this store can't tell. Raises
        `UploadGoneError`."""

    async def put_part(
        self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, checksum: str = "", declared: str = ""
    ) -> Part:
        """`checksum` is the part's, for the store to compare; one without a value is worked out. `declared` is that of
        `StartedUpload`. Raises `UploadGoneError`, `ChecksumMismatchError`, and `ChecksumUnsupportedError` when the
        store will not have it so."""

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        """Make the object of these parts; `checksum` is the source's (`Attributes.checksum`), for the content to have,
        `declared` that of `StartedUpload`.

        Raises `UploadGoneError`, `ChecksumUnsupportedError`; `ChecksumMismatchError`: the content has another
        checksum, and the upload must be aborted;
        `ConcurrentWriteError`: the upload is spent and must be aborted; `PreconditionFailedError`: it may be
        completed later.
        (Source: "CompleteMultipartUpload", API Reference: after a 409 the upload has to be initiated anew.)
        """

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Harmless when the upload is no more."""

    async def list_uploads(self) -> Sequence[ListedUpload]:
        """All multipart uploads under way below the prefix, anybody's."""

    async def delete(self, key: str, condition: Precondition) -> None:
        """Delete the current version if it has `condition.etag`. Raises `PreconditionFailedError`; an absent key may
        or may not."""

    def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        """Pages of current objects in UTF-8 binary order: keys that begin with `prefix`, greater than `after`, up to
        and with `until` (empty: to the end), beyond which no page is asked for. Raises on any failed page."""


class Ledger(Protocol):
    """The side's table: one entry per key, and records of other kinds.

    `get`, `get_many` and `get_record` are strongly consistent. `records` reads an index and is eventually consistent: a
    record just written may be missing, one just removed may still be listed. A record with a fixed id (an approval,
    held deletions, an operator's orders, the buckets, a finder's points) is read by `get_record`.
    """

    async def get(self, key: str) -> LedgerEntry | None: ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        """At most 100 keys; those without an entry are absent from the answer."""

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        """Write `entry` (its revision is `expected_revision` + 1) if the stored revision is the expected one (0: none).

        Raises `PreconditionFailedError` otherwise.
        """

    async def record(self, record: Record) -> None:
        """Keep a conflict, a held deletion or an operator's act. Writing the same id again replaces it."""

    def records(self, kind: str) -> AsyncIterator[Record]:
        """Records of one kind, oldest first; eventually consistent."""

    async def remove_record(self, record: Record) -> None: ...

    async def get_record(self, kind: str, id: str) -> Record | None:
        """One record, strongly consistent."""

    async def claim(self, record: Record, instead: Record | None) -> None:
        """Write `record` where `instead` (None: nothing) is now. Raises `PreconditionFailedError` when something else
        is there."""

    async def release(self, record: Record) -> None:
        """Remove exactly this record. Raises `PreconditionFailedError` when another one is there; none at all is
        fine."""


class Message(Protocol):
    """One received message."""

    @property
    def body(self) -> str: ...

    @property
    def handle(self) -> str:
        """Receipt handle."""

    @property
    def receives(self) -> int:
        """How often it was received, this time included (ApproximateReceiveCount)."""

    @property
    def sent(self) -> float:
        """When it was sent, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Approximate counts of a side's queues."""

    messages: int
    """Messages in the queue: visible, delayed and received."""

    dead_letters: int
    """Messages in the dead-letter queue."""


class Queue(Protocol):
    """The side's queue and its dead-letter queue."""

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[Message]:
        """At most `limit` (≤ 10) messages, long polling."""

    async def delete(self, messages: Sequence[Message]) -> None: ...

    async def extend(self, messages: Sequence[Message], seconds: int) -> None:
        """Hide at most 10 messages for `seconds` from now. One that is no longer this receiver's is left alone."""

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        """Any number of messages, durable when it returns. `delay_seconds` ≤ 900."""

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        """A copy with the reason to the dead-letter queue, durable when it returns. The caller deletes."""

    async def depth(self) -> QueueDepth:
        """Count the messages of both queues, approximately."""


class Parallel(Protocol):
    """How independent calls are run: together in production, one by one under a deterministic scheduler."""

    async def map(self, function: Callable[[T], Awaitable[U]], items: Sequence[T], limit: int) -> list[U]: ...


@dataclass(frozen=True, slots=True)
class Route:
    """From which bucket to which. `name` (`local>remote`) is how the ledger knows it."""

    source: Bucket
    """Where objects are read."""
    target: Bucket
    """Where they are written."""
    name: str
    """Name in the log."""
