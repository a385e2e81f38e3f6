"""`dualsync audit` and `dualsync stacks`: what operators did, and where the pair is."""

from __future__ import annotations

import json as texts
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.formatting import moment
from dualsync.runtime.commands.session import Direction, Exit, Json, escape, session, sides_of
from dualsync.runtime.model.records import Record
from dualsync.runtime.operations.audit import trail
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.stacks import document_of, find


def audit(
    invocation: typer.Context,
    direction: Direction = "all",
    limit: Annotated[int, typer.Option(min=1, help="The last so many.")] = 50,
    json: Json = False,
) -> None:
    """Who did what, and how it went: every act of an operator, from the ledgers."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> list[tuple[Side, Record]]:
        return [(side, record) for side in sides_of(context, direction) for record in await trail(side, limit)]

    acts: dict[str, tuple[Record, list[str]]] = {}
    for side, record in cli.run(work):
        acts.setdefault(record.id, (record, []))[1].append(str(side.name))
    ordered = sorted(acts.values(), key=lambda act: (act[0].time, act[0].id))[-limit:]
    document = {"acts": [{"id": r.id, "time": r.time, "key": r.key, "sides": s, **r.data} for r, s in ordered]}

    def text() -> None:
        table = Table("time", box=None, pad_edge=False)
        for column in ("who", "command", "sides", "state", "what"):
            table.add_column(column, overflow="fold")
        for record, sides in ordered:
            data: dict[str, Any] = dict(record.data)
            what = {n: v for n, v in {**data.get("arguments", {}), **data.get("result", {})}.items() if v}
            what = {n: v for n, v in what.items() if n not in ("direction", "before")}
            table.add_row(
                moment(record.time),
                escape(_name(str(data.get("who", "")))),
                str(data.get("command", "")),
                ", ".join(sides),
                str(data.get("state", "")),
                escape(_brief(what)),
            )
        cli.out.print(table if ordered else "nothing yet")

    cli.show(document, text)


def _name(who: str) -> str:
    return " / ".join(dict.fromkeys(arn.rsplit(":", 1)[-1] for arn in who.split(" / ")))


def _brief(values: dict[str, Any]) -> str:
    """`a=1, b=x`: what has a value, orders without who gave them."""
    flat = {**values, **values["orders"]} if isinstance(values.get("orders"), dict) else values
    return ", ".join(f"{n}={v}" for n, v in flat.items() if v and n not in ("orders", "by", "since"))


def stacks(
    invocation: typer.Context,
    save: Annotated[Path | None, typer.Option(help="Write a file for --pair: no Pulumi needed then.")] = None,
    json: Json = False,
) -> None:
    """Where the pair is: its sides' buckets, accounts and stacks' outputs. Nothing secret is in it."""
    cli = session(invocation, json)
    pair = cli.guard(lambda: find(cli.where))
    document = document_of(pair)
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

    cli.show(document, text)
