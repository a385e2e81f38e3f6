"""Run the finder from here: to show what it would do, or to do it now."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from dualsync.runtime.errors import FatalError
from dualsync.runtime.finder.report import Report
from dualsync.runtime.finder.run import Finder
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.key_filter import KeyFilter
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.records import DELETION_APPROVAL, FINDER_RUN, Record
from dualsync.runtime.operations.audit import audit_act
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.ports import Bucket, Ledger, Message, QueueDepth
from dualsync.runtime.service.bucket_guard import check_buckets
from dualsync.runtime.settings import SideName

MAX_LISTED_REQUESTS = 1000
"""Requests that are kept by name. All are counted."""


class SilentLog:
    """A log that is discarded: the report holds everything."""

    def line(self, level: str, event: str, **fields: object) -> None:
        pass


class CountingBucket:
    """A bucket that counts the keys that were listed."""

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
    """A ledger that reads as the real one does, and writes nothing."""

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


class PartialRunLedger:
    """The ledger of a run over some keys: what it learns per key is written, what concerns whole runs is not.

    Else such a run would end the hold of all deletions, use up an approval, and count as the finder's last run.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def get(self, key: str) -> LedgerEntry | None:
        return await self._ledger.get(key)

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        return await self._ledger.get_many(keys)

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        await self._ledger.put(entry, expected_revision)

    async def record(self, record: Record) -> None:
        pass

    def records(self, kind: str) -> AsyncIterator[Record]:
        return self._ledger.records(kind)

    async def remove_record(self, record: Record) -> None:
        pass

    async def get_record(self, kind: str, id: str) -> Record | None:
        return None if kind == DELETION_APPROVAL else await self._ledger.get_record(kind, id)

    async def claim(self, record: Record, instead: Record | None) -> None:
        pass

    async def release(self, record: Record) -> None:
        pass


@dataclass(slots=True)
class RecordingQueue:
    """A queue that records what it should send."""

    requests: list[SyncRequest] = field(default_factory=list)
    """The first `MAX_LISTED_REQUESTS` requests."""
    count: int = 0
    """All of them."""

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        self.count += len(bodies)
        for body in bodies[: max(0, MAX_LISTED_REQUESTS - len(self.requests))]:
            self.requests.append(sync_request_codec.decode_fields(json.loads(body)[sync_request_codec.MEMBER]))

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[Message]:
        return []

    async def delete(self, messages: Sequence[Message]) -> None:
        pass

    async def extend(self, messages: Sequence[Message], seconds: int) -> None:
        pass

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        pass

    async def depth(self) -> QueueDepth:
        return QueueDepth(0, 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a side's finder would queue."""

    side: Side
    """The side."""
    report: Report
    """The run's counts."""
    requests: Sequence[SyncRequest]
    """What it would queue, each with its reason."""

    @property
    def data(self) -> Mapping[str, object]:
        """The plan for programs."""
        return {
            "direction": self.side.direction,
            **self.report.data(),
            "held_reason": self.report.reason,
            "findings": [{"key": r.key, "why": r.reason, "deletion": r.may_delete} for r in self.requests],
        }


async def plan(
    context: OperatorContext, side: Side, peer: Side, on_progress: Callable[[int], None], prefix: str = ""
) -> Plan:
    """Run the side's finder without its effects. Raises `FatalError` beside a ledger of other buckets."""
    recorded = RecordingQueue()
    await _check_buckets(context, side, ReadOnlyLedger(side.ledger))
    finder = Finder(
        settings=side.settings,
        clock=context.clock,
        local=_counting_bucket(side, on_progress),
        remote=_counting_bucket(peer, on_progress),
        ledger=ReadOnlyLedger(side.ledger),
        queue=recorded,
        authenticator=Authenticator(side.settings.queue_url),
        parallel=context.parallel,
        log=SilentLog(),
        scope=_scope_below(await side.scope(), prefix),
        fresh=True,
        preview=True,
    )
    return Plan(side, await finder.run(), recorded.requests)


async def reconcile(
    context: OperatorContext, side: Side, peer: Side, on_progress: Callable[[int], None], prefix: str = ""
) -> Report:
    """Run the side's finder now, with the operator's credentials. It may run beside another finder.

    With a prefix only keys below it are compared. What concerns whole runs (holds, approvals) stays as it is.

    Raises `FatalError` beside a ledger of other buckets.
    """
    await _check_buckets(context, side, side.ledger)
    finder = Finder(
        settings=side.settings,
        clock=context.clock,
        local=_counting_bucket(side, on_progress),
        remote=_counting_bucket(peer, on_progress),
        ledger=PartialRunLedger(side.ledger) if prefix else side.ledger,
        queue=side.queue,
        # The operator has no key to sign with, so a worker takes each request as a check of its key. A deletion on this
        # side travels, as after an event of S3; one on the peer's side travels with the run for that side.
        authenticator=Authenticator(side.settings.queue_url),
        parallel=context.parallel,
        log=SilentLog(),
        scope=_scope_below(await side.scope(), prefix),
        name="reconcile",
        fresh=True,
    )
    async with audit_act(context, [side], "reconcile", {"direction": side.direction, "prefix": prefix}) as act:
        report = await finder.run()
        act.result.update(report.data())
    return report


async def last_counts(context: OperatorContext) -> tuple[int, int] | None:
    """Return the keys of cn and of global as a finder counted them last; None where none has run."""
    for side in context.sides.values():
        async for record in side.ledger.records(FINDER_RUN):
            here, there = record.data.get("here"), record.data.get("there")
            if isinstance(here, int) and isinstance(there, int):
                return (here, there) if side.name is SideName.CN else (there, here)
    return None


def _scope_below(scope: KeyFilter, prefix: str) -> KeyFilter:
    """Return the part of a scope that is below a prefix."""
    if not prefix:
        return scope
    inside = [p for p in scope.prefixes if p.startswith(prefix)]
    return KeyFilter.from_prefixes([prefix] if any(prefix.startswith(p) for p in scope.prefixes) else inside)


async def _check_buckets(context: OperatorContext, side: Side, ledger: Ledger) -> None:
    wrong = await check_buckets(ledger, side.settings, context.clock)
    if wrong:
        raise FatalError(wrong)


def _counting_bucket(side: Side, on_progress: Callable[[int], None]) -> Bucket:
    bucket: Bucket = CountingBucket(side.bucket, on_progress)  # type: ignore[assignment]
    return bucket
