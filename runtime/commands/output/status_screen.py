"""The status as text: the verdict first, then the problems with their remedies, then the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dualsync.runtime.commands.output.formatting import duration, local_time, number, rate, size, timetable_text
from dualsync.runtime.commands.session import escape
from dualsync.runtime.log import Outcome, State
from dualsync.runtime.operations.problems import BOTH, Problem, Severity
from dualsync.runtime.operations.status import LEDGER, QUEUE, Direction, Lag, Status

COLOURS = {Severity.STOPPED: "bold red", Severity.WAITING: "yellow", Severity.NOTE: "cyan"}
EMPTY = frozenset({"0", "none", "–"})
"""Values of rows that may be left out."""
UNKNOWN = "unknown"
TWO_WAY = frozenset({"echoes", "conflicts"})
"""Rows about what a one-way pair does not have. They are shown only for what an earlier two-way pair left."""


def verdict(found: Status, wrong: Sequence[Problem]) -> str:
    """Return the pair's condition in one line, as markup."""
    count = {severity: sum(p.weight is severity for p in wrong) for severity in Severity}
    words = {Severity.STOPPED: "stopped", Severity.WAITING: "waiting for you", Severity.NOTE: "to note"}
    counted = ", ".join(f"{n} {words[severity]}" for severity, n in count.items() if n)
    pair, time = f"[bold]{escape(found.pair)}[/bold]", f"[dim]{local_time(found.now)}[/dim]"
    if count[Severity.STOPPED]:
        return f"{pair}: [bold red]STOPPED[/bold red]: {counted}  {time}"
    if count[Severity.WAITING]:
        return f"{pair}: [yellow]needs attention[/yellow]: {counted}  {time}"
    return f"{pair}: [green]All is well.[/green]{f' {counted}' if counted else ''}  {time}"


def mode(found: Status) -> str:
    """Return how a one-way pair copies."""
    source, _, destination = found.one_way.partition("->")
    return f"one-way: {destination} mirrors {source}, and nothing is written at {source}"


def screen(
    found: Status,
    wrong: Sequence[Problem],
    console: Console,
    *,
    height: int | None = None,
    complete: bool = False,
    banner: str = "",
) -> RenderableType:
    """Return the status for a console of its width.

    Rows that are zero on both sides are left out unless `complete`. With a `height` the whole fits into that many
    lines, and the last one states how much is hidden.
    """
    head: list[RenderableType] = [Text.from_markup(verdict(found, wrong), emoji=False)]
    if found.one_way:
        head.append(Text(mode(found), style="dim"))
    if banner:
        head.append(Text(banner, style="bold red"))
    shown = [_problem(problem) for problem in merge_directions(wrong)]
    rows = rows_of(found)
    zero = [] if complete else [name for name, values in rows.items() if all(value in EMPTY for value in values)]
    kept = [name for name in rows if name not in zero]
    if height is None:
        return Group(*head, *shown, *_below(found, rows, kept, zero, 0, 0))
    hidden_problems = hidden_rows = 0
    # The table's first rows (state, workers, waiting) stay as long as possible; problems are cut last.
    while True:
        below = _below(found, rows, kept, zero, hidden_problems, hidden_rows)
        picture = Group(*head, *shown, *below)
        lines = len(console.render_lines(picture, pad=False))
        if lines <= height:
            return picture
        if len(kept) > 3 or (kept and len(shown) <= 1):
            kept.pop()
            hidden_rows += 1
        elif len(shown) > 1:
            shown.pop()
            hidden_problems += 1
        else:
            return picture


def _below(
    found: Status,
    rows: dict[str, list[str]],
    kept: Sequence[str],
    zero: Sequence[str],
    hidden_problems: int,
    hidden_rows: int,
) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if kept and found.directions:
        parts += [Text(), _table(found, rows, kept)]
    notes = []
    if hidden_problems or hidden_rows:
        counts = [f"{hidden_problems} problems"] * bool(hidden_problems) + [f"{hidden_rows} rows"] * bool(hidden_rows)
        notes.append(f"hidden for lack of room: {' and '.join(counts)}; `dualsync status` shows them")
    elif zero:
        notes.append(f"zero{'' if found.one_way else ' on both sides'}: {', '.join(zero)}")
    parts += [Text(note, style="dim") for note in notes]
    return parts


def _table(found: Status, rows: dict[str, list[str]], kept: Sequence[str]) -> Table:
    table = Table(show_header=True, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for direction in found.directions:
        table.add_column(direction.name, overflow="fold")
    for name in kept:
        table.add_row(f"[dim]{name}[/dim]", *rows[name])
    return table


def rows_of(found: Status) -> dict[str, list[str]]:
    """Return the table's rows with a value per direction, without those that a one-way pair does not have."""
    rows = {name: [row(d) for d in found.directions] for name, row in ROWS.items()}
    left_out = {name for name in TWO_WAY if found.one_way and all(value in EMPTY for value in rows[name])}
    return {name: values for name, values in rows.items() if name not in left_out}


def merge_directions(wrong: Sequence[Problem]) -> list[Problem]:
    """Return the problems; two that differ in nothing but the direction are one."""
    found: dict[tuple[str, str, str], Problem] = {}
    for problem in wrong:
        same = (problem.weight, problem.what, problem.remedy)
        found[same] = replace(problem, direction=BOTH) if same in found else problem
    return list(found.values())


def _problem(problem: Problem) -> RenderableType:
    """Return the lines of a problem: weight, direction, what is wrong, and the remedy below."""
    colour = COLOURS[problem.weight]
    where = "both directions" if problem.direction == BOTH else problem.direction
    what, remedy = escape(problem.what), escape(problem.remedy)
    # Without `overflow`: a pipe's console cuts a folded line at its width instead of folding it.
    return Text.from_markup(
        f"[{colour}]{problem.weight}[/{colour}] {where}: {what}\n  [dim]→ {remedy}[/dim]", emoji=False
    )


def _of(part: str, row: Callable[[Direction], str]) -> Callable[[Direction], str]:
    """Return the row's value, or that it is unknown because its part could not be read."""
    return lambda d: f"[yellow]{UNKNOWN}[/yellow]" if part in d.unreadable else row(d)


def _state(d: Direction) -> str:
    colour = {"RUNNING": "green", "PAUSED": "yellow", "DISABLED": "yellow", "STARTING": "yellow"}.get(
        d.state, "bold red"
    )
    return f"[{colour}]{escape(d.state)}[/{colour}]"


def _workers(d: Direction) -> str:
    busy = sum(worker.in_flight for worker in d.living_workers)
    wanted = f" of {d.group_sizes[0]}" if d.group_sizes else ""
    return f"{len(d.living_workers)}{wanted} alive, {number(busy)} in hand"


def _backlog(d: Direction) -> str:
    depth = d.backlog
    if not depth.total:
        return "0"
    more = [f"{number(depth.in_flight)} in flight"] * bool(depth.in_flight)
    more += [f"{number(depth.delayed)} postponed"] * bool(depth.delayed)
    return f"{number(depth.visible)} waiting" + (f", {', '.join(more)}" if more else "")


def _catch_up(d: Direction) -> str:
    return "–" if d.catch_up_seconds is None else f"about {duration(d.catch_up_seconds)}"


def _lag(lag: Lag) -> str:
    return "none" if not lag.count else f"{duration(lag.median)}, p99 {duration(lag.p99)}"


def _done(d: Direction) -> str:
    copied, deleted = d.total.get(Outcome.COPIED, 0), d.total.get(Outcome.DELETED, 0)
    if not (copied or deleted):
        return "0"
    since = min((worker.started for worker in d.living_workers), default=0)
    when = f" since {local_time(since)[5:16]}" if since else ""
    return f"{number(copied)} / {number(deleted)}{when}"


def _speed(d: Direction) -> str:
    seconds = d.recent_seconds or 1
    done = sum(d.recent.get(outcome, 0) for outcome in (Outcome.COPIED, Outcome.PULLED, Outcome.DELETED))
    if not done:
        return "0"
    return f"{done / seconds:.1f}/s, {size(d.recent_bytes / seconds)}/s over {duration(seconds)}"


def _finder(d: Direction) -> str:
    if d.finder is None:
        return "has not run yet"
    data = d.finder.data
    here, there, queued = (data.get(name) for name in ("here", "there", "queued"))
    counts = ", ".join(
        f"{number(value)} {word}"
        for value, word in ((here, "here"), (there, "there"), (queued, "queued"))
        if isinstance(value, int)
    )
    archived = f", [yellow]{escape(str(data['archived']))} archived[/yellow]" if data.get("archived") else ""
    return f"{duration(d.now - d.finder.time)} ago{f': {counts}' if counts else ''}{archived}"


def _guard(d: Direction) -> str:
    waiting = (State.WAITING_FOR_PEER, State.GUARD_REFUSED)
    proven = {worker.guard for worker in d.living_workers if worker.guard and worker.state not in waiting}
    if not proven:
        return "[yellow]not proven[/yellow]"
    user = ", ".join(sorted(proven))
    if d.expected_guard and proven != {d.expected_guard}:
        return f"[red]{escape(user)}, expected {escape(d.expected_guard)}[/red]"
    return "[green]proven[/green]" if d.expected_guard else f"[green]proven[/green] {escape(user)}"


def _limits(d: Direction) -> str:
    limits = []
    limit = d.controls.byte_limit(d.now)
    if limit:
        limits.append(rate(limit))
    if d.controls.timetable is not None:
        limits.append(f"by time: {escape(timetable_text(d.controls.timetable))}")
    if d.controls.requests_per_second:
        limits.append(f"{d.controls.requests_per_second} requests/s")
    return ", ".join(limits) or "none"


def _key(d: Direction) -> str:
    if not d.keys:
        return "not visible to you" if d.keys is None else "no key"
    return ", ".join(f"{duration(d.now - key.created)}{'' if key.active else ' (inactive)'}" for key in d.keys)


def _held(d: Direction) -> str:
    return escape(str(d.held.data.get("count"))) if d.held is not None else "0"


ROWS: dict[str, Callable[[Direction], str]] = {
    "state": _state,
    "workers": _of(LEDGER, _workers),
    "waiting": _of(QUEUE, _backlog),
    "catch-up": _catch_up,
    "oldest": _of(QUEUE, lambda d: duration(d.oldest_seconds)),
    "lag of puts": lambda d: _lag(d.puts),
    "lag of deletions": lambda d: _lag(d.deletes),
    "copied / deleted": _done,
    "speed": _speed,
    "uploads": lambda d: f"{number(len(d.uploads))}, {size(sum(d.uploads))}" if d.uploads else "0",
    "echoes": lambda d: number(d.total.get(Outcome.CANCELLED, 0)),
    "dead letters": _of(QUEUE, lambda d: f"[yellow]{d.dead_letters.total}[/yellow]" if d.dead_letters.total else "0"),
    "held deletions": _of(LEDGER, _held),
    "conflicts": _of(LEDGER, lambda d: number(d.conflicts)),
    "finder": _of(LEDGER, _finder),
    "guard": _of(LEDGER, _guard),
    "limits": _limits,
    "key's age": _key,
}
"""The table's rows, the most important first."""
