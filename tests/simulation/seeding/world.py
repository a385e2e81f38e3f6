"""Provide two buckets with equal objects of another tool, computed per key, so that 1,000,000 keys fit in memory.

Every third key was uploaded in other parts on side `global`; half of those have a stored checksum of the whole content.
Finders and workers are the real ones. A message is processed as soon as it is queued, and a ledger entry is counted
instead of stored.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.finder.report import Report
from dualsync.runtime.finder.run import Finder
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import Principals
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import Attributes, ListedObject, ObjectHead, Part
from dualsync.runtime.model.records import CONFLICT, Record
from dualsync.runtime.ports import Message, QueueDepth
from dualsync.runtime.settings import Settings, SideName
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.transfer.copier import Copier
from tests.support.builders import REQUIRED, SECRET
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import run
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.parallel import Serial
from tests.support.handlers import handler_of
from tests.support.pages import paged

SEEDED_AT = 1_700_000_000
LENGTHS = {SideName.CN: 16, SideName.GLOBAL: 10}
"""Bytes per part on each side, of the 48 bytes of an object. S3's minimum part (5 MiB) would only cost time."""


@dataclass(slots=True)
class Counts:
    """Counts of the work on both sides."""

    calls: Counter[str] = field(default_factory=Counter)
    """Calls by side, bucket and name."""
    messages: int = 0
    """Messages that finders queued or workers sent."""
    synced: Counter[str] = field(default_factory=Counter)
    """Ledger entries with a synced version, by side."""
    conflicts: int = 0
    """Conflicts that were recorded."""
    dead: int = 0
    """Dead letters."""

    @property
    def transfers(self) -> int:
        """Return the number of writes and deletions of objects on both sides."""
        written = ("put", "create_upload", "put_part", "complete_upload", "delete")
        return sum(count for call, count in self.calls.items() if call.rpartition(".")[2] in written)

    @property
    def across(self) -> int:
        """Return the number of reads of content from the other side."""
        return sum(count for call, count in self.calls.items() if call.endswith((".remote.read", ".remote.read_range")))


class SeededBucket:
    """A bucket of numbered keys, which counts and refuses all writes."""

    def __init__(self, side: SideName, keys: int, name: str, counts: Counts) -> None:
        self._side = side
        self._keys = keys
        self._name = name
        self._counts = counts

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        for page in paged(self._rows()):
            yield page

    def _rows(self) -> Iterator[ListedObject]:
        for number in range(self._keys):
            content = content_of(number)
            yield ListedObject(f"key-{number:09}", etag_of(number, content, self._side), len(content), SEEDED_AT)

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead:
        self._count("head")
        return self._head(key, checksum=checksum)

    def _head(self, key: str, *, checksum: bool) -> ObjectHead:
        number = int(key.removeprefix("key-"))
        content = content_of(number)
        stored = f"crc64nvme:{number:012}" if checksum and number % 6 == 0 else ""
        attributes = Attributes(content_type="text/plain", metadata=(("n", str(number)),), checksum=stored)
        etag = etag_of(number, content, self._side)
        return ObjectHead(etag, len(content), SEEDED_AT, attributes=attributes, md5_etag=True)

    async def read(self, key: str) -> _Reader:
        self._count("read")
        return _Reader(self._head(key, checksum=True))

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        self._count("read_range")
        return content_of(int(key.removeprefix("key-")))[start:end]

    async def head_part(self, key: str, number: int, etag: str) -> Part:
        self._count("head_part")
        return Part(number, "", LENGTHS[self._side])

    async def put(self, key: str, *_: object) -> None:
        self._refuse("put", key)

    async def create_upload(self, key: str, *_: object) -> None:
        self._refuse("create_upload", key)

    async def delete(self, key: str, *_: object) -> None:
        self._refuse("delete", key)

    def _refuse(self, call: str, key: str) -> None:
        self._count(call)
        raise PreconditionFailedError(f"{call} {key}: this bucket is read only")

    def _count(self, call: str) -> None:
        self._counts.calls[f"{self._name}.{call}"] += 1


class _Reader:
    """A reader of one object."""

    def __init__(self, head: ObjectHead) -> None:
        self.head = head

    async def read_whole(self) -> bytes | None:
        return content_of(int(dict(self.head.attributes.metadata)["n"]))

    async def chunks(self) -> AsyncIterator[bytes]:
        yield content_of(int(dict(self.head.attributes.metadata)["n"]))

    async def close(self) -> None:
        pass


class CountingLedger(FakeLedger):
    """A ledger that stores records and counts entries. Each key is written once."""

    def __init__(self, side: SideName, counts: Counts) -> None:
        super().__init__()
        self._side = side
        self._counts = counts

    async def get(self, key: str) -> LedgerEntry | None:
        return None

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        return {}

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        self._counts.synced[self._side] += entry.synced is not None

    async def record(self, record: Record) -> None:
        self._counts.conflicts += record.kind == CONFLICT
        await super().record(record)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that is processed at once."""

    body: str
    sent: float
    handle: str = ""
    receives: int = 1


class ImmediateQueue:
    """A queue whose messages are processed as soon as they are sent."""

    def __init__(self, time: Time, counts: Counts) -> None:
        self._time = time
        self._counts = counts
        self.process: Any = None

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        self._counts.messages += len(bodies)
        for body in bodies:
            await self.process(Letter(body, self._time.now))

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[Message]:
        return ()

    async def extend(self, messages: Sequence[Message], seconds: int) -> None:
        pass

    async def delete(self, messages: Sequence[Message]) -> None:
        pass

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        self._counts.dead += 1

    async def depth(self) -> QueueDepth:
        return QueueDepth(0, self._counts.dead)


class Silent:
    """A log that drops all lines."""

    def line(self, level: str, event: str, **fields: object) -> None:
        pass


def content_of(number: int) -> bytes:
    """Return the 48 bytes of a key."""
    return b"%016d" % number * 3


def etag_of(number: int, content: bytes, side: SideName) -> str:
    """Return the ETag that S3 gives the object ("Checking object integrity", S3 User Guide)."""
    if number % 3:
        return hashlib.md5(content, usedforsecurity=False).hexdigest()
    length = LENGTHS[side]
    parts = [content[at : at + length] for at in range(0, len(content), length)]
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"


def first_contact(keys: int, **changes: Any) -> tuple[Counts, dict[SideName, Report]]:
    """Run both finders over the seeded buckets, and process the messages that they queue."""
    counts, time = Counts(), Time()
    time.now = SEEDED_AT + 86_400
    reports = {}
    for side in SideName:
        settings = Settings(**REQUIRED | {"side": side} | changes)
        local = SeededBucket(side, keys, f"{side}.local", counts)
        remote = SeededBucket(side.peer, keys, f"{side}.remote", counts)
        ledger, clock, queue = CountingLedger(side, counts), FakeClock(time), ImmediateQueue(time, counts)
        shared: dict[str, Any] = {"local": local, "remote": remote}
        authenticator = Authenticator(settings.queue_url, SECRET)
        context = SyncContext(
            settings=settings,
            clock=clock,
            ledger=ledger,
            queue=queue,
            copier=Copier(
                threshold=settings.multipart_threshold,
                part_size=settings.part_size,
                parallel=Serial(),
                ledger=ledger,
                clock=clock,
            ),
            principals=Principals(frozenset(settings.own_user_ids), ""),
            authenticator=authenticator,
            log=Silent(),
            **shared,
        )
        queue.process = handler_of(context).process
        finder = Finder(
            settings=settings,
            clock=clock,
            ledger=ledger,
            queue=queue,
            authenticator=authenticator,
            parallel=Serial(),
            log=Silent(),
            **shared,
        )
        reports[side] = run(finder.run())
    return counts, reports
