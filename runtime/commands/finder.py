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


def plan(context: typer.Context, direction: Direction = "all", json: Json = False) -> None:
    """What would the finder do now? Both listings, the ledger, the same decisions; nothing is done.

    Keys younger than the grace period are left to their events. Exit code 3 when there is something to do.
    """
    here = session(context, json)

    async def work(desk: OperatorContext) -> list[Plan]:
        desk.both()
        plans = []
        with counting(here, "comparing") as tell:
            for side in sides_of(desk, direction):
                plans.append(await finder_run.plan(desk, side, desk.sides[side.name.peer], tell))
        return plans

    plans = here.run(work)
    something = any(p.report.queued or p.report.held for p in plans)
    document = {"plans": [p.data for p in plans]}
    here.show(document, lambda: _plans(here, plans), Exit.ATTENTION if something else Exit.DONE)


def reconcile(context: typer.Context, direction: Direction = "all", yes: Yes = False, json: Json = False) -> None:
    """Run the finder now, from here: what events missed is queued, deletions that are too many are held.

    It lists both buckets with your credentials. It may run at any time, beside busy workers and the scheduled finder.
    """
    here = session(context, json)
    here.ask(f"Compare both buckets and queue what differs ({direction})?", yes)

    async def work(desk: OperatorContext) -> list[tuple[str, Report]]:
        desk.both()
        reports = []
        with counting(here, "comparing") as tell:
            for side in sides_of(desk, direction):
                reports.append(
                    (side.direction, await finder_run.reconcile(desk, side, desk.sides[side.name.peer], tell))
                )
        return reports

    reports = here.run(work)
    document = {direction: report.data() | {"held_reason": report.reason} for direction, report in reports}
    held = any(report.held for _, report in reports)

    def text() -> None:
        for direction, report in reports:
            _report(here, direction, report, "queued")
        here.out.print("`dualsync drain` waits until all of it has travelled")

    here.show(document, text, Exit.ATTENTION if held else Exit.DONE)


def _report(here: Session, direction: str, report: Report, verb: str) -> None:
    tally = report.tally
    here.out.print(
        f"[bold]{direction}[/bold]: {number(tally.here)} keys here, {number(tally.there)} there,"
        f" {number(tally.equal)} equal; {number(report.queued)} {verb}, {number(report.young)} too young"
    )
    for difference, count in report.found.most_common():
        here.out.print(f"  {number(count)} {difference}")
    if report.archived:
        here.out.print(
            f"  [yellow]{number(report.archived)} archived[/yellow]: of these, copied once they are restored"
        )
    if report.held:
        here.out.print(f"  [yellow]{number(report.held)} deletions held[/yellow]: {escape(report.reason)}")
        here.out.print("  `dualsync deletions list`, then approve or reject")


def _plans(here: Session, plans: list[Plan]) -> None:
    for plan in plans:
        _report(here, plan.side.direction, plan.report, "to look at")
    looks = [(plan.side.direction, look) for plan in plans for look in plan.looks]
    if not looks:
        young = any(plan.report.young for plan in plans)
        archived = any(plan.report.archived for plan in plans)
        yet = "what is too young is left to its events" if young else "what is archived waits for its restore"
        here.out.print(f"nothing to do yet: {yet}" if young or archived else "nothing to do")
        return
    table = Table("direction", "key", "why", box=None, pad_edge=False)
    for direction, look in looks[:SHOWN]:
        table.add_row(direction, escape(look.key), escape(look.reason))
    here.out.print(table)
    if len(looks) > SHOWN:
        here.out.print(f"… and {len(looks) - SHOWN} more: --json has up to {finder_run.KEPT} a direction")
    counts: Counter[Any] = Counter(look.may_delete for _, look in looks)
    if counts[True]:
        here.out.print(f"{counts[True]} of them delete")
