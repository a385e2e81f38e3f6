"""`dualsync status`: both directions at a glance, once or as a live screen."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dualsync.runtime.commands.formatting import duration, moment, number, rate, size
from dualsync.runtime.commands.session import Exit, Json, escape, session
from dualsync.runtime.log import Outcome, State
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.problems import Problem, Severity, problems
from dualsync.runtime.operations.status import Direction, Status, gather

_COLOURS = {Severity.STOPPED: "bold red", Severity.WAITING: "yellow", Severity.NOTE: "cyan"}


def status(
    invocation: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="A live screen; Ctrl-C ends it.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks of --watch.")] = 5,
    json: Json = False,
) -> None:
    """Is it running, how far behind, what waits for a person?

    State, lag, backlog, echoes, conflicts, held deletions, dead letters, workers, finder, guard and key of each
    direction; then each problem with the command that mends it. Exit code 3 when something is stopped or waits for a
    person.
    """
    cli = session(invocation, json)
    if watch and not cli.json and cli.out.is_terminal:
        cli.run(lambda context: _watch(context, every, cli.out))
        return
    found = cli.run(gather)
    wrong = problems(found)
    bad = any(problem.weight is not Severity.NOTE for problem in wrong)
    cli.show(document(found, wrong), lambda: cli.out.print(screen(found, wrong)), Exit.ATTENTION if bad else Exit.DONE)


async def _watch(context: OperatorContext, every: float, out: Any) -> None:
    with Live(Text("looking …"), console=out, screen=True, auto_refresh=False) as live:
        while True:
            found = await gather(context)
            live.update(screen(found, problems(found)), refresh=True)
            await asyncio.sleep(every)


def document(found: Status, wrong: list[Problem]) -> dict[str, Any]:
    """The status for programs."""
    directions = []
    for direction in found.directions:
        data = dataclasses.asdict(direction)
        data["state"] = direction.state
        data["backlog"]["total"] = direction.backlog.total
        data["workers_alive"] = len(direction.alive)
        directions.append(data)
    return {
        "pair": found.pair,
        "time": found.now,
        "healthy": not any(p.weight is not Severity.NOTE for p in wrong),
        "directions": directions,
        "problems": [dataclasses.asdict(problem) for problem in wrong],
    }


def screen(found: Status, wrong: list[Problem]) -> RenderableType:
    """The status for people."""
    title = f"[bold]{escape(found.pair)}[/bold]  {moment(found.now)}"
    table = Table(title=title, title_justify="left", show_header=True, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
    for direction in found.directions:
        table.add_column(direction.name, style="bold" if direction.state == "RUNNING" else "", overflow="fold")
    for name, row in _rows().items():
        table.add_row(f"[dim]{name}[/dim]", *(row(direction) for direction in found.directions))
    return Group(table, Text(), _verdict(wrong))


def _rows() -> dict[str, Any]:
    return {
        "state": _state,
        "workers": _workers,
        "lag of puts": lambda d: _lag(d.puts),
        "lag of deletions": lambda d: _lag(d.deletes),
        "oldest pending": lambda d: duration(d.oldest),
        "backlog": lambda d: (
            f"{number(d.backlog.visible)} waiting, {number(d.backlog.in_flight)} in flight,"
            f" {number(d.backlog.delayed)} postponed"
        ),
        "copied, deleted": lambda d: (
            f"{number(d.total.get(Outcome.COPIED, 0))}, {number(d.total.get(Outcome.DELETED, 0))}"
        ),
        "speed": _speed,
        "uploads under way": lambda d: f"{number(len(d.uploads))}, {size(sum(d.uploads))}" if d.uploads else "0",
        "echoes suppressed": lambda d: number(d.total.get(Outcome.CANCELLED, 0)),
        "conflicts": lambda d: number(d.conflicts),
        "held deletions": lambda d: str(d.held.data.get("count")) if d.held is not None else "0",
        "dead letters": lambda d: f"[yellow]{d.dead.total}[/yellow]" if d.dead.total else "0",
        "finder": _finder,
        "guard": _guard,
        "limits": _limits,
        "key's age": _key,
    }


def _state(d: Direction) -> str:
    colour = {"RUNNING": "green", "PAUSED": "yellow", "STARTING": "yellow"}.get(d.state, "bold red")
    return f"[{colour}]{d.state}[/{colour}]"


def _workers(d: Direction) -> str:
    wanted = f", group {d.group[1]} of {d.group[0]}" if d.group else ""
    busy = sum(worker.in_flight for worker in d.alive)
    return f"{len(d.alive)} alive, {busy} messages in hand{wanted}"


def _lag(lag: Any) -> str:
    if not lag.count:
        return "none lately"
    return f"{duration(lag.median)} median, {duration(lag.p99)} p99 ({number(lag.count)} lately)"


def _speed(d: Direction) -> str:
    seconds = d.recent_seconds or 1
    done = sum(d.recent.get(outcome, 0) for outcome in (Outcome.COPIED, Outcome.PULLED, Outcome.DELETED))
    return f"{done / seconds:.1f} objects/s, {size(d.recent_bytes / seconds)}/s"


def _finder(d: Direction) -> str:
    if d.finder is None:
        return "has not run yet"
    data = d.finder.data
    ago = duration(d.now - d.finder.time)
    archived = f", [yellow]{data['archived']} archived[/yellow]" if data.get("archived") else ""
    return (
        f"{ago} ago: {data.get('here', 0)} here, {data.get('there', 0)} there, {data.get('queued', 0)} queued{archived}"
    )


def _guard(d: Direction) -> str:
    waiting = (State.WAITING_FOR_PEER, State.GUARD_REFUSED)
    proven = {worker.guard for worker in d.alive if worker.guard and worker.state not in waiting}
    if not proven:
        return "[yellow]not proven[/yellow]"
    user = ", ".join(sorted(proven))
    if d.expected_guard and proven != {d.expected_guard}:
        return f"[red]{escape(user)}, expected {escape(d.expected_guard)}[/red]"
    return f"[green]proven[/green] {escape(user)}"


def _limits(d: Direction) -> str:
    limits = []
    if d.orders.bytes_per_second:
        limits.append(rate(d.orders.bytes_per_second))
    if d.orders.requests_per_second:
        limits.append(f"{d.orders.requests_per_second} requests/s")
    return ", ".join(limits) or "none"


def _key(d: Direction) -> str:
    if not d.keys:
        return "not visible to you" if d.keys is None else "no key"
    return ", ".join(f"{duration(d.now - key.created)}{'' if key.active else ' (inactive)'}" for key in d.keys)


def _verdict(wrong: list[Problem]) -> RenderableType:
    if not wrong:
        return Text("All is well.", style="green")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for problem in wrong:
        colour = _COLOURS[problem.weight]
        table.add_row(
            f"[{colour}]{problem.weight}[/{colour}]",
            problem.direction,
            f"{escape(problem.what)}\n[dim]→ {escape(problem.remedy)}[/dim]",
        )
    return table
