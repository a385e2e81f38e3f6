"""Read how each direction is, from queue, ledger and workers. `dualsync.runtime.operations.problems` judges it."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import Outcome, State
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
from dualsync.runtime.service.operator_controls import DirectionControls, read_controls

T = TypeVar("T")

HOUR_SECONDS = 3600
CONFLICTS_COUNTED = 10_000
"""Conflicts are counted up to this number."""
LETTERS_SAMPLED = 10
"""Dead letters that are read for their reasons."""
SAMPLE_HIDDEN_SECONDS = 2
"""How long a sample hides them from other readers."""
LEDGER, QUEUE = "ledger", "queue"
"""Parts of a side that a status is read from."""
_NOT_DONE = (Outcome.POSTPONED, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Lag:
    """Seconds from a change to its effect at the peer, over the last minutes."""

    count: int = 0
    """Changes measured."""
    median: float | None = None
    """Half of them took at most this long."""
    p99: float | None = None
    """99 of 100 took at most this long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker, as its last record describes it. Times in seconds since the epoch."""

    name: str
    """The instance."""
    alive: bool
    """Whether its record is new enough."""
    last_heartbeat: int
    """When it wrote its record."""
    state: str
    """RUNNING, PAUSED, …"""
    reason: str
    """Why it is in this state."""
    in_flight: int
    """Messages that it works on."""
    started: int
    """When its process started."""
    guard: str
    """The user id that it writes as, once proven."""
    problems: Sequence[Mapping[str, Any]] = ()
    """Its last failures."""
    denied: Mapping[str, Any] = field(default_factory=dict)
    """What was refused last and waits for an operator; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Loser:
    """The losing version of a conflict."""

    origin: str
    """The side whose user wrote it."""
    kept: bool
    """Whether it was kept under a conflict name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One side's workers and everything that waits for them."""

    name: str
    """`cn->global`."""
    now: int
    """When it was read, seconds since the epoch."""
    enabled: bool = True
    """False if the side's stack states that it carries nothing (`enableSynchronization: false`)."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Parts (ledger, queue) that could not be read, and why. Their values are empty."""
    backlog: Depth = Depth()
    """Messages of the queue."""
    dead_letters: Depth = Depth()
    """Messages of the dead-letter queue."""
    dead_letter_reasons: Mapping[str, int] = field(default_factory=dict)
    """Reasons of a sample of the dead letters."""
    oldest_seconds: float | None = None
    """Age of the oldest message in seconds."""
    workers: Sequence[Worker] = ()
    """All workers of the last days."""
    group_sizes: tuple[int, int] | None = None
    """Instances: wanted, in service."""
    puts: Lag = Lag()
    """Lag of copies."""
    deletes: Lag = Lag()
    """Lag of deletions."""
    total: Mapping[str, int] = field(default_factory=dict)
    """Outcomes since the living workers started."""
    recent: Mapping[str, int] = field(default_factory=dict)
    """Outcomes of the last `recent_seconds`."""
    recent_bytes: int = 0
    """Bytes of that time."""
    recent_seconds: int = 0
    """The longest window of the living workers."""
    controls: DirectionControls = DirectionControls()
    """Pause and limits."""
    losers: Mapping[str, Loser] = field(default_factory=dict)
    """Conflicts in this side's ledger, by the record's id. Both sides may have the same."""
    uploads: Sequence[int] = ()
    """Bytes of each object whose multipart upload is noted: under way, or left for the next worker or the finder."""
    held: Record | None = None
    """Deletions that this side's finder holds."""
    approval: Record | None = None
    """Their approval."""
    finder: Record | None = None
    """The finder's last run."""
    expected_guard: str = ""
    """The id that the peer's stack gives for its dedicated user; empty when that stack is not there."""
    one_way: bool = False
    """Whether the pair copies in this direction only."""
    expected_user: ExpectedUser | None = None
    """What the secret states."""
    keys: Sequence[AccessKey] | None = None
    """The keys of the side's dedicated user; in a one-way pair, of the destination's, the only such user."""
    versioned: bool | None = None
    """Whether this side's bucket keeps versions; None: not visible."""
    log_group: str = ""
    """The workers' log group."""
    region: str = ""
    """This side's region."""

    @property
    def conflicts(self) -> int:
        """Conflicts in this side's ledger."""
        return len(self.losers)

    @property
    def side(self) -> str:
        """The side whose workers carry it."""
        return self.name.split("->")[0]

    @property
    def peer(self) -> str:
        """The side that they write to."""
        return self.name.split("->")[1]

    @property
    def user_side(self) -> str:
        """The side whose dedicated user has `keys`."""
        return self.peer if self.one_way else self.side

    @property
    def living_workers(self) -> list[Worker]:
        """Workers whose record is new enough."""
        return [worker for worker in self.workers if worker.alive]

    @property
    def crashed_workers(self) -> list[Worker]:
        """Workers that ended within the hour by a fault: with an error, or without their last record."""
        ended = [w for w in self.workers if not w.alive and self.now - w.last_heartbeat < HOUR_SECONDS]
        return [w for w in ended if w.state != State.STOPPED or w.reason]

    @property
    def state(self) -> str:
        """The state of most living workers; DISABLED if so configured, PAUSED if so ordered."""
        if LEDGER in self.unreadable:
            return "UNKNOWN"
        states = Counter(worker.state for worker in self.living_workers)
        if not self.enabled:
            return "DISABLED"
        if self.controls.paused:
            return "PAUSED"
        return states.most_common(1)[0][0] if states else "NO WORKER"

    @property
    def done_per_second(self) -> float:
        """Messages that were completed per second, over the workers' window."""
        done = sum(count for outcome, count in self.recent.items() if outcome not in _NOT_DONE)
        return done / self.recent_seconds if self.recent_seconds else 0.0

    @property
    def catch_up_seconds(self) -> float | None:
        """An estimate of the time until the queue is empty; None when nothing waits or nothing is being done."""
        rate = self.done_per_second
        if not self.backlog.total or self.state != State.RUNNING or not rate:
            return None
        return self.backlog.total / rate


@dataclass(frozen=True, slots=True)
class Status:
    """Both directions at one time."""

    pair: str
    """The pair's name."""
    now: int
    """Seconds since the epoch."""
    directions: Sequence[Direction] = field(default_factory=list)
    """Those that can be seen."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Deployed sides that cannot be reached: why, and what to do."""
    one_way: str = ""
    """The only direction of a one-way pair, as `cn->global`; empty for a two-way pair."""
    destination_seen: bool = False
    """Whether a one-way pair's destination is deployed and can be reached."""


async def read_status(context: OperatorContext) -> Status:
    """Read everything at once. A part that cannot be read is named, and hides nothing else."""
    found = await asyncio.gather(*(_direction(context, side) for side in context.carriers))
    missing = {str(side): reason for side, reason in context.unreachable.items()}
    seen = len(context.carriers) < len(context.sides)
    return Status(context.pair, context.now(), found, missing, context.one_way, destination_seen=seen)


async def _direction(context: OperatorContext, side: Side) -> Direction:
    peer = context.sides.get(side.name.peer)
    metrics = side.metrics
    blind: dict[str, str] = {}

    async def ask(part: str, question: Awaitable[T], otherwise: T) -> T:
        try:
            return await question
        except DualSyncError as e:
            blind.setdefault(part, str(e))
            return otherwise

    def records(kind: str) -> Awaitable[list[Record]]:
        return ask(LEDGER, _records(side, kind), [])

    async def versioned() -> bool | None:
        try:
            return await side.store.keeps_versions()
        except DualSyncError:
            return None

    async with asyncio.TaskGroup() as group:

        def start(question: Awaitable[T]) -> asyncio.Task[T]:
            async def wait() -> T:
                return await question

            return group.create_task(wait())

        backlog = start(ask(QUEUE, metrics.queue_depth(), Depth()))
        dead = start(ask(QUEUE, metrics.dead_letter_depth(), Depth()))
        oldest, size = start(ask(QUEUE, metrics.oldest_age(), None)), start(ask(QUEUE, metrics.group_sizes(), None))
        promise, keys = start(ask(QUEUE, metrics.expected_user(), None)), start(ask(QUEUE, _keys(side, peer), None))
        controls = start(ask(LEDGER, read_controls(side.ledger), DirectionControls()))
        reasons = start(ask(QUEUE, _reasons(side), {}))
        workers, conflicts = start(records(WORKER)), start(records(CONFLICT))
        held, approval = start(records(HELD_DELETION)), start(records(DELETION_APPROVAL))
        finder, uploads = start(records(FINDER_RUN)), start(records(UPLOAD))
        keeps_versions = start(versioned())
    now = context.now()
    living = [record for record in workers.result() if is_alive(record, now)]
    return Direction(
        name=side.direction,
        now=now,
        enabled=side.settings.enabled,
        unreadable=blind,
        backlog=backlog.result(),
        dead_letters=dead.result(),
        dead_letter_reasons=reasons.result(),
        oldest_seconds=oldest.result(),
        workers=[_worker(record, now) for record in workers.result()],
        group_sizes=size.result(),
        puts=_lag(living, "put_lags"),
        deletes=_lag(living, "delete_lags"),
        total=_sum(living, "total"),
        recent=_sum(living, "window"),
        recent_bytes=sum(_int(record.data.get("window_bytes")) for record in living),
        recent_seconds=max((_int(record.data.get("window_seconds")) for record in living), default=0),
        controls=controls.result(),
        losers={record.id: _loser(record) for record in conflicts.result()},
        uploads=[_int(record.data.get("size")) for record in uploads.result()],
        held=next(iter(held.result()), None),
        approval=next(iter(approval.result()), None),
        finder=next(iter(finder.result()), None),
        expected_guard=peer.facts.get("userId", "") if peer is not None else "",
        one_way=side.settings.direction.one_way,
        expected_user=promise.result(),
        keys=keys.result(),
        versioned=keeps_versions.result(),
        log_group=side.facts.get("workerLogGroup", ""),
        region=side.settings.local_region,
    )


async def _keys(side: Side, peer: Side | None) -> Sequence[AccessKey] | None:
    """Return the keys of the side's dedicated user; in a one-way pair those of the destination's."""
    if not side.settings.direction.one_way:
        return await side.metrics.access_keys()
    return None if peer is None else await peer.metrics.access_keys()


async def _records(side: Side, kind: str) -> list[Record]:
    found: list[Record] = []
    async for record in side.ledger.records(kind):
        found.append(record)
        if len(found) >= CONFLICTS_COUNTED:
            break
    return found


async def _reasons(side: Side) -> dict[str, int]:
    """Return why some of the dead letters are there."""
    if not (await side.metrics.dead_letter_depth()).total:
        return {}
    letters = await side.dead_letter_queue.hold(LETTERS_SAMPLED, SAMPLE_HIDDEN_SECONDS)
    await side.dead_letter_queue.release(letters)
    return dict(Counter(letter.reason or UNEXPLAINED_REASON for letter in letters))


UNEXPLAINED_REASON = "received five times without success (a worker crashed on it, or it can't be read)"


def group_reasons(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Group reasons of one kind, most frequent first: `denied, as …` instead of a line per object."""
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
        last_heartbeat=record.time,
        state=str(data.get("state", "")),
        reason=str(data.get("reason", "")),
        in_flight=_int(data.get("in_flight")),
        started=_int(data.get("started")),
        guard=str(data.get("guard", "")),
        problems=[_event(problem) for problem in problems] if isinstance(problems, list) else (),
        denied=_event(denied),
    )


def _event(value: object) -> dict[str, Any]:
    """Return what a worker reports about a key, with numbers where numbers belong."""
    given = value if isinstance(value, dict) else {}
    return {**given, **{name: _int(given[name]) for name in ("time", "seconds") if name in given}}


def _loser(record: Record) -> Loser:
    return Loser(str(record.data.get("loser", "")).split("@")[0], bool(record.data.get("kept")))


def _lag(records: Sequence[Record], name: str) -> Lag:
    parts = []
    for record in records:
        classes = record.data.get(name)
        if isinstance(classes, dict):
            parts.append({int(n): _int(count) for n, count in classes.items() if re.fullmatch("[0-9]{1,3}", n)})
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
