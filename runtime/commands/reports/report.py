"""`dualsync report`: what travelled in a period, as text, JSON or a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.formatting import local_time, number
from dualsync.runtime.commands.output.report_page import report_page, total
from dualsync.runtime.commands.session import Exit, Json, Session, escape, key_text, parse_time, session
from dualsync.runtime.operations.reports import report as operations
from dualsync.runtime.operations.reports.report import PeriodReport

SHOWN = 20
"""Lines of what failed and of what was skipped that a terminal shows."""


def report(
    invocation: typer.Context,
    since: Annotated[str, typer.Option(help="Begin: 2026-11-23T15:00 (UTC), or an age: 30m, 4h, 2d.")] = "1d",
    until: Annotated[str, typer.Option(help="End: a time or an age; default: now.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write the report as a page to this file.")] = None,
    json: Json = False,
) -> None:
    """Show what travelled in a period: objects, bytes, deletions, what failed, what was skipped, acts of operators.

    Counts come from the pair's own metrics, which CloudWatch keeps for 15 months. Failed and skipped keys come from the
    logs (logRetentionDays). Exit code 3 when something failed.
    """
    cli = session(invocation, json)
    now = datetime.now(UTC)
    begin = parse_time("--since", since, now, cli)
    end = parse_time("--until", until, now, cli) if until else now.timestamp()
    if begin >= end:
        cli.fail(f"--since {since}: is not before --until {until or 'now'}", Exit.USAGE)
    found = cli.run(lambda context: operations.report(context, begin, end), partial=True)
    if html is not None:
        try:
            html.write_text(report_page(found), encoding="utf-8")
        except OSError as e:
            cli.fail(f"--html {html}: {e.strerror}; give a file that can be written", Exit.USAGE)
    cli.print_result(document(found), lambda: _text(cli, found), Exit.ATTENTION if found.has_failures else Exit.DONE)


def document(found: PeriodReport) -> dict[str, Any]:
    """Return the report for programs."""
    return {
        "pair": found.pair,
        "since": found.since,
        "until": found.until,
        "complete": found.is_complete,
        "directions": [
            {
                "name": d.name,
                "totals": None if d.totals is None else dict(d.totals),
                "failed": None if d.failed is None else [_line(line) for line in d.failed],
                "skipped": None if d.skipped is None else [_line(line) for line in d.skipped],
            }
            for d in found.directions
        ],
        "acts": [dict(act) for act in found.acts],
    }


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: line.get(name) for name in ("time", "outcome", "key", "reason")}


def _text(cli: Session, found: PeriodReport) -> None:
    for d in found.directions:
        _lines(cli, d.name, "failed", d.failed)
        _lines(cli, d.name, "skipped", d.skipped)
    for act in found.acts:
        who = str(act.get("who", "")).rsplit(":", 1)[-1]
        words = (escape(text) for text in (who, str(act.get("command", "")), str(act.get("state"))))
        cli.out.print("  ".join((local_time(act["time"]), *words)))
    for side, why in found.unread.items():
        cli.out.print(f"[dim]acts of operators in the ledger of {side} are not visible: {escape(why)}[/dim]")
    table = Table("", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for d in found.directions:
        table.add_column(d.name, justify="right")
    for name in operations.COUNTED_METRICS:
        table.add_row(f"[dim]{name}[/dim]", *(total(d, name) for d in found.directions))
    cli.out.print(table)
    cli.out.print(f"{escape(found.pair)}: {local_time(found.since)} to {local_time(found.until)}")
    if not found.is_complete:
        cli.out.print("[yellow]not all of it is visible to you: a dash or `not visible` marks what is missing[/yellow]")


def _lines(cli: Session, direction: str, word: str, lines: Sequence[Mapping[str, Any]] | None) -> None:
    if lines is None:
        cli.out.print(f"[dim]{direction}: log lines of {word} messages are not visible to you[/dim]")
        return
    if word == "skipped":
        # Skipped keys are no faults: their reasons tell more than their names.
        for reason, count in Counter(str(line.get("reason") or "nothing to do") for line in lines).most_common(5):
            cli.out.print(f"{direction}: {number(count)} skipped: {escape(reason)}")
        return
    for line in lines[-SHOWN:]:
        outcome, reason = escape(str(line.get("outcome"))), escape(str(line.get("reason") or ""))
        cli.out.print(f"{direction}: [yellow]{outcome}[/yellow] {key_text(str(line.get('key')))}: {reason}")
    if len(lines) > SHOWN:
        cli.out.print(f"{direction}: … and {len(lines) - SHOWN} earlier: --json has up to {operations.MAX_LOG_LINES}")
