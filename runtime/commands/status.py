"""`dualsync status`: both directions, once or as a live screen."""

from __future__ import annotations

import asyncio
import json as texts
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dualsync.runtime.commands.output.formatting import local_time
from dualsync.runtime.commands.output.page_server import LOOPBACK, PageServer
from dualsync.runtime.commands.output.status_document import status_document
from dualsync.runtime.commands.output.status_page import status_page
from dualsync.runtime.commands.output.status_screen import screen
from dualsync.runtime.commands.session import Exit, Json, Session, session
from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import printable_json
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.key_text.plain_text import escape_invisible
from dualsync.runtime.operations.problems import Severity, problems
from dualsync.runtime.operations.status import Direction, Status, read_status


def status(
    invocation: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="A live screen; Ctrl-C ends it.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two pictures of --watch and --serve.")] = 5,
    html: Annotated[Path | None, typer.Option(help="Write the status as a page to this file.")] = None,
    serve: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Serve a read-only page on this port of 127.0.0.1; 0 takes a free one."),
    ] = None,
    json: Json = False,
) -> None:
    """Show whether changes travel, how far behind they are, and what needs an operator.

    The first line is the verdict. Then come the problems, each with the command that ends it, and a table of both
    directions: state, backlog, lag, dead letters, held deletions, conflicts, finder, guard and key. Exit code 3 when a
    direction is stopped or an operator has to act.
    """
    cli = session(invocation, json)
    if serve is not None:
        cli.run(lambda context: _serve(cli, context, every, serve), partial=True, names_unreachable=True)
        return
    if watch and not cli.json and cli.out.is_terminal:
        cli.run(lambda context: _watch(context, every, cli.out), partial=True, names_unreachable=True)
        return
    found = cli.run(read_status, partial=True, names_unreachable=True)
    wrong = problems(found)
    bad = any(problem.weight is not Severity.NOTE for problem in wrong)
    if html is not None:
        try:
            html.write_text(status_page(found, wrong), encoding="utf-8")
        except OSError as e:
            cli.fail(f"--html {html}: {e.strerror}; give a file that can be written", Exit.USAGE)
    cli.print_result(
        status_document(found, wrong),
        lambda: cli.out.print(screen(found, wrong, cli.out, complete=not cli.out.is_terminal)),
        Exit.ATTENTION if bad else Exit.DONE,
    )


@dataclass(slots=True)
class LastAnswers:
    """The last good picture of each direction, for the time without an answer."""

    directions: dict[str, Direction] = field(default_factory=dict)
    """By direction, the last one that was read whole."""
    read_at: dict[str, int] = field(default_factory=dict)
    """When it was read, seconds since the epoch."""

    def fill_gaps(self, found: Status) -> tuple[Status, str]:
        """Return the status with the last good values where there is no answer, and a line that states since when."""
        shown: list[Direction] = []
        missing: dict[str, str] = {}
        for direction in found.directions:
            if not direction.unreadable:
                self.directions[direction.name] = direction
                self.read_at[direction.name] = direction.now
                shown.append(direction)
            elif direction.name in self.directions:
                missing[direction.name] = next(iter(direction.unreadable.values()))
                shown.append(self.directions[direction.name])
            else:
                shown.append(direction)
        return replace(found, directions=shown), self._banner(missing)

    def mark_unanswered(self, found: Status, why: str) -> tuple[Status, str]:
        """Return the last picture, and a line that states since when it is the last."""
        return found, self._banner(dict.fromkeys(self.directions, why)) or f"no answer: {escape_invisible(why)}"

    def _banner(self, missing: Mapping[str, str]) -> str:
        if not missing:
            return ""
        since = local_time(min(self.read_at[name] for name in missing))
        why = escape_invisible(next(iter(missing.values())))
        return f"no answer about {' and '.join(missing)} since {since}: {why}"


@dataclass(slots=True)
class StatusView:
    """The last status that was read, for a screen or a page."""

    status: Status
    """What to show."""
    banner: str = "reading …"
    """Since when there is no answer; empty while there is one."""
    memory: LastAnswers = field(default_factory=LastAnswers)
    """The last good values."""

    async def read(self, context: OperatorContext) -> None:
        """Read the status again. A call that fails leaves the last picture, with a banner."""
        try:
            self.status, self.banner = self.memory.fill_gaps(await read_status(context))
        except DualSyncError as e:
            self.status, self.banner = self.memory.mark_unanswered(self.status, str(e))


async def _watch(context: OperatorContext, every: float, out: Console) -> None:
    picture = StatusView(Status(context.pair, context.now()))
    with Live(Text("reading …"), console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            await picture.read(context)
            shown = screen(picture.status, problems(picture.status), out, height=out.size.height, banner=picture.banner)
            live.update(shown, refresh=True)
            await asyncio.sleep(every)


async def _serve(cli: Session, context: OperatorContext, every: float, port: int) -> None:
    """Read the status repeatedly, and serve the last picture."""
    picture = StatusView(Status(context.pair, context.now()))

    def page() -> tuple[str, str]:
        found = picture.status
        return "text/html", status_page(found, problems(found), every=every, banner=picture.banner)

    def document() -> tuple[str, str]:
        data = status_document(picture.status, problems(picture.status)) | {"no_answer": picture.banner or None}
        return "application/json", printable_json(texts.dumps(data, ensure_ascii=False, default=str)) + "\n"

    await picture.read(context)
    try:
        server = await PageServer({"/": page, "/status.json": document}).start(port)
    except OSError as e:
        cli.fail(f"--serve {port}: {e.strerror}; give another port", Exit.USAGE)
    async with server:
        cli.err.print(f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/ (read-only; Ctrl-C ends it)")
        while True:
            await asyncio.sleep(every)
            await picture.read(context)
