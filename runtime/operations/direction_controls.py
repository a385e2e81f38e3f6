"""Pausing, resuming and limiting a direction, and waiting until its queue is empty."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from dualsync.runtime.log import State
from dualsync.runtime.model.records import WORKER, is_alive
from dualsync.runtime.operations.audit import audit_act
from dualsync.runtime.operations.context import Depth, OperatorContext, Side
from dualsync.runtime.service.limit_timetable import Timetable
from dualsync.runtime.service.operator_controls import DirectionControls, read_controls

POLL_SECONDS = 5.0
EMPTY_POLLS = 3
"""Polls in a row that must find an empty queue: its counts are approximate for about a minute."""


async def change_controls(
    context: OperatorContext,
    sides: Sequence[Side],
    command: str,
    change: Callable[[DirectionControls], DirectionControls],
) -> list[DirectionControls]:
    """Change the controls of each side. The audit trail keeps the old and the new ones."""
    given = []
    for side in sides:
        before = await read_controls(side.ledger)
        after = change(before)
        async with audit_act(context, [side], command, {"direction": side.direction, "orders": _data(after)}) as act:
            await side.ledger.record(after.record(context.now()))
            act.result["before"] = _data(before)
        given.append(after)
    return given


async def pause(context: OperatorContext, sides: Sequence[Side], reason: str) -> list[DirectionControls]:
    """Stop receiving. What was received is finished; what comes meanwhile waits in the queue.

    The reason of an earlier pause stays unless another one is given.
    """
    now = context.now()

    def paused(controls: DirectionControls) -> DirectionControls:
        return replace(controls, paused=True, reason=reason or controls.reason, by=context.name, since=now)

    return await change_controls(context, sides, "pause", paused)


async def resume(context: OperatorContext, sides: Sequence[Side]) -> list[DirectionControls]:
    """Receive again."""
    now = context.now()
    return await change_controls(
        context,
        sides,
        "resume",
        lambda found: replace(found, paused=False, reason="", by=context.name, since=now),
    )


async def limit(
    context: OperatorContext,
    sides: Sequence[Side],
    bytes_per_second: int | None,
    requests_per_second: int | None,
    timetable: Timetable | None = None,
) -> list[DirectionControls]:
    """Set limits of the direction as a whole; None leaves one as it is, 0 lifts it.

    A timetable replaces the fixed limit of bytes, and a fixed limit the timetable.
    """

    def change(controls: DirectionControls) -> DirectionControls:
        if bytes_per_second is not None:
            controls = replace(controls, bytes_per_second=bytes_per_second, timetable=None)
        if timetable is not None:
            controls = replace(controls, timetable=timetable)
        if requests_per_second is not None:
            controls = replace(controls, requests_per_second=requests_per_second)
        return controls

    return await change_controls(context, sides, "limit", change)


def _data(controls: DirectionControls) -> dict[str, object]:
    data: dict[str, object] = dict(controls.fields())
    return data if controls.timetable is None else {**data, "timetable": controls.timetable.data()}


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """The progress of a wait, per direction."""

    depths: dict[str, Depth]
    """Messages that are left."""
    busy: dict[str, int]
    """Living workers that are not known to be paused with nothing in hand."""
    blocked: dict[str, str]
    """Why nothing is received: PAUSED, CIRCUIT_OPEN, …; empty when messages are received."""

    @property
    def remaining(self) -> int:
        """All messages that are not done."""
        return sum(depth.total for depth in self.depths.values())


async def read_progress(context: OperatorContext, sides: Sequence[Side]) -> QueueProgress:
    """Read queues and workers."""
    depths = {side.direction: await side.metrics.queue_depth() for side in sides}
    busy: dict[str, int] = {}
    blocked: dict[str, str] = {}
    for side in sides:
        busy[side.direction], blocked[side.direction] = await _workers(context, side)
    return QueueProgress(depths, busy, blocked)


async def _workers(context: OperatorContext, side: Side) -> tuple[int, str]:
    """Return the busy workers, and the state of all of them if it is one in which nothing is received."""
    busy, states = 0, set()
    async for record in side.ledger.records(WORKER):
        if is_alive(record, context.clock.now()):
            state = str(record.data.get("state"))
            states.add(state)
            busy += not (state == State.PAUSED and not record.data.get("in_flight"))
    return busy, states.pop() if len(states) == 1 and not states & {State.RUNNING} else ""


async def wait_until_empty(
    context: OperatorContext,
    sides: Sequence[Side],
    seconds: float,
    on_progress: Callable[[QueueProgress], Awaitable[None] | None],
) -> bool:
    """Wait until the queues are empty; False after `seconds` without that."""
    end, empty = context.clock.monotonic() + seconds, 0
    while True:
        now = await read_progress(context, sides)
        on_progress(now)
        empty = empty + 1 if not now.remaining else 0
        if empty >= EMPTY_POLLS:
            return True
        if context.clock.monotonic() >= end:
            return False
        await context.clock.sleep(POLL_SECONDS)


async def wait_until_idle(
    context: OperatorContext,
    sides: Sequence[Side],
    seconds: float,
    on_progress: Callable[[QueueProgress], Awaitable[None] | None],
) -> bool:
    """Wait until every living worker is paused and has nothing in hand; False after `seconds` without that."""
    end = context.clock.monotonic() + seconds
    while True:
        now = await read_progress(context, sides)
        on_progress(now)
        if not any(now.busy.values()):
            return True
        if context.clock.monotonic() >= end:
            return False
        await context.clock.sleep(POLL_SECONDS)
