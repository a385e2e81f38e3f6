"""`dualsync status`: both directions, once or as a live screen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dualsync.runtime.commands.output.formatting import moment
from dualsync.runtime.commands.output.status_document import status_document
from dualsync.runtime.commands.output.status_screen import screen
from dualsync.runtime.commands.session import Exit, Json, session
from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.key_text.plain_text import escaped
from dualsync.runtime.operations.problems import Severity, problems
from dualsync.runtime.operations.status import Direction, Status, gather


def status(
    invocation: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="A live screen; Ctrl-C ends it.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two pictures of --watch.")] = 5,
    json: Json = False,
) -> None:
    """Show whether changes travel, how far behind they are, and what needs an operator.

    The first line is the verdict. Then come the problems, each with the command that ends it, and a table of both
    directions: state, backlog, lag, dead letters, held deletions, conflicts, finder, guard and key. Exit code 3 when a
    direction is stopped or an operator has to act.
    """
    cli = session(invocation, json)
    if watch and not cli.json and cli.out.is_terminal:
        cli.run(lambda context: _watch(context, every, cli.out), partial=True, names_unreachable=True)
        return
    found = cli.run(gather, partial=True, names_unreachable=True)
    wrong = problems(found)
    bad = any(problem.weight is not Severity.NOTE for problem in wrong)
    cli.show(
        status_document(found, wrong),
        lambda: cli.out.print(screen(found, wrong, cli.out, complete=not cli.out.is_terminal)),
        Exit.ATTENTION if bad else Exit.DONE,
    )


@dataclass(slots=True)
class Memory:
    """The last good picture of each direction, for the time without an answer."""

    last: dict[str, Direction] = field(default_factory=dict)
    """By direction, the last one that was read whole."""
    answered: dict[str, int] = field(default_factory=dict)
    """When it was read, seconds since the epoch."""

    def keep(self, found: Status) -> tuple[Status, str]:
        """Return the status with the last good values where there is no answer, and a line that states since when."""
        shown: list[Direction] = []
        missing: dict[str, str] = {}
        for direction in found.directions:
            if not direction.blind:
                self.last[direction.name] = direction
                self.answered[direction.name] = direction.now
                shown.append(direction)
            elif direction.name in self.last:
                missing[direction.name] = next(iter(direction.blind.values()))
                shown.append(self.last[direction.name])
            else:
                shown.append(direction)
        return replace(found, directions=shown), self._banner(missing)

    def without_answer(self, found: Status, why: str) -> tuple[Status, str]:
        """Return the last picture, and a line that states since when it is the last."""
        return found, self._banner(dict.fromkeys(self.last, why)) or f"no answer: {escaped(why)}"

    def _banner(self, missing: Mapping[str, str]) -> str:
        if not missing:
            return ""
        since = moment(min(self.answered[name] for name in missing))
        why = escaped(next(iter(missing.values())))
        return f"no answer about {' and '.join(missing)} since {since}: {why}"


async def _watch(context: OperatorContext, every: float, out: Console) -> None:
    memory = Memory()
    shown = Status(context.pair, context.now())
    with Live(Text("reading …"), console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            try:
                shown, banner = memory.keep(await gather(context))
            except DualSyncError as e:
                shown, banner = memory.without_answer(shown, str(e))
            height = out.size.height
            live.update(screen(shown, problems(shown), out, height=height, banner=banner), refresh=True)
            await asyncio.sleep(every)
