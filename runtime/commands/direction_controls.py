"""`dualsync pause`, `resume`, `limit` and `drain`: controls of the workers while they run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from dualsync.runtime.commands.output.documents import controls_document
from dualsync.runtime.commands.output.formatting import number, rate, timetable_text
from dualsync.runtime.commands.output.progress import show_progress
from dualsync.runtime.commands.session import (
    Direction,
    Exit,
    Json,
    Session,
    Yes,
    check_direction,
    escape,
    session,
    sides_of,
)
from dualsync.runtime.operations import direction_controls
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.service.consumer import WAIT_SECONDS
from dualsync.runtime.service.limit_timetable import (
    MAX_ENTRIES,
    MAX_RATE,
    LimitChange,
    Timetable,
    find_time_zone,
    parse_minute,
)
from dualsync.runtime.service.operator_controls import CONTROL_POLL_SECONDS, DirectionControls, read_controls
from dualsync.runtime.settings import SideName

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}

PAUSE_SECONDS = CONTROL_POLL_SECONDS + WAIT_SECONDS
"""Seconds until a pause takes effect: until the worker has read it, and the long poll under way has ended."""

Wait = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait at most.")]


def pause(
    invocation: typer.Context,
    direction: Direction = "all",
    reason: Annotated[str, typer.Option(help="Why; `status` shows it.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Return when no worker has a message in hand.")] = False,
    timeout: Wait = 900,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Stop carrying changes in a direction. Nothing is lost: changes wait in the queue (for days, see its retention).

    Workers finish the messages that they have. The pause takes effect within 30 seconds.
    """
    cli = session(invocation, json)
    check_direction(cli, direction)
    cli.confirm(f"Pause {direction}? Changes wait until `dualsync resume {direction}`.", yes)

    async def work(context: OperatorContext) -> tuple[list[Side], list[DirectionControls], bool | None]:
        sides = sides_of(context, direction)
        controls = await direction_controls.pause(context, sides, reason)
        still = None
        if wait:
            with show_progress(cli, "waiting for the workers") as on_progress:
                still = await direction_controls.wait_until_idle(
                    context, sides, timeout, lambda now: on_progress(0, _words(now))
                )
        return sides, controls, still

    _show(cli, *cli.run(work), done="paused; ends with `dualsync resume`", within_seconds=PAUSE_SECONDS)


def resume(invocation: typer.Context, direction: Direction = "all", json: Json = False) -> None:
    """Carry changes again, beginning with those that have waited."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> tuple[list[Side], list[DirectionControls], bool | None]:
        sides = sides_of(context, direction)
        return sides, await direction_controls.resume(context, sides), None

    _show(cli, *cli.run(work), done="resumed")


def limit(
    invocation: typer.Context,
    direction: Direction = "all",
    rate: Annotated[
        str | None, typer.Option("--bytes", help="Bytes per second of all its workers: 500k, 20M, 1Gi; 0 lifts it.")
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option("--requests", min=0, max=MAX_RATE, help="Requests per second to the peer's bucket; 0 lifts it."),
    ] = None,
    timetable: Annotated[
        str, typer.Option(help="Bytes per second by the time of day, instead of --bytes: '08:00 20M, 19:00 off'.")
    ] = "",
    zone: Annotated[str, typer.Option(help="Time zone of --timetable: Asia/Shanghai, Europe/Berlin.")] = "UTC",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Limit a direction's speed, without redeploying. Its living workers share the limit.

    A timetable holds every day until another limit is given; --bytes 0 ends it.
    """
    cli = session(invocation, json)
    if rate is None and requests is None and not timetable:
        cli.fail("give --bytes, --requests or --timetable; 0 lifts a limit", Exit.USAGE)
    if rate is not None and timetable:
        cli.fail("give --bytes or --timetable, not both: each replaces the other", Exit.USAGE)
    count = None if rate is None else cli.exit_on_error(lambda: parse_size(rate, cli))
    table = parse_timetable(timetable, zone, cli) if timetable else None
    check_direction(cli, direction)
    cli.confirm(f"Change the limits of {direction}?", yes)

    async def work(context: OperatorContext) -> tuple[list[Side], list[DirectionControls], bool | None]:
        sides = sides_of(context, direction)
        return sides, await direction_controls.limit(context, sides, count, requests, table), None

    _show(cli, *cli.run(work), done="set")


def drain(
    invocation: typer.Context,
    direction: Direction = "all",
    then_pause: Annotated[bool, typer.Option("--then-pause", help="Pause as soon as all is done.")] = False,
    timeout: Wait = 3600,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Wait until all changes have travelled and the queues are empty. Exit code 3 when they are not in time."""
    cli = session(invocation, json)
    check_direction(cli, direction)
    if then_pause:
        cli.confirm(f"Pause {direction} when its queue is empty?", yes)

    paused: list[SideName] = []

    async def work(context: OperatorContext) -> tuple[bool, direction_controls.QueueProgress]:
        sides = sides_of(context, direction)
        first = await direction_controls.read_progress(context, sides)
        paused.extend([side.name for side in sides if (await read_controls(side.ledger)).paused])
        if paused:
            cli.print_progress(f"{' and '.join(paused)} paused: nothing travels there until `dualsync resume`")
        with show_progress(cli, "draining", first.remaining or None) as on_progress:
            empty = await direction_controls.wait_until_empty(
                context, sides, timeout, lambda now: on_progress(max(0, first.remaining - now.remaining), _words(now))
            )
        if empty and then_pause:
            await direction_controls.pause(context, sides, "drained")
        return empty, await direction_controls.read_progress(context, sides)

    empty, now = cli.run(work)
    document = {"empty": empty, "paused": empty and then_pause, "left": {d: x.total for d, x in now.depths.items()}}

    def text() -> None:
        cli.out.print(
            "empty" + (", paused" if then_pause else "") if empty else f"not empty in time: {escape(_words(now))}"
        )
        for side in paused if not empty else ():
            cli.out.print(f"{side}->{side.peer} is paused: `dualsync resume {side}`")

    cli.print_result(document, text, Exit.DONE if empty else Exit.ATTENTION)


def parse_timetable(text: str, zone: str, cli: Session) -> Timetable:
    """Parse `08:00 20M, 19:00 off`."""
    if find_time_zone(zone) is None:
        cli.fail(f"--zone {zone!r}: is not a time zone; use a name such as Asia/Shanghai or UTC", Exit.USAGE)
    changes: dict[int, LimitChange] = {}
    for part in text.split(","):
        words = part.split()
        minute = parse_minute(words[0]) if len(words) == 2 else None
        if minute is None:
            cli.fail(f"--timetable {part.strip()!r}: use a time and a limit, as in '08:00 20M, 19:00 off'", Exit.USAGE)
        if minute in changes:
            cli.fail(f"--timetable {words[0]!r}: is given twice; give each time once", Exit.USAGE)
        off = words[1].lower() == "off"
        changes[minute] = LimitChange(minute, 0 if off else parse_size(words[1], cli, "--timetable"))
    if len(changes) > MAX_ENTRIES:
        cli.fail(f"--timetable: {len(changes)} changes; use at most {MAX_ENTRIES} per day", Exit.USAGE)
    return Timetable(tuple(changes[minute] for minute in sorted(changes)), zone)


def parse_size(text: str, cli: Session, option: str = "--bytes") -> int:
    """Parse a size: `20M` → 20000000, `1Gi` → 1073741824."""
    found = re.fullmatch(r"([0-9]{1,16})([kmg]i?)?b?(?:/s)?", text.strip().lower())
    size = -1 if found is None else int(found[1]) * _UNITS[found[2] or ""]
    if not 0 <= size <= MAX_RATE:
        cli.fail(
            f"{option} {text[:40]!r}: use a whole number with k, M, G, Ki, Mi or Gi, as 20M, and at most 1000000G",
            Exit.USAGE,
        )
    return size


def _words(now: direction_controls.QueueProgress) -> str:
    """Return both directions short enough for a progress line of 80 columns."""
    parts = []
    for direction, depth in now.depths.items():
        side = direction.split("->")[0]
        text = f"{side}: {number(depth.visible)} waiting"
        text += f", {number(depth.in_flight + depth.delayed)} under way" * bool(depth.in_flight + depth.delayed)
        if now.blocked.get(direction):
            text += f" ({now.blocked[direction]})"
        elif not now.busy[direction] and depth.total:
            text += " (no worker)"
        parts.append(text)
    return "; ".join(parts)


def _show(
    cli: Session,
    sides: Sequence[Side],
    controls: Sequence[DirectionControls],
    still: bool | None,
    *,
    done: str,
    within_seconds: float = CONTROL_POLL_SECONDS,
) -> None:
    document: dict[str, Any] = {
        "directions": [
            {"direction": side.direction, **controls_document(one)} for side, one in zip(sides, controls, strict=True)
        ]
    }
    if still is not None:
        document["still"] = still

    def text() -> None:
        for side, one in zip(sides, controls, strict=True):
            limits = rate(one.bytes_per_second) if one.bytes_per_second else "no limit of bytes"
            limits = limits if one.timetable is None else escape(timetable_text(one.timetable))
            requests = f"{one.requests_per_second} requests/s" if one.requests_per_second else "none of requests"
            cli.out.print(f"{side.direction}: {done} (in effect within {within_seconds:.0f} s; {limits}, {requests})")
        if still is not None:
            cli.out.print("no worker has a message in hand" if still else "[yellow]some still work[/yellow]")

    cli.print_result(document, text, Exit.ATTENTION if still is False else Exit.DONE)
