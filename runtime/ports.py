"""The typed interfaces between the core and the world. Every `await` in the core is a call to one of them.

So a deterministic scheduler can run the real code over in-memory fakes, and stop it between any two calls. Errors are
those of `dualsync.runtime.errors` only. Keys are relative to the side's prefix everywhere.
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
    """The clock that the core is given."""

    def now(self) -> float:
        """Return the seconds since the epoch (UTC)."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back, and that counts while the process or the machine is stopped."""

    async def sleep(self, seconds: float) -> None: ...


class ObjectReader(Protocol):
    """An object that is being read: its head, and its content, whole or in chunks.

    `close` may be called at any time and more than once.
    """

    @property
    def head(self) -> ObjectHead: ...

    async def read_whole(self) -> bytes | None:
        """Return the content if it comes in one piece, and None if `chunks` is to be read."""

    def chunks(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None: ...


class Bucket(Protocol):
    """One bucket under one prefix with one credential.

    Missing objects (and delete markers) are None, never an error. All calls may raise `RetryableError`,
    `CredentialRejectedError` and `PermanentError`. The conditional ones may also raise `PreconditionFailedError` (412,
    or 404 for If-Match) and `ConcurrentWriteError` (409).
    """

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        """Send a HEAD. None if there is no object.

        `checksum` asks for the stored checksum, which a GET always shows. With SSE-KMS it needs the right to decrypt
        ("HeadObject", API Reference, ChecksumMode).
        """

    async def read(self, key: str) -> ObjectReader | None:
        """Send a GET and return once the headers are there; the body is streamed. None if there is no object."""

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        """Return bytes `start` to `end` (exclusive) of the version with `etag`.

        Raises `PreconditionFailedError` when the object has another version now.
        """

    async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        """Return a part as it was uploaded, and its checksum where the store shows it.

        Sources: "GetObject", API Reference, partNumber; "Using part-level checksums for multipart upload", User Guide
        (only composite checksums have one per part).

        Raises `PreconditionFailedError`, and `ChecksumUnsupportedError` when the part has another `length`.
        """

    async def head_part(self, key: str, number: int, etag: str) -> Part:
        """Return size and checksum of a part of the object with `etag`. Raises `PreconditionFailedError`."""

    async def put(
        self, key: str, body: bytes | StreamedBody, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult: ...

    async def create_upload(
        self, key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = ""
    ) -> StartedUpload:
        """Start a multipart upload and declare `checksum`, if the store supports its kind."""

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> Sequence[Part] | None:
        """Return the uploaded parts with their sizes, by number; None if the store can't list them.

        Raises `UploadGoneError`.
        """

    async def put_part(
        self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, checksum: str = "", declared: str = ""
    ) -> Part:
        """Upload one part.

        Args:
            key: Key of the object.
            upload_id: Id of the upload.
            number: Number of the part.
            body: Content of the part.
            checksum: Checksum of the part, which the store compares. One without a value is computed.
            declared: The checksum of `StartedUpload`.

        Raises `UploadGoneError`, `ChecksumMismatchError`, and `ChecksumUnsupportedError` when the store does not accept
        the checksum.
        """

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        """Create the object from these parts.

        `checksum` is the source's (`Attributes.checksum`), which the content must have. `declared` is that of
        `StartedUpload`.

        Raises:
            UploadGoneError: The store does not know the upload.
            ChecksumUnsupportedError: The store does not accept the checksum.
            ChecksumMismatchError: The content has another checksum. The upload must be aborted.
            ConcurrentWriteError: The upload is used up and must be aborted ("CompleteMultipartUpload", API Reference:
                after a 409 a new upload is needed).
            PreconditionFailedError: The condition does not hold. The upload may be completed later.
        """

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Abort an upload. Does nothing if there is no such upload."""

    async def list_uploads(self) -> Sequence[ListedUpload]:
        """Return all multipart uploads below the prefix that are not complete, of all initiators."""

    async def delete(self, key: str, condition: Precondition) -> None:
        """Delete the current version if it has `condition.etag`.

        Raises `PreconditionFailedError`. For an absent key some stores do, others do not.
        """

    def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        """Yield pages of current objects in UTF-8 binary order.

        The keys begin with `prefix`, are greater than `after`, and at most `until` (empty: no limit). No page beyond
        `until` is requested. Raises on any failed page.
        """


class Ledger(Protocol):
    """The side's table: one entry per key, and records of other kinds.

    `get`, `get_many` and `get_record` are strongly consistent. `records` reads an index and is eventually consistent: a
    record just written may be missing, one just removed may still be listed. A record with a fixed id (an approval,
    held deletions, an operator's controls, the buckets, a finder's points) is read by `get_record`.
    """

    async def get(self, key: str) -> LedgerEntry | None: ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        """Return the entries of at most 100 keys; keys without an entry are absent from the answer."""

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        """Write `entry` (its revision is `expected_revision` + 1) if the stored revision is the expected one (0: none).

        Raises `PreconditionFailedError` otherwise.
        """

    async def record(self, record: Record) -> None:
        """Store a conflict, a held deletion or an operator's act. A record of the same id is replaced."""

    def records(self, kind: str) -> AsyncIterator[Record]:
        """Yield the records of one kind, oldest first; eventually consistent."""

    async def remove_record(self, record: Record) -> None: ...

    async def get_record(self, kind: str, id: str) -> Record | None:
        """Return one record, strongly consistent."""

    async def claim(self, record: Record, instead: Record | None) -> None:
        """Write `record` in place of `instead` (None: of nothing).

        Raises `PreconditionFailedError` when something else is there.
        """

    async def release(self, record: Record) -> None:
        """Remove exactly this record. Does nothing if there is none.

        Raises `PreconditionFailedError` when another record is there.
        """


class Message(Protocol):
    """One received message."""

    @property
    def body(self) -> str: ...

    @property
    def handle(self) -> str:
        """Receipt handle."""

    @property
    def receives(self) -> int:
        """Number of receives, including this one (ApproximateReceiveCount)."""

    @property
    def sent(self) -> float:
        """Time at which it was sent, in seconds since the epoch."""

    @property
    def hidden_until(self) -> float:
        """Until when no other receiver gets it, as far as this process knows: seconds of `Clock.monotonic`."""


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
        """Receive at most `limit` (≤ 10) messages by long polling."""

    async def delete(self, messages: Sequence[Message]) -> None: ...

    async def extend(self, messages: Sequence[Message], seconds: int) -> None:
        """Hide at most 10 messages for `seconds` from now.

        A message that another receiver has, or that cannot be hidden for longer, is skipped.
        """

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        """Send any number of messages; they are durable on return. `delay_seconds` ≤ 900."""

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        """Send a copy with the reason to the dead-letter queue; it is durable on return.

        The caller deletes the original.
        """

    async def depth(self) -> QueueDepth:
        """Count the messages of both queues, approximately."""


class Parallel(Protocol):
    """Runs independent calls: at the same time in production, one by one under a deterministic scheduler."""

    async def map(self, function: Callable[[T], Awaitable[U]], items: Sequence[T], limit: int) -> list[U]: ...


@dataclass(frozen=True, slots=True)
class Route:
    """The source and the target of a copy. The ledger stores the `name` (`local>remote`)."""

    source: Bucket
    """Where objects are read."""
    target: Bucket
    """Where they are written."""
    name: str
    """Name in the log."""
