"""How each direction is, from queue, ledger and workers. `dualsync.runtime.operations.problems` judges it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.log import State
from dualsync.runtime.model.records import (
    CONFLICT,
    DELETION_APPROVAL,
    FINDER_RUN,
    HELD_DELETION,
    UPLOAD,
    WORKER,
    Record,
    is_alive,
)
from dualsync.runtime.operations.context import AccessKey, Depth, ExpectedUser, OperatorContext, Side
from dualsync.runtime.service import latency_histogram
from dualsync.runtime.service.operator_controls import Orders, read_orders

HOUR = 3600
COUNTED = 10_000
"""Conflicts are counted up to here: the question is whether there are any, not how many of very many."""
SAMPLED = 10
"""Dead letters looked at for their reasons."""
GLANCE_SECONDS = 2
"""How long a glance hides them."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Seconds from a change to its effect at the peer, over the last minutes."""

    count: int = 0
    median: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker, as its last record says; times in seconds since the epoch."""

    name: str
    alive: bool
    heard: int
    state: str
    reason: str
    in_flight: int
    started: int
    guard: str
    problems: Sequence[Mapping[str, Any]] = ()
    denied: Mapping[str, Any] = field(default_factory=dict)
    """What was refused last and waits for a person; empty for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One side's workers and everything that waits for them."""

    name: str
    now: int
    backlog: Depth
    dead: Depth
    dead_reasons: Mapping[str, int]
    oldest: float | None
    workers: Sequence[Worker]
    group: tuple[int, int] | None
    puts: Lag
    deletes: Lag
    total: Mapping[str, int]
    """Outcomes since the living workers started."""
    recent: Mapping[str, int]
    """Outcomes of the last `recent_seconds`."""
    recent_bytes: int
    recent_seconds: int
    orders: Orders
    conflicts: int
    uploads: Sequence[int]
    """Bytes of each object whose multipart upload is noted: under way, or left for the next worker or the finder."""
    held: Record | None
    approval: Record | None
    finder: Record | None
    expected_guard: str
    """The id that the peer's stack gives for its dedicated user; empty when that stack is not there."""
    promise: ExpectedUser | None
    keys: Sequence[AccessKey] | None

    @property
    def side(self) -> str:
        """Whose workers carry it."""
        return self.name.split("->")[0]

    @property
    def peer(self) -> str:
        """Where they carry it."""
        return self.name.split("->")[1]

    @property
    def alive(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.alive]

    @property
    def broken(self) -> list[Worker]:
        """Workers that ended within the hour and should not have: with an error, or without a word."""
        ended = [w for w in self.workers if not w.alive and self.now - w.heard < HOUR]
        return [w for w in ended if w.state != State.STOPPED or w.reason]

    @property
    def state(self) -> str:
        """The state of most living workers, PAUSED if so ordered."""
        states = Counter(worker.state for worker in self.alive)
        if self.orders.paused:
            return "PAUSED"
        return states.most_common(1)[0][0] if states else "NO WORKER"


@dataclass(frozen=True, slots=True)
class Status:
    """Both directions at one time."""

    pair: str
    now: int
    directions: Sequence[Direction] = field(default_factory=list)


async def gather(context: OperatorContext) -> Status:
    """Ask everything at once. Raises what queue or ledger raise; what only some operators may see is None."""
    found = await asyncio.gather(*(_direction(context, side) for side in context.sides.values()))
    return Status(context.pair, context.now(), found)


async def _direction(context: OperatorContext, side: Side) -> Direction:
    peer = context.sides.get(side.name.peer)
    metrics = side.metrics
    try:
        async with asyncio.TaskGroup() as group:
            ask = group.create_task
            backlog, dead, oldest = ask(metrics.depth()), ask(metrics.dead()), ask(metrics.oldest())
            size, promise, keys = ask(metrics.group()), ask(metrics.promise()), ask(metrics.keys())
            orders, reasons = ask(read_orders(side.ledger)), ask(_reasons(side))
            workers, conflicts = ask(_records(side, WORKER)), ask(_records(side, CONFLICT))
            held, approval = ask(_records(side, HELD_DELETION)), ask(_records(side, DELETION_APPROVAL))
            finder, uploads = ask(_records(side, FINDER_RUN)), ask(_records(side, UPLOAD))
    except ExceptionGroup as e:
        raise e.exceptions[0] from None
    now = context.now()
    living = [record for record in workers.result() if is_alive(record, now)]
    return Direction(
        name=side.direction,
        now=now,
        backlog=backlog.result(),
        dead=dead.result(),
        dead_reasons=reasons.result(),
        oldest=oldest.result(),
        workers=[_worker(record, now) for record in workers.result()],
        group=size.result(),
        puts=_lag(living, "put_lags"),
        deletes=_lag(living, "delete_lags"),
        total=_sum(living, "total"),
        recent=_sum(living, "window"),
        recent_bytes=sum(_int(record.data.get("window_bytes")) for record in living),
        recent_seconds=max((_int(record.data.get("window_seconds")) for record in living), default=0),
        orders=orders.result(),
        conflicts=len(conflicts.result()),
        uploads=[_int(record.data.get("size")) for record in uploads.result()],
        held=next(iter(held.result()), None),
        approval=next(iter(approval.result()), None),
        finder=next(iter(finder.result()), None),
        expected_guard=peer.facts.get("userId", "") if peer is not None else "",
        promise=promise.result(),
        keys=keys.result(),
    )


async def _records(side: Side, kind: str) -> list[Record]:
    found: list[Record] = []
    async for record in side.ledger.records(kind):
        found.append(record)
        if len(found) >= COUNTED:
            break
    return found


async def _reasons(side: Side) -> dict[str, int]:
    """Why some of the dead letters are there."""
    if not (await side.metrics.dead()).total:
        return {}
    letters = await side.dead_letter_queue.hold(SAMPLED, GLANCE_SECONDS)
    await side.dead_letter_queue.release(letters)
    return dict(Counter(letter.reason or UNEXPLAINED for letter in letters))


UNEXPLAINED = "received five times without success (a worker died of it, or it can't be read)"


def by_kind(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons of one kind as one, most often first: `denied, as …` instead of a line for each object."""
    kinds: dict[str, list[tuple[str, int]]] = {}
    for reason, count in reasons.items():
        kinds.setdefault(reason.split(":", 1)[0], []).append((reason, count))
    found = [
        (of[0][0] if len(of) == 1 else f"{kind}, as {of[0][0].removeprefix(kind).lstrip(': ')}", sum(n for _, n in of))
        for kind, of in kinds.items()
    ]
    return sorted(found, key=lambda each: -each[1])


def _worker(record: Record, now: int) -> Worker:
    data = record.data
    problems, denied = data.get("problems"), data.get("denied")
    return Worker(
        name=record.id,
        alive=is_alive(record, now),
        heard=record.time,
        state=str(data.get("state", "")),
        reason=str(data.get("reason", "")),
        in_flight=_int(data.get("in_flight")),
        started=_int(data.get("started")),
        guard=str(data.get("guard", "")),
        problems=problems if isinstance(problems, list) else (),
        denied=denied if isinstance(denied, dict) else {},
    )


def _lag(records: Sequence[Record], name: str) -> Lag:
    parts = []
    for record in records:
        classes = record.data.get(name)
        if isinstance(classes, dict):
            parts.append({int(number): _int(count) for number, count in classes.items()})
    classes = latency_histogram.merge(parts)
    return Lag(
        sum(classes.values()), latency_histogram.percentile(classes, 0.5), latency_histogram.percentile(classes, 0.99)
    )


def _sum(records: Sequence[Record], name: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for record in records:
        counts = record.data.get(name)
        if isinstance(counts, dict):
            total.update({str(key): _int(count) for key, count in counts.items()})
    return dict(total)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
