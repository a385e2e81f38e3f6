"""`dualsync stacks`: where the pair is."""

from __future__ import annotations

import json as texts
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dualsync.runtime.commands.session import Exit, Json, escape, session
from dualsync.runtime.operations.stacks import find_pair, pair_document


def stacks(
    invocation: typer.Context,
    save: Annotated[
        Path | None, typer.Option(help="Write the file that --pair reads, so that Pulumi is not needed.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the buckets, accounts and outputs of both sides' stacks. The outputs hold no secret."""
    cli = session(invocation, json)
    pair = cli.exit_on_error(lambda: find_pair(cli.location))
    document = pair_document(pair)
    for note in (*pair.notes, *pair.unreadable.values()):
        cli.print_note(note)
    if save is not None:
        try:
            save.write_text(texts.dumps(document, indent=2) + "\n")
        except OSError as e:
            cli.fail(f"--save {save}: {e.strerror}", Exit.USAGE)

    def text() -> None:
        table = Table("", box=None, pad_edge=False, padding=(0, 3, 0, 0))
        for side in pair.stacks:
            table.add_column(side, overflow="fold")
        rows = {
            "bucket": lambda s: s.settings.local_bucket,
            "prefix": lambda s: s.settings.local_prefix or "–",
            "region": lambda s: s.settings.local_region,
            "account": lambda s: s.fact("accountId"),
            "user": lambda s: s.fact("userName") or "–",
            "your profile": lambda s: s.profile or "the shell's",
            "queue": lambda s: s.settings.queue_url,
            "ledger": lambda s: s.settings.ledger_table,
            "workers": lambda s: s.fact("workerGroup") or "–",
            "dashboard": lambda s: s.fact("dashboardUrl") or "–",
        }
        cli.out.print(f"[bold]{pair.name}[/bold]")
        for name, row in rows.items():
            table.add_row(f"[dim]{name}[/dim]", *(escape(row(stack)) for stack in pair.stacks.values()))  # type: ignore[no-untyped-call]
        cli.out.print(table)

    cli.print_result(document, text)
