"""`dualsync pause`, `resume`, `limit` and `drain`: what the workers are told while they run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dualsync.runtime.commands.formatting import rate, some
from dualsync.runtime.commands.progress import showing
from dualsync.runtime.commands.session import Direction, Exit, Json, Session, Yes, session, sides_of
from dualsync.runtime.operations import direction_controls
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.service.operator_controls import CONTROL_POLL_SECONDS, Orders, read_orders
from dualsync.runtime.settings import SideName

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}

Wait = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait at most.")]


def pause(
    context: typer.Context,
    direction: Direction = "all",
    reason: Annotated[str, typer.Option(help="Why; `status` shows it to your colleagues.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Come back when no worker has anything in hand.")] = False,
    timeout: Wait = 900,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Stop carrying changes in a direction. Nothing is lost: changes wait in the queue (for days, see its retention).

    Workers finish what they have; they hear of it within half a minute.
    """
    here = session(context, json)
    here.ask(f"Pause {direction}? Changes wait until `dualsync resume {direction}`.", yes)

    async def work(desk: OperatorContext) -> tuple[list[Side], list[Orders], bool | None]:
        sides = sides_of(desk, direction)
        orders = await direction_controls.pause(desk, sides, reason)
        still = None
        if wait:
            with showing(here, "waiting for the workers") as tell:
                still = await direction_controls.until_still(desk, sides, timeout, lambda now: tell(0, _words(now)))
        return sides, orders, still

    _show(here, *here.run(work), done="paused; ends with `dualsync resume`")


def resume(context: typer.Context, direction: Direction = "all", json: Json = False) -> None:
    """Carry changes again, first what has waited."""
    here = session(context, json)

    async def work(desk: OperatorContext) -> tuple[list[Side], list[Orders], bool | None]:
        sides = sides_of(desk, direction)
        return sides, await direction_controls.resume(desk, sides), None

    _show(here, *here.run(work), done="resumed")


def limit(
    context: typer.Context,
    direction: Direction = "all",
    rate: Annotated[
        str | None, typer.Option("--bytes", help="Bytes a second of all its workers: 500k, 20M, 1Gi; 0 lifts it.")
    ] = None,
    requests: Annotated[
        int | None, typer.Option("--requests", min=0, help="Requests a second to the peer's bucket; 0 lifts it.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Limit a direction's speed, without redeploying. The workers that live share the limit."""
    here = session(context, json)
    if rate is None and requests is None:
        here.fail("give --bytes, --requests or both; 0 lifts a limit", Exit.USAGE)
    count = None if rate is None else here.guard(lambda: number_of(rate, here))
    here.ask(f"Change the limits of {direction}?", yes)

    async def work(desk: OperatorContext) -> tuple[list[Side], list[Orders], bool | None]:
        sides = sides_of(desk, direction)
        return sides, await direction_controls.limit(desk, sides, count, requests), None

    _show(here, *here.run(work), done="set")


def drain(
    context: typer.Context,
    direction: Direction = "all",
    then_pause: Annotated[bool, typer.Option("--then-pause", help="Pause as soon as all is done.")] = False,
    timeout: Wait = 3600,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Wait until all changes have travelled and the queues are empty. Exit code 3 when they are not in time."""
    here = session(context, json)
    if then_pause:
        here.ask(f"Pause {direction} when its queue is empty?", yes)

    paused: list[SideName] = []

    async def work(desk: OperatorContext) -> tuple[bool, direction_controls.Stillness]:
        sides = sides_of(desk, direction)
        first = await direction_controls.look(desk, sides)
        paused.extend([side.name for side in sides if (await read_orders(side.ledger)).paused])
        if paused:
            here.say(f"{' and '.join(paused)} paused: nothing goes on there until `dualsync resume`")
        with showing(here, "draining", first.left or None) as tell:
            empty = await direction_controls.until_empty(
                desk, sides, timeout, lambda now: tell(max(0, first.left - now.left), _words(now))
            )
        if empty and then_pause:
            await direction_controls.pause(desk, sides, "drained")
        return empty, await direction_controls.look(desk, sides)

    empty, now = here.run(work)
    document = {"empty": empty, "paused": empty and then_pause, "left": {d: x.total for d, x in now.depths.items()}}

    def text() -> None:
        here.out.print("empty" + (", paused" if then_pause else "") if empty else f"not empty in time: {_words(now)}")
        for side in paused if not empty else ():
            here.out.print(f"{side}->{side.peer} is paused: `dualsync resume {side}`")

    here.show(document, text, Exit.DONE if empty else Exit.ATTENTION)


def number_of(text: str, here: Session) -> int:
    """`20M` → 20000000, `1Gi` → 1073741824."""
    found = re.fullmatch(r"([0-9]+)([kmg]i?)?b?(?:/s)?", text.strip().lower())
    if found is None:
        here.fail(f"--bytes {text!r}: use a whole number with k, M, G, Ki, Mi or Gi, as 20M", Exit.USAGE)
    return int(found[1]) * _UNITS[found[2] or ""]


def _words(now: direction_controls.Stillness) -> str:
    return "; ".join(
        f"{direction}: {depth.visible} waiting, {depth.in_flight} in flight, {depth.delayed} postponed,"
        f" {some(now.busy[direction], 'worker')} at it"
        for direction, depth in now.depths.items()
    )


def _show(here: Session, sides: Sequence[Side], orders: Sequence[Orders], still: bool | None, *, done: str) -> None:
    document: dict[str, Any] = {
        "directions": [
            {"direction": side.direction, **order.fields()} for side, order in zip(sides, orders, strict=True)
        ]
    }
    if still is not None:
        document["still"] = still

    def text() -> None:
        for side, order in zip(sides, orders, strict=True):
            limits = rate(order.bytes_per_second) if order.bytes_per_second else "no limit of bytes"
            requests = f"{order.requests_per_second} requests/s" if order.requests_per_second else "none of requests"
            here.out.print(
                f"{side.direction}: {done} (heard within {CONTROL_POLL_SECONDS:.0f} s; {limits}, {requests})"
            )
        if still is not None:
            here.out.print("no worker has anything in hand" if still else "[yellow]some still work[/yellow]")

    here.show(document, text, Exit.ATTENTION if still is False else Exit.DONE)
