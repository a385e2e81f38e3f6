"""Pausing, resuming and limiting a direction, and waiting until its queue is empty."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from dualsync.runtime.log import State
from dualsync.runtime.model.records import WORKER, is_alive
from dualsync.runtime.operations.audit import audited
from dualsync.runtime.operations.context import Depth, OperatorContext, Side
from dualsync.runtime.service.operator_controls import Orders, read_orders

LOOK_SECONDS = 5.0
QUIET_LOOKS = 3
"""So many looks in a row must see an empty queue: its counts are approximate for about a minute."""


async def give(
    context: OperatorContext, sides: Sequence[Side], command: str, change: Callable[[Orders], Orders]
) -> list[Orders]:
    """Change the orders of each side; the audit trail keeps the old and the new ones."""
    given = []
    for side in sides:
        before = await read_orders(side.ledger)
        after = change(before)
        async with audited(context, [side], command, {"direction": side.direction, "orders": _data(after)}) as act:
            await side.ledger.record(after.record(context.now()))
            act.result["before"] = _data(before)
        given.append(after)
    return given


async def pause(context: OperatorContext, sides: Sequence[Side], reason: str) -> list[Orders]:
    """Stop receiving. What was received is finished; what comes meanwhile waits in the queue."""
    now = context.now()
    return await give(
        context, sides, "pause", lambda orders: replace(orders, paused=True, reason=reason, by=context.name, since=now)
    )


async def resume(context: OperatorContext, sides: Sequence[Side]) -> list[Orders]:
    """Receive again."""
    now = context.now()
    return await give(
        context, sides, "resume", lambda orders: replace(orders, paused=False, reason="", by=context.name, since=now)
    )


async def limit(
    context: OperatorContext, sides: Sequence[Side], bytes_per_second: int | None, requests_per_second: int | None
) -> list[Orders]:
    """Set limits of the direction as a whole; None leaves one as it is, 0 lifts it."""

    def change(orders: Orders) -> Orders:
        if bytes_per_second is not None:
            orders = replace(orders, bytes_per_second=bytes_per_second)
        if requests_per_second is not None:
            orders = replace(orders, requests_per_second=requests_per_second)
        return orders

    return await give(context, sides, "limit", change)


def _data(orders: Orders) -> dict[str, object]:
    return dict(orders.fields())


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """Where a wait stands: messages left of each direction, and workers that still work."""

    depths: dict[str, Depth]
    busy: dict[str, int]

    @property
    def left(self) -> int:
        """All messages that are not done."""
        return sum(depth.total for depth in self.depths.values())


async def look(context: OperatorContext, sides: Sequence[Side]) -> QueueProgress:
    """Queues and workers now."""
    depths = {side.direction: await side.metrics.depth() for side in sides}
    return QueueProgress(depths, {side.direction: await _busy(context, side) for side in sides})


async def _busy(context: OperatorContext, side: Side) -> int:
    """Living workers that are not known to be paused with nothing in hand."""
    busy = 0
    async for record in side.ledger.records(WORKER):
        still = record.data.get("state") == State.PAUSED and not record.data.get("in_flight")
        busy += is_alive(record, context.clock.now()) and not still
    return busy


async def wait_until_empty(
    context: OperatorContext,
    sides: Sequence[Side],
    seconds: float,
    on_progress: Callable[[QueueProgress], Awaitable[None] | None],
) -> bool:
    """Wait until the queues are empty; False after `seconds` without that."""
    end, quiet = context.clock.now() + seconds, 0
    while True:
        now = await look(context, sides)
        on_progress(now)
        quiet = quiet + 1 if not now.left else 0
        if quiet >= QUIET_LOOKS:
            return True
        if context.clock.now() >= end:
            return False
        await context.clock.sleep(LOOK_SECONDS)


async def wait_until_idle(
    context: OperatorContext,
    sides: Sequence[Side],
    seconds: float,
    on_progress: Callable[[QueueProgress], Awaitable[None] | None],
) -> bool:
    """Wait until every living worker is paused and has nothing in hand; False after `seconds` without that."""
    end = context.clock.now() + seconds
    while True:
        now = await look(context, sides)
        on_progress(now)
        if not any(now.busy.values()):
            return True
        if context.clock.now() >= end:
            return False
        await context.clock.sleep(LOOK_SECONDS)
