"""What every command needs: the pair, an output that fits its reader, errors in one line, and the operator's yes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from dualsync.runtime.errors import DualSyncError, FatalError, PermanentError, UnavailableError
from dualsync.runtime.log import printable_json
from dualsync.runtime.model.field_reader import is_encodable
from dualsync.runtime.operations.key_text.plain_text import display_key, escape_invisible
from dualsync.runtime.operations.stacks import Pair, PairLocation, find_pair
from dualsync.runtime.settings import SideName

if TYPE_CHECKING:
    from dualsync.runtime.operations.context import OperatorContext, Side

T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    DONE = 0
    """Done."""
    FAILED = 1
    """Something did not work, or the answer was no. Nothing more was done."""
    USAGE = 2
    """The command line or a setting is wrong."""
    ATTENTION = 3
    """Done, with a problem, a difference, or a wait that ended without its result."""


EXIT_CODES = (
    "Exit codes: 0 done; 1 failed, or you said no; 2 wrong usage or settings; 3 done, but an operator has to act"
    " (a problem, a difference, a wait that timed out)."
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def refuse_empty(invocation: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Return a selection's text. Raises `BadParameter` for an empty one: a shell's unset variable would choose all."""
    given = invocation.get_parameter_source(str(parameter.name))
    if not value and given is not None and given.name == "COMMANDLINE" and not invocation.resilient_parsing:
        raise typer.BadParameter("it is empty; give a text, or leave the option out to choose all")
    return value


Prefix = Annotated[str, typer.Option(help="Only keys that start with this.", callback=refuse_empty)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]

OpenContext = Callable[[PairLocation], Awaitable["OperatorContext"]]


class AwsContextOpener:
    """Open a context at AWS. Pulumi is asked once per call of the command line."""

    def __init__(self) -> None:
        self._pair: Pair | None = None

    async def __call__(self, where: PairLocation) -> OperatorContext:
        # boto3 takes most of a second to import: not for --help.
        from dualsync.runtime.operations.aws.open import open_context

        if self._pair is None:
            self._pair = await asyncio.to_thread(find_pair, where)
        return await open_context(self._pair)


@dataclass(slots=True)
class Session:
    """One call of the command line."""

    location: PairLocation = field(default_factory=PairLocation)
    """How to find the pair."""
    json: bool = False
    """Whether the result is one JSON document."""
    open_context: OpenContext = field(default_factory=AwsContextOpener)
    """Opens both sides. Tests replace it."""
    out: Console = field(default_factory=lambda: _console())
    """Standard output: the result."""
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False, soft_wrap=True, emoji=False))
    """Standard error: questions, notes, progress and errors."""
    noted: set[str] = field(default_factory=set)
    """Notes that are printed already: a command may open the sides more than once."""

    def run(
        self,
        work: Callable[[OperatorContext], Coroutine[Any, Any, T]],
        *,
        partial: bool = False,
        names_unreachable: bool = False,
    ) -> T:
        """Open both sides and do the work; a known error becomes one line and an exit code.

        Without `partial` a deployed side that cannot be reached ends the command before anything is done. With
        `names_unreachable` the result itself names such a side, so that no note does.
        """

        async def open_and_work() -> T:
            context = await self.open_context(self.location)
            for note in context.notes:
                self.print_note(note)
            for side, reason in context.unreachable.items():
                if not partial:
                    raise (UnavailableError if side in context.unavailable else FatalError)(reason)
                if not names_unreachable:
                    self.print_note(f"{side} cannot be reached: {reason}")
            return await work(context)

        return self.exit_on_error(lambda: asyncio.run(open_and_work()))

    def exit_on_error(self, function: Callable[[], T]) -> T:
        """Call `function`; a known error becomes one line on stderr and an exit code."""
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
        """Print the error, and end with `code`."""
        self.err.print(f"[red]error:[/red] {escape(text)}")
        raise typer.Exit(code)

    def print_result(self, document: object, text: Callable[[], None], code: Exit = Exit.DONE) -> None:
        """Print the result, as JSON or as text, and end with `code`."""
        if self.json:
            ascii_only = not str(sys.stdout.encoding).lower().startswith("utf")
            document_text = json.dumps(document, indent=2, ensure_ascii=ascii_only, default=str)
            sys.stdout.write(printable_json(document_text) + "\n")
        else:
            text()
        if code is not Exit.DONE:
            raise typer.Exit(code)

    def print_progress(self, text: str) -> None:
        """Print a line about the work under way; it is not part of the result."""
        if not self.json:
            self.err.print(text)

    def print_note(self, text: str) -> None:
        """Print a note on stderr, once; with `--json` too, as stdout stays pure."""
        if text not in self.noted:
            self.noted.add(text)
            self.err.print(f"[cyan]note:[/cyan] {escape(text)}")

    def confirm(self, question: str, yes: bool) -> None:
        """Return only after the operator's yes."""
        if yes:
            return
        if self.json or not sys.stdin.isatty():
            self.fail(f"{question} Confirm with --yes.", Exit.USAGE)
        if not typer.confirm(escape_invisible(question), default=False, err=True):
            self.fail("nothing was done")


PIPE_WIDTH = 1000
"""Columns where there is no terminal: a table's row is one line for `grep`, and nothing is cut off."""
TERMINAL_WIDTH = 80
"""Columns of a terminal whose shell states too few."""
MIN_WIDTH = 20
"""Fewer columns, as a shell without a size has them (`COLUMNS=0`), would leave nothing of a line."""


def _console() -> Console:
    piped = not sys.stdout.isatty()
    columns = os.environ.get("COLUMNS", "")
    width = PIPE_WIDTH if piped else TERMINAL_WIDTH if columns.isdigit() else None
    if columns.isdecimal() and int(columns) >= MIN_WIDTH:
        width = None  # rich takes the variable
    # Without emoji=False the key `:smile:` would become another.
    return Console(highlight=False, emoji=False, soft_wrap=piped, width=width)


NO_MARKUP = "[none][/none]"
"""A style without effect around nothing: it separates a text from the markup that follows."""


def escape(text: str) -> str:
    """Return text for a console: its brackets are no markup, and no character moves the cursor."""
    return _without_markup(escape_invisible(text))


def key_text(key: str) -> str:
    """Return a key for a console, as it can be pasted into a shell."""
    return _without_markup(display_key(key))


def _without_markup(text: str) -> str:
    """Return markup that shows exactly `text`, whatever stands before and behind it.

    rich's own `escape` considers one text alone. Beside another, `[a` and `b]` become a tag, and nothing is shown; it
    also doubles a backslash at the end, which is needed only before a tag.
    """
    return re.sub(r"(?<!\\)(\\*)(\[|\Z)", _separate, text)


def _separate(found: re.Match[str]) -> str:
    """Return backslashes, doubled before a tag as markup wants them, and a bracket, each with a tag behind it."""
    backslashes, bracket = found[1], found[2]
    return (f"{backslashes * 2}{NO_MARKUP}" if backslashes else "") + (f"{bracket}{NO_MARKUP}" if bracket else "")


def session(invocation: typer.Context, json_too: bool = False) -> Session:
    """Return the call's session; `--json` counts before and after the command's name.

    Texts that are not UTF-8 end the command: no key, name or reason is one.
    """
    found = invocation.obj
    if not isinstance(found, Session):
        found = invocation.obj = Session()
    found.json = found.json or json_too
    for parameter in invocation.command.params:
        value = invocation.params.get(str(parameter.name))
        if isinstance(value, str) and not is_encodable(value):
            found.fail(f"{parameter.opts[0]}={value!r}: holds bytes that are not UTF-8; give it in UTF-8", Exit.USAGE)
    return found


DIRECTION_WORDS = ("all", *SideName, *(f"{side}->{side.peer}" for side in SideName))


def check_direction(cli: Session, direction: str) -> None:
    """Refuse a word that names no direction, before any question is asked."""
    if direction not in DIRECTION_WORDS:
        cli.fail(_wrong_direction(direction), Exit.USAGE)


def _wrong_direction(direction: str) -> str:
    return f"direction {direction!r}: use cn (or 'cn->global'), global (or 'global->cn'), or all"


def sides_of(context: OperatorContext, direction: str) -> list[Side]:
    """Return the sides whose workers carry `cn`, `cn->global` or `all`. Raises `FatalError`."""
    if direction not in DIRECTION_WORDS:
        raise FatalError(_wrong_direction(direction))
    if direction == "all":
        return context.carriers
    name = SideName(direction.split("->")[0])
    if context.one_way and not context.one_way.startswith(name):
        raise FatalError(f"direction {direction!r}: the pair is one-way and copies {context.one_way} only; give that")
    return [side_named(context, name)]


def side_named(context: OperatorContext, name: SideName) -> Side:
    """Return a side, whether it carries changes or not. Raises `FatalError`."""
    if name in context.sides:
        return context.sides[name]
    raise FatalError(
        context.unreachable.get(name)
        or f"side {name} is not deployed, or its stack was not found: run `pulumi up` of its stack, or give"
        f" --stack-{name}"
    )


def note_whole_prefix(cli: Session, context: OperatorContext, prefix: str) -> None:
    """Print a note if `prefix` begins with the pair's own, as S3 shows keys: it is relative to that."""
    for own in dict.fromkeys(side.settings.local_prefix for side in context.sides.values()):
        if own and prefix.startswith(own):
            cli.print_note(
                f"--prefix {prefix!r} is relative to the pair's prefix {own!r}, so it means {own + prefix!r}; leave"
                f" {own!r} out if you mean {prefix!r}"
            )


LAST_SECOND = 253_402_300_799
"""The end of the year 9999, which is the last that a calendar has."""


def parse_time(option: str, text: str, now: datetime, cli: Session) -> float:
    """Return `2026-11-23T15:00` (UTC unless an offset is given) or an age of `4h` in seconds since the epoch."""
    ago = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if ago is not None:
        found = now.timestamp() - int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[ago[2]]
    else:
        try:
            given = datetime.fromisoformat(re.sub(r"\s+(?=[+-][0-9]{2}:?[0-9]{2}$)", "", text.strip()))
        except ValueError:
            cli.fail(
                f"{option} {text!r}: use a time such as 2026-11-23T15:00 (UTC), or an age such as 30m, 4h, 2d",
                Exit.USAGE,
            )
        found = (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
    if not 0 <= found <= LAST_SECOND:
        cli.fail(f"{option} {text!r}: is not between 1970 and 9999; give a time in which S3 has existed", Exit.USAGE)
    return found


Direction = Annotated[
    str,
    typer.Argument(
        help="cn (also 'cn->global'), global (also 'global->cn'), or all.",
        autocompletion=lambda: ["cn", "global", "all"],
        show_default=True,
    ),
]


def pair_location(
    pair: Path | None, project: Path | None, stacks: dict[SideName, str | None], profiles: dict[SideName, str | None]
) -> PairLocation:
    """Return flags and environment as a `PairLocation`."""
    return PairLocation(
        file=pair,
        project=project or Path(os.curdir),
        stack_names={side: name for side, name in stacks.items() if name},
        profiles={side: name for side, name in profiles.items() if name},
    )
