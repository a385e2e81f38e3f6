"""The finder from an operator's context: what it would do, and doing it now."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dualsync.runtime.errors import FatalError
from dualsync.runtime.finder.report import Report
from dualsync.runtime.finder.run import Finder
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.records import Record
from dualsync.runtime.operations.audit import audited
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.ports import Bucket, Ledger, Message
from dualsync.runtime.service.bucket_guard import check_buckets

KEPT = 1000
"""So many findings are named; all are counted."""


class SilentLog:
    """A log that nobody reads: the report says it all."""

    def line(self, level: str, event: str, **fields: object) -> None:
        pass


class CountingBucket:
    """A bucket that tells how many keys were listed; only listing is possible."""

    def __init__(self, bucket: Bucket, on_progress: Callable[[int], None]) -> None:
        self._bucket = bucket
        self._tell = on_progress

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        async for page in self._bucket.list(after, until, prefix):
            self._tell(len(page))
            yield page

    def __getattr__(self, name: str) -> object:
        return getattr(self._bucket, name)


class ReadOnlyLedger:
    """Answers as the ledger does, and writes nothing."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def get(self, key: str) -> LedgerEntry | None:
        return await self._ledger.get(key)

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        return await self._ledger.get_many(keys)

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        pass

    async def record(self, record: Record) -> None:
        pass

    def records(self, kind: str) -> AsyncIterator[Record]:
        return self._ledger.records(kind)

    async def remove_record(self, record: Record) -> None:
        pass

    async def get_record(self, kind: str, id: str) -> Record | None:
        return await self._ledger.get_record(kind, id)

    async def claim(self, record: Record, instead: Record | None) -> None:
        pass

    async def release(self, record: Record) -> None:
        pass


@dataclass(slots=True)
class RecordingQueue:
    """A queue that keeps what it should send; the first `KEPT` are kept by name."""

    looks: list[SyncRequest] = field(default_factory=list)
    count: int = 0

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        self.count += len(bodies)
        for body in bodies[: max(0, KEPT - len(self.looks))]:
            self.looks.append(sync_request_codec.decode_fields(json.loads(body)[sync_request_codec.MEMBER]))

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[Message]:
        return []

    async def delete(self, messages: Sequence[Message]) -> None:
        pass

    async def extend(self, message: Message, seconds: int) -> None:
        pass

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Plan:
    """What a side's finder would queue, with the reason of each look."""

    side: Side
    report: Report
    looks: Sequence[SyncRequest]

    @property
    def data(self) -> Mapping[str, object]:
        """For programs."""
        return {
            "direction": self.side.direction,
            **self.report.data(),
            "held_reason": self.report.reason,
            "findings": [{"key": look.key, "why": look.reason, "deletion": look.may_delete} for look in self.looks],
        }


async def plan(context: OperatorContext, side: Side, peer: Side, on_progress: Callable[[int], None]) -> Plan:
    """Run the side's finder with everything but its effects. Raises `FatalError` beside a ledger of other buckets."""
    notebook = RecordingQueue()
    await _right_buckets(context, side, ReadOnlyLedger(side.ledger))
    finder = Finder(
        settings=side.settings,
        clock=context.clock,
        local=_counting(side, on_progress),
        remote=_counting(peer, on_progress),
        ledger=ReadOnlyLedger(side.ledger),
        queue=notebook,
        parallel=context.parallel,
        log=SilentLog(),
        scope=await side.scope(),
        fresh=True,
    )
    return Plan(side, await finder.run(), notebook.looks)


async def reconcile(context: OperatorContext, side: Side, peer: Side, on_progress: Callable[[int], None]) -> Report:
    """Run the side's finder now, from here, with your credentials. Beside another finder it does no harm.

    Raises `FatalError` beside a ledger of other buckets.
    """
    await _right_buckets(context, side, side.ledger)
    finder = Finder(
        settings=side.settings,
        clock=context.clock,
        local=_counting(side, on_progress),
        remote=_counting(peer, on_progress),
        ledger=side.ledger,
        queue=side.queue,
        parallel=context.parallel,
        log=SilentLog(),
        scope=await side.scope(),
        name="reconcile",
        fresh=True,
    )
    async with audited(context, [side], "reconcile", {"direction": side.direction}) as act:
        report = await finder.run()
        act.result.update(report.data())
    return report


async def _right_buckets(context: OperatorContext, side: Side, ledger: Ledger) -> None:
    wrong = await check_buckets(ledger, side.settings, context.clock)
    if wrong:
        raise FatalError(wrong)


def _counting(side: Side, on_progress: Callable[[int], None]) -> Bucket:
    bucket: Bucket = CountingBucket(side.bucket, on_progress)  # type: ignore[assignment]
    return bucket
