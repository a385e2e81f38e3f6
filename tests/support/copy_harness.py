"""Provide a copier between two in-memory buckets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, ObjectHead, Precondition, PutResult
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.ports import Route
from dualsync.runtime.transfer.copier import Copier
from tests.support.builders import CN, stamp
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import run
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.parallel import Serial
from tests.support.fakes.store import Store

MIB = 1 << 20
ATTRIBUTES = Attributes(
    content_type="text/plain", cache_control="no-store", storage_class="STANDARD_IA", metadata=(("a", "b"),)
)
STAMP = stamp(OriginVersion(CN, 5, "e"))


@dataclass
class MemoryObjectReader:
    """A reader of an object in memory. `closed` counts the calls of `close`."""

    head: ObjectHead
    content: tuple[bytes, ...] = ()
    closed: int = 0
    error: Exception | None = None

    async def read_whole(self) -> bytes | None:
        return self.content[0] if len(self.content) == 1 and self.error is None else None

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.content:
            yield chunk
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        self.closed += 1


@dataclass
class CopyHarness:
    """A source and a target bucket, and a copier that copies objects of nine bytes or more in parts."""

    source: Store = field(default_factory=lambda: Store("source", "cn-north-1", Time()))
    target: Store = field(default_factory=lambda: Store("target", "us-west-2", Time()))
    ledger: FakeLedger = field(default_factory=FakeLedger)

    def __post_init__(self) -> None:
        clock = FakeClock(Time())
        self.copier = Copier(threshold=9, part_size=MIB, parallel=Serial(), ledger=self.ledger, clock=clock)
        self.route = Route(FakeBucket(self.source, "AIDA"), FakeBucket(self.target, "AIDA"), "local>remote")

    def reading(self, content: bytes, *chunks: bytes) -> MemoryObjectReader:
        """Write `content` to the source and return a reader of it (in `chunks`, if given)."""
        self.source.put("k", content, "AIDA", ATTRIBUTES)
        version = self.source.current("k")
        assert version is not None
        return MemoryObjectReader(version.seen, chunks or (content,))

    def copy(self, reading: MemoryObjectReader, condition: Precondition = MUST_NOT_EXIST, to: str = "") -> PutResult:
        return run(self.copier.copy(self.route, reading, "k", STAMP, condition, to))

    def upload_records(self) -> list[str]:
        return [record.id for record in self.ledger.table.records.values() if record.kind == UPLOAD]

    def copied(self, key: str = "k") -> tuple[bytes, ObjectHead] | None:
        version = self.target.current(key)
        return None if version is None else (version.body, version.seen)
