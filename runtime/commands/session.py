"""What every command needs: the pair, an output that fits its reader, errors in one line, and a person's yes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from dualsync.runtime.errors import DualSyncError, FatalError, PermanentError
from dualsync.runtime.operations.stacks import Pair, Where, find
from dualsync.runtime.settings import SideName

if TYPE_CHECKING:
    from dualsync.runtime.operations.context import OperatorContext, Side

T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    DONE = 0
    FAILED = 1
    """Something did not work, or the answer was no; nothing more was done."""
    USAGE = 2
    ATTENTION = 3
    """It worked, and a person has to look: a problem, a difference, a wait that ended without the wished result."""


EXIT_CODES = (
    "Exit codes: 0 done; 1 failed, or you said no; 2 wrong usage or settings; 3 done, and a person has to look"
    " (a problem, a difference, a wait in vain)."
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

OpenContext = Callable[[Where], Awaitable["OperatorContext"]]


class AwsContextOpener:
    """Opens a context at AWS; asks Pulumi only once, however often a command opens it."""

    def __init__(self) -> None:
        self._pair: Pair | None = None

    async def __call__(self, where: Where) -> OperatorContext:
        # boto3 takes most of a second to import: not for --help.
        from dualsync.runtime.operations.aws.open import open_context

        if self._pair is None:
            self._pair = await asyncio.to_thread(find, where)
        return await open_context(self._pair)


@dataclass(slots=True)
class Session:
    """One call of the command line. `open_context` is replaced by tests."""

    where: Where = field(default_factory=Where)
    json: bool = False
    open_context: OpenContext = field(default_factory=AwsContextOpener)
    out: Console = field(default_factory=lambda: _console())
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True))

    def run(self, work: Callable[[OperatorContext], Coroutine[Any, Any, T]]) -> T:
        """Open the context, do the work; errors become one line and an exit code."""

        async def all_of_it() -> T:
            return await work(await self.open_context(self.where))

        return self.guard(lambda: asyncio.run(all_of_it()))

    def guard(self, function: Callable[[], T]) -> T:
        """Do it; a known error becomes one line on stderr and an exit code."""
        try:
            return function()
        except FatalError as e:
            self.fail(str(e), Exit.USAGE)
        except PermanentError as e:
            self.fail(str(e))
        except DualSyncError as e:
            self.fail(f"{type(e).__name__}: {e}")
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    def fail(self, text: str, code: Exit = Exit.FAILED) -> NoReturn:
        """Say why, and end."""
        self.err.print(f"[red]error:[/red] {escape(text)}")
        raise typer.Exit(code)

    def show(self, document: object, text: Callable[[], None], code: Exit = Exit.DONE) -> None:
        """The result, as JSON or for people, and the exit code."""
        if self.json:
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")
        else:
            text()
        if code is not Exit.DONE:
            raise typer.Exit(code)

    def say(self, text: str) -> None:
        """A line for people about what is going on; not part of the result."""
        if not self.json:
            self.err.print(text)

    def ask(self, question: str, yes: bool) -> None:
        """Go on only with a person's yes."""
        if yes:
            return
        if self.json or not sys.stdin.isatty():
            self.fail(f"{question} Say so with --yes.", Exit.USAGE)
        if not typer.confirm(question, default=False, err=True):
            self.fail("nothing was done")


PIPE_WIDTH = 1000
"""Columns where no terminal says how many: a table's row is one line for `grep`, and nothing is cut off."""


def _console() -> Console:
    piped = not sys.stdout.isatty()
    return Console(
        highlight=False, soft_wrap=piped, width=PIPE_WIDTH if piped and "COLUMNS" not in os.environ else None
    )


def escape(text: str) -> str:
    """Text that is no markup: keys may hold brackets, and control characters that would move the cursor."""
    from rich.markup import escape as rich_escape

    return rich_escape("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))


def session(invocation: typer.Context, json_too: bool = False) -> Session:
    """The call's session; `--json` counts before and after the command's name."""
    found = invocation.obj
    if not isinstance(found, Session):
        found = invocation.obj = Session()
    found.json = found.json or json_too
    return found


def sides_of(context: OperatorContext, direction: str) -> list[Side]:
    """`cn`, `cn->global` or `all`: the sides whose workers carry it. Raises `FatalError`."""
    if direction == "all":
        return list(context.sides.values())
    name = direction.split("->")[0]
    try:
        return [context.sides[SideName(name)]]
    except ValueError:
        raise FatalError(
            f"direction {direction!r}: use cn (or 'cn->global'), global (or 'global->cn'), or all"
        ) from None
    except KeyError:
        raise FatalError(f"side {name} is not deployed, or its stack was not found") from None


Direction = Annotated[
    str,
    typer.Argument(
        help="cn (also 'cn->global'), global (also 'global->cn'), or all.",
        autocompletion=lambda: ["cn", "global", "all"],
        show_default=True,
    ),
]


def where_of(
    pair: Path | None, project: Path | None, stacks: dict[SideName, str | None], profiles: dict[SideName, str | None]
) -> Where:
    """Flags and environment as `Where`."""
    return Where(
        file=pair,
        project=project or Path(os.curdir),
        stack_names={side: name for side, name in stacks.items() if name},
        profiles={side: name for side, name in profiles.items() if name},
    )
