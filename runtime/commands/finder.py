"""`dualsync plan` and `dualsync reconcile`: what the finder would do, and having it done now."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from rich.table import Table

from dualsync.runtime.commands.formatting import number
from dualsync.runtime.commands.progress import counting
from dualsync.runtime.commands.session import Direction, Exit, Json, Session, Yes, escape, session, sides_of
from dualsync.runtime.finder.report import Report
from dualsync.runtime.operations import finder_run
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.finder_run import Plan

SHOWN = 100


def plan(invocation: typer.Context, direction: Direction = "all", json: Json = False) -> None:
    """What would the finder do now? Both listings, the ledger, the same decisions; nothing is done.

    Keys younger than the grace period are left to their events. Exit code 3 when there is something to do.
    """
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> list[Plan]:
        context.both()
        plans = []
        with counting(cli, "comparing") as on_progress:
            for side in sides_of(context, direction):
                plans.append(await finder_run.plan(context, side, context.sides[side.name.peer], on_progress))
        return plans

    plans = cli.run(work)
    something = any(p.report.queued or p.report.held for p in plans)
    document = {"plans": [p.data for p in plans]}
    cli.show(document, lambda: _plans(cli, plans), Exit.ATTENTION if something else Exit.DONE)


def reconcile(invocation: typer.Context, direction: Direction = "all", yes: Yes = False, json: Json = False) -> None:
    """Run the finder now, from here: what events missed is queued, deletions that are too many are held.

    It lists both buckets with your credentials. It may run at any time, beside busy workers and the scheduled finder.
    """
    cli = session(invocation, json)
    cli.ask(f"Compare both buckets and queue what differs ({direction})?", yes)

    async def work(context: OperatorContext) -> list[tuple[str, Report]]:
        context.both()
        reports = []
        with counting(cli, "comparing") as on_progress:
            for side in sides_of(context, direction):
                reports.append(
                    (
                        side.direction,
                        await finder_run.reconcile(context, side, context.sides[side.name.peer], on_progress),
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

    cli.show(document, text, Exit.ATTENTION if held else Exit.DONE)


def _report(cli: Session, direction: str, report: Report, verb: str) -> None:
    tally = report.tally
    cli.out.print(
        f"[bold]{direction}[/bold]: {number(tally.here)} keys here, {number(tally.there)} there,"
        f" {number(tally.equal)} equal; {number(report.queued)} {verb}, {number(report.young)} too young"
    )
    for difference, count in report.found.most_common():
        cli.out.print(f"  {number(count)} {difference}")
    if report.archived:
        cli.out.print(f"  [yellow]{number(report.archived)} archived[/yellow]: of these, copied once they are restored")
    if report.held:
        cli.out.print(f"  [yellow]{number(report.held)} deletions held[/yellow]: {escape(report.reason)}")
        cli.out.print("  `dualsync deletions list`, then approve or reject")


def _plans(cli: Session, plans: list[Plan]) -> None:
    for plan in plans:
        _report(cli, plan.side.direction, plan.report, "to look at")
    looks = [(plan.side.direction, look) for plan in plans for look in plan.looks]
    if not looks:
        young = any(plan.report.young for plan in plans)
        archived = any(plan.report.archived for plan in plans)
        yet = "what is too young is left to its events" if young else "what is archived waits for its restore"
        cli.out.print(f"nothing to do yet: {yet}" if young or archived else "nothing to do")
        return
    table = Table("direction", "key", "why", box=None, pad_edge=False)
    for direction, look in looks[:SHOWN]:
        table.add_row(direction, escape(look.key), escape(look.reason))
    cli.out.print(table)
    if len(looks) > SHOWN:
        cli.out.print(f"… and {len(looks) - SHOWN} more: --json has up to {finder_run.KEPT} a direction")
    counts: Counter[Any] = Counter(look.may_delete for _, look in looks)
    if counts[True]:
        cli.out.print(f"{counts[True]} of them delete")
