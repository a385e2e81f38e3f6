"""The command line, put together. Names, help and exit codes are its contract; programs read `--json`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dualsync.runtime.commands.audit import audit
from dualsync.runtime.commands.conflicts import conflicts
from dualsync.runtime.commands.deletions import deletions
from dualsync.runtime.commands.direction_controls import drain, limit, pause, resume
from dualsync.runtime.commands.dlq import dlq
from dualsync.runtime.commands.explain import explain
from dualsync.runtime.commands.finder import plan, reconcile
from dualsync.runtime.commands.keys import rotate_key
from dualsync.runtime.commands.reports.pending import pending
from dualsync.runtime.commands.reports.report import report
from dualsync.runtime.commands.session import EXIT_CODES, pair_location, session
from dualsync.runtime.commands.setup.doctor import doctor
from dualsync.runtime.commands.setup.init import init
from dualsync.runtime.commands.smoke import smoke
from dualsync.runtime.commands.stacks import stacks
from dualsync.runtime.commands.status import status
from dualsync.runtime.commands.verify import verify
from dualsync.runtime.commands.version import print_version, version
from dualsync.runtime.settings import SideName

GLOBAL_OPTIONS = ("--pair", "--project", "--stack-cn", "--stack-global", "--profile-cn", "--profile-global")
"""Options of every command. Each takes a value."""
PAIR_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""The same as `Settings.pair`: on a worker, `DUALSYNC_PAIR` is the pair's name."""


class GlobalOptionsAnywhere(TyperGroup):
    """A command line that takes its global options before or after the command's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move global options to the front, where click expects them.

        The context's class depends on the version of typer: click's own or its copy of it.
        """
        bare = option_without_value(args)
        if bare and not ctx.resilient_parsing:
            ctx.fail(f"Option '{bare}' requires an argument.")
        return super().parse_args(ctx, global_options_first(args))


def global_options_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with global options before the command's name; nothing after `--` is moved."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return [*front, *rest, word, *words]
        if word in GLOBAL_OPTIONS:
            value = next(words, None)
            front += [word] if value is None else [word, value]
        elif word.partition("=")[0] in GLOBAL_OPTIONS:
            front.append(word)
        else:
            rest.append(word)
    return [*front, *rest]


def option_without_value(arguments: Sequence[str]) -> str:
    """Return the global option that ends the arguments: moved to the front, it would take the command as its value."""
    words = iter(arguments)
    for word in words:
        if word == "--":
            return ""
        if word in GLOBAL_OPTIONS and next(words, None) is None:
            return word
    return ""


app = typer.Typer(
    name="dualsync",
    cls=GlobalOptionsAnywhere,
    help="Operate a pair of S3 buckets that are kept identical. Start with `dualsync status`.",
    epilog=f"{EXIT_CODES} `dualsync worker`, `workers` and `finder` start the services.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SET_UP, LOOK, DECIDE, ACT = "Set up", "Look", "Decide", "Act"


def _variable(name: str) -> list[str]:
    return [f"DUALSYNC_{name}", f"DUALSYNCCTL_{name}"]


@app.callback()
def options(
    invocation: typer.Context,
    pair: Annotated[
        Path | None,
        typer.Option(envvar=_variable("PAIR"), help="File with both stacks' outputs (`dualsync stacks --save`)."),
    ] = None,
    project: Annotated[
        Path | None, typer.Option(envvar=_variable("PROJECT"), help="The Pulumi program's folder; default: here.")
    ] = None,
    stack_cn: Annotated[str | None, typer.Option(envvar=_variable("STACK_CN"), help="Stack of cn.")] = None,
    stack_global: Annotated[str | None, typer.Option(envvar=_variable("STACK_GLOBAL"), help="Stack of global.")] = None,
    profile_cn: Annotated[
        str | None, typer.Option(envvar=_variable("PROFILE_CN"), help="Your AWS profile in cn's account.")
    ] = None,
    profile_global: Annotated[
        str | None, typer.Option(envvar=_variable("PROFILE_GLOBAL"), help="Your AWS profile in global's account.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print this program's version."),
    ] = False,
) -> None:
    """Choose the pair and your credentials. These options may stand before or after the command."""
    cli = session(invocation, json)
    for name in sorted(os.environ):
        if name.startswith("DUALSYNCCTL_"):
            cli.print_note(f"{name} is deprecated: set {name.replace('DUALSYNCCTL_', 'DUALSYNC_')} instead")
    if pair is not None and _is_a_name(pair):
        pair = None
    cli.location = pair_location(
        pair,
        project,
        {SideName.CN: stack_cn, SideName.GLOBAL: stack_global},
        {SideName.CN: profile_cn, SideName.GLOBAL: profile_global},
    )


def _is_a_name(pair: Path) -> bool:
    """Return whether this is a worker's variable, the pair's name, not an operator's."""
    given = os.environ.get("DUALSYNC_PAIR") == str(pair) and "DUALSYNC_SIDE" in os.environ
    return given and PAIR_NAME.fullmatch(str(pair)) is not None and not pair.exists()


COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    SET_UP: (init, doctor),
    LOOK: (status, pending, verify, explain, plan, report, audit, stacks, version),
    ACT: (pause, resume, limit, drain, reconcile, rotate_key, smoke),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for name, group in (("conflicts", conflicts), ("deletions", deletions), ("dlq", dlq)):
    app.add_typer(group, name=name, rich_help_panel=DECIDE)
