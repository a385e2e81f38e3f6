"""`dualsync pending`: the keys whose synchronisation is not done."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.formatting import count_text, number, short_local_time
from dualsync.runtime.commands.session import Exit, Json, Session, escape, key_text, session
from dualsync.runtime.operations.reports import pending as operations
from dualsync.runtime.operations.reports.pending import PendingDirection, PendingKey, PendingState


def pending(
    invocation: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many keys; --json has all.")] = 50,
    json: Json = False,
) -> None:
    """List the keys whose synchronisation is not done: uploads under way, held deletions, dead letters, postponed keys.

    They come from the ledgers, the dead-letter queues and the last 35 minutes of the logs. SQS does not list the
    messages of a queue: changes that no worker has received yet have a number and no key, and `dualsync plan` finds
    them by comparing both sides. Exit code 3 when an operator must decide.
    """
    cli = session(invocation, json)
    found = cli.run(operations.pending, partial=True)
    decide = any(key.state in (PendingState.HELD, PendingState.DEAD_LETTER) for d in found for key in d.keys)
    cli.print_result(_document(found), lambda: _text(cli, found, limit), Exit.ATTENTION if decide else Exit.DONE)


def _document(found: list[PendingDirection]) -> dict[str, Any]:
    return {
        "directions": [
            {
                "name": direction.name,
                "keys": [
                    {"key": key.key, "state": str(key.state), "reason": key.reason, "since": key.since or None}
                    for key in direction.keys
                ],
                "held": direction.held,
                "messages": None if direction.depth is None else direction.depth.total,
                "unseen": direction.unseen,
            }
            for direction in found
        ]
    }


def _text(cli: Session, found: list[PendingDirection], limit: int) -> None:
    rows = _rows(found)
    if rows:
        table = Table("key", "state", "direction", "since", "why", box=None, pad_edge=False)
        table.columns[0].overflow = "fold"
        for column in table.columns[1:4]:
            column.no_wrap = True
        for key, name in rows[:limit]:
            since = short_local_time(key.since) if key.since else ""
            table.add_row(key_text(key.key), str(key.state), name, since, escape(key.reason))
        cli.out.print(table)
    if len(rows) > limit:
        cli.out.print(f"… and {number(len(rows) - limit)} more: --limit, or --json for all")
    for direction in found:
        for text in direction.unseen:
            cli.out.print(f"[yellow]{direction.name}: not listed: {escape(text)}[/yellow]")
    for direction in found:
        waiting = "unknown" if direction.depth is None else number(direction.depth.total)
        held = f", {count_text(direction.held, 'deletion')} held" if direction.held else ""
        keys = count_text(len({key.key for key in direction.keys}), "key")
        cli.out.print(f"{direction.name}: {keys} known{held}; messages in the queue: {waiting}")
    cli.out.print("`dualsync explain KEY` shows one key in detail; `dualsync plan` finds every key that differs")


def _rows(found: list[PendingDirection]) -> list[tuple[PendingKey, str]]:
    """Return each key once per state, with its direction: both sides' finders hold the same deletion.

    A key may also have several dead letters in one direction.
    """
    rows: dict[tuple[PendingState, str], tuple[PendingKey, str]] = {}
    for direction in found:
        for key in direction.keys:
            first, name = rows.get((key.state, key.key), (key, direction.name))
            rows[key.state, key.key] = (first, direction.name if name == direction.name else "both")
    order = list(PendingState)
    return sorted(rows.values(), key=lambda row: (order.index(row[0].state), row[0].key))
