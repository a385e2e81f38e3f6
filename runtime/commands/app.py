"""The command line, put together. Names, help and exit codes are its contract; programs read `--json`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from dualsync.runtime.commands.audit import audit, stacks
from dualsync.runtime.commands.conflicts import conflicts
from dualsync.runtime.commands.deletions import deletions
from dualsync.runtime.commands.direction_controls import drain, limit, pause, resume
from dualsync.runtime.commands.dlq import dlq
from dualsync.runtime.commands.explain import explain
from dualsync.runtime.commands.finder import plan, reconcile
from dualsync.runtime.commands.keys import rotate_key
from dualsync.runtime.commands.session import EXIT_CODES, session, where_of
from dualsync.runtime.commands.smoke import smoke
from dualsync.runtime.commands.status import status
from dualsync.runtime.commands.verify import verify
from dualsync.runtime.settings import SideName

app = typer.Typer(
    name="dualsync",
    help="Two S3 buckets kept the same: what an operator asks and does. Start with `dualsync status`.",
    epilog=f"{EXIT_CODES} `dualsync worker`, `finder` and `settings` are the services' own words.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LOOK, DECIDE, ACT = "Look", "Decide", "AuditedAct"


@app.callback()
def options(
    invocation: typer.Context,
    pair: Annotated[
        Path | None,
        typer.Option(envvar="DUALSYNCCTL_PAIR", help="File with both stacks' outputs (`dualsync stacks --save`)."),
    ] = None,
    project: Annotated[
        Path | None, typer.Option(envvar="DUALSYNCCTL_PROJECT", help="The Pulumi program's folder; default: here.")
    ] = None,
    stack_cn: Annotated[str | None, typer.Option(envvar="DUALSYNCCTL_STACK_CN", help="Stack of cn.")] = None,
    stack_global: Annotated[
        str | None, typer.Option(envvar="DUALSYNCCTL_STACK_GLOBAL", help="Stack of global.")
    ] = None,
    profile_cn: Annotated[
        str | None, typer.Option(envvar="DUALSYNCCTL_PROFILE_CN", help="Your AWS profile in cn's account.")
    ] = None,
    profile_global: Annotated[
        str | None, typer.Option(envvar="DUALSYNCCTL_PROFILE_GLOBAL", help="Your AWS profile in global's account.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for programs.")] = False,
) -> None:
    """Options of every command: where the pair is, and who you are."""
    cli = session(invocation, json)
    cli.where = where_of(
        pair,
        project,
        {SideName.CN: stack_cn, SideName.GLOBAL: stack_global},
        {SideName.CN: profile_cn, SideName.GLOBAL: profile_global},
    )


COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    LOOK: (status, verify, explain, plan, audit, stacks),
    ACT: (pause, resume, limit, drain, reconcile, rotate_key, smoke),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for name, group in (("conflicts", conflicts), ("deletions", deletions), ("dlq", dlq)):
    app.add_typer(group, name=name, rich_help_panel=DECIDE)
