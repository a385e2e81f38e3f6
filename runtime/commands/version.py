"""`dualsync version`: which version runs here, at the workers and at the finders."""

from __future__ import annotations

import sys

import typer

from dualsync.runtime.commands.session import Exit, Json, escape, session
from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.versions import Versions, read_versions
from dualsync.runtime.settings import VERSION


def print_version(wanted: bool) -> None:
    """Print this program's version, and end."""
    if wanted:
        sys.stdout.write(f"dualsync {VERSION}\n")
        raise typer.Exit


def version(invocation: typer.Context, json: Json = False) -> None:
    """Show the version of this command line, of the workers and of the finders.

    Exit code 3 when they differ: update the older ones. `dualsync --version` needs no pair and no credentials.
    """
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> list[Versions]:
        read = []
        for side in context.carriers:
            try:
                read.append(await read_versions(side, context.now()))
            except DualSyncError as e:
                cli.print_note(f"the versions of {side.name} can't be read from its ledger: {e}")
        return read

    found = cli.run(work, partial=True)
    known = {VERSION} | {v for each in found for v in (*each.workers, each.finder) if v}
    document = {
        "cli": VERSION,
        "same": len(known) == 1,
        "sides": {str(v.side.name): {"workers": v.workers, "finder": v.finder} for v in found},
    }

    def text() -> None:
        cli.out.print(f"this command line  {VERSION}")
        for each in found:
            name = each.side.name
            workers = ", ".join(f"{v} ({n})" for v, n in sorted(each.workers.items())) or "none alive"
            cli.out.print(f"workers of {name}".ljust(19) + escape(workers))
            cli.out.print(f"finder of {name}".ljust(19) + escape(each.finder or "has not run yet"))
        if len(known) > 1:
            cli.out.print(
                "[yellow]The versions differ:[/yellow] `pulumi up` of a side updates its workers and its finder;"
                " update the command line where it is installed."
            )

    cli.print_result(document, text, Exit.DONE if len(known) == 1 else Exit.ATTENTION)
