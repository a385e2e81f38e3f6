"""`dualsync plan` and `dualsync reconcile`: show what the finder would do, or run it now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.formatting import number
from dualsync.runtime.commands.output.progress import show_count
from dualsync.runtime.commands.session import (
    Direction,
    Exit,
    Json,
    Prefix,
    Session,
    Yes,
    check_direction,
    escape,
    key_text,
    note_whole_prefix,
    session,
    sides_of,
)
from dualsync.runtime.finder.report import Report
from dualsync.runtime.operations import finder_run
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.finder_run import Plan
from dualsync.runtime.operations.key_text.plain_text import display_key, use_config_names

SHOWN = 100


def plan(invocation: typer.Context, direction: Direction = "all", prefix: Prefix = "", json: Json = False) -> None:
    """Show what the finder would do now, from both listings and the ledger. Changes nothing.

    Keys younger than the grace period are left to their events. Exit code 3 when there is something to do.
    """
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> list[Plan]:
        context.both()
        note_whole_prefix(cli, context, prefix)
        plans = []
        sides = sides_of(context, direction)
        with show_count(cli, "comparing", await _total(context, sides, prefix)) as on_progress:
            for side in sides:
                plans.append(await finder_run.plan(context, side, context.sides[side.name.peer], on_progress, prefix))
        return plans

    plans = cli.run(work)
    something = any(p.report.queued or p.report.held for p in plans)
    document = {"plans": [p.data for p in plans]}
    cli.print_result(document, lambda: _plans(cli, plans), Exit.ATTENTION if something else Exit.DONE)


def reconcile(
    invocation: typer.Context,
    direction: Direction = "all",
    prefix: Prefix = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Run the finder now, from here: queue what events missed, and hold deletions that are too many.

    It lists both buckets with your credentials. It may run at any time, beside busy workers and the scheduled finder.
    With --prefix only keys below it are compared, and what is held or approved stays so.
    """
    cli = session(invocation, json)
    check_direction(cli, direction)
    cli.confirm(
        f"Compare both buckets and queue what differs"
        f" ({direction}{f', below {display_key(prefix)}' if prefix else ''})?",
        yes,
    )

    async def work(context: OperatorContext) -> list[tuple[str, Report]]:
        context.both()
        note_whole_prefix(cli, context, prefix)
        reports = []
        sides = sides_of(context, direction)
        with show_count(cli, "comparing", await _total(context, sides, prefix)) as on_progress:
            for side in sides:
                reports.append(
                    (
                        side.direction,
                        await finder_run.reconcile(context, side, context.sides[side.name.peer], on_progress, prefix),
                    )
                )
        return reports

    reports = cli.run(work)
    document = {direction: report.data() | {"held_reason": report.reason} for direction, report in reports}
    held = any(report.held for _, report in reports)

    def text() -> None:
        for direction, report in reports:
            _report(cli, direction, report, "queued")
        cli.out.print("`dualsync drain` waits until all of it has travelled")

    cli.print_result(document, text, Exit.ATTENTION if held else Exit.DONE)


async def _total(context: OperatorContext, sides: Sequence[Side], prefix: str) -> int | None:
    """Return how many keys will be listed, by the finder's last run; None where that is not known."""
    counts = None if prefix else await finder_run.last_counts(context)
    return None if counts is None else sum(counts) * len(sides)


def _report(cli: Session, direction: str, report: Report, verb: str) -> None:
    counters = report.counters
    cli.out.print(
        f"[bold]{direction}[/bold]: {number(counters.here)} keys here, {number(counters.there)} there,"
        f" {number(counters.equal)} equal; {number(report.queued)} {verb}, {number(report.young)} too young"
    )
    for difference, count in report.found.most_common():
        cli.out.print(f"  {number(count)} {difference}")
    if report.archived:
        cli.out.print(f"  [yellow]{number(report.archived)} archived[/yellow]: of these, copied once they are restored")
    if report.held:
        cli.out.print(
            f"  [yellow]{number(report.held)} deletions held[/yellow]: {escape(use_config_names(report.reason))}"
        )
        cli.out.print("  `dualsync deletions list`, then approve or reject")


def _plans(cli: Session, plans: list[Plan]) -> None:
    for plan in plans:
        _report(cli, plan.side.direction, plan.report, "to check")
    requests = [(plan.side.direction, request) for plan in plans for request in plan.requests]
    if not requests:
        young = any(plan.report.young for plan in plans)
        archived = any(plan.report.archived for plan in plans)
        yet = "what is too young is left to its events" if young else "what is archived waits for its restore"
        cli.out.print(f"nothing to do yet: {yet}" if young or archived else "nothing to do")
        return
    table = Table("direction", "key", "why", box=None, pad_edge=False)
    table.columns[1].overflow = "fold"
    for direction, request in requests[:SHOWN]:
        table.add_row(direction, key_text(request.key), escape(request.reason))
    cli.out.print(table)
    if len(requests) > SHOWN:
        cli.out.print(
            f"… and {len(requests) - SHOWN} more: --json has up to {finder_run.MAX_LISTED_REQUESTS} a direction"
        )
    counts: Counter[Any] = Counter(request.may_delete for _, request in requests)
    if counts[True]:
        cli.out.print(f"{counts[True]} of them delete")
