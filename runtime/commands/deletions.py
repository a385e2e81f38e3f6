"""`dualsync deletions`: those that are held for a person, letting them go, taking them back."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.formatting import moment, number, size
from dualsync.runtime.commands.progress import counting, showing
from dualsync.runtime.commands.session import Exit, Json, Session, Yes, escape, session
from dualsync.runtime.operations import deletions as operations
from dualsync.runtime.operations import restoration
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.deletions import Deletion, Held
from dualsync.runtime.operations.finder_run import reconcile

deletions = typer.Typer(
    help="Deletions of a finder run that were too many, held for your yes or no; the copying goes on meanwhile.",
    no_args_is_help=True,
)

Prefix = Annotated[str, typer.Option(help="Only keys that start with this.")]
SHOWN = 200
SAMPLE = 5
"""How many keys are named before a question."""


@dataclass(slots=True)
class _Survey:
    """What a command is about to write, in words for who must say yes to it."""

    count: int = 0
    bytes: int = 0
    sample: list[str] = field(default_factory=list)

    def add(self, objects: Sequence[tuple[str, int]]) -> None:
        """More objects: (key, bytes)."""
        self.count += len(objects)
        self.bytes += sum(length for _, length in objects)
        self.sample += [key for key, _ in objects[: SAMPLE - len(self.sample)]]

    def __str__(self) -> str:
        names = ", ".join(escape(name) for name in self.sample)
        more = " …" if self.count > len(self.sample) else ""
        return f"{number(self.count)} objects, {size(self.bytes)}: {names}{more}"


@deletions.command("list")
def list_(
    invocation: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Compare both buckets and ledgers now, and name every key.")
    ] = False,
    prefix: Prefix = "",
    json: Json = False,
) -> None:
    """What is held, and why. With --live also what waits in a paused direction's queue."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> tuple[list[Held], list[Deletion]]:
        found: list[Deletion] = []
        if live:
            with counting(cli, "comparing") as on_progress:
                async for batch in operations.pending(context, prefix):
                    found += batch
                    on_progress(len(batch))
        return await operations.held(context), found

    held, found = cli.run(work)
    document = {
        "held": [_held(hold) for hold in held],
        "pending": [_data(deletion) for deletion in found] if live else None,
    }
    waiting = any(hold.approval is None for hold in held) or bool(found)
    cli.show(document, lambda: _table(cli, held, found, live), Exit.ATTENTION if waiting else Exit.DONE)


@deletions.command()
def approve(
    invocation: typer.Context,
    up_to: Annotated[int | None, typer.Option(min=1, help="So many at most; default: as many as are held.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Run the finder now instead of waiting for its schedule.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Yes: the finder's next run deletes up to so many. Each is still proven and conditional; new writes survive."""
    cli = session(invocation, json)
    held = cli.run(operations.held)
    if not held:
        cli.show({"approved": 0}, lambda: cli.out.print("nothing is held"))
        return
    count = up_to or max(hold.count for hold in held)
    cli.ask(f"Delete up to {count} objects? Without versioning they can't be brought back.", yes)

    async def work(context: OperatorContext) -> int:
        approved = await operations.approve(context, held, up_to)
        if now:
            cn, global_ = context.both()
            with counting(cli, "comparing") as on_progress:
                await reconcile(context, cn, global_, on_progress)
                await reconcile(context, global_, cn, on_progress)
        return approved

    approved = cli.run(work)
    when = "the finder has run" if now else "the finder's next run does it (`dualsync reconcile`: now)"
    cli.show({"approved": approved}, lambda: cli.out.print(f"approved up to {approved}; {when}"))


@deletions.command()
def reject(
    invocation: typer.Context,
    prefix: Prefix = "",
    key: Annotated[str, typer.Option(help="Only this key.")] = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """No: what was deleted on one side comes back from the other.

    Everything that is proven deleted here and still stands there is written there again, by you, and so travels back.
    Pause the direction first if its workers are still deleting. What they already deleted on both sides only a
    bucket's versioning has.
    """
    cli = session(invocation, json)

    async def survey(context: OperatorContext) -> _Survey:
        with counting(cli, "comparing") as on_progress:
            survey = _Survey()
            async for batch in operations.pending(context, key or prefix):
                survey.add([(d.key, d.size) for d in batch if key in ("", d.key)])
                on_progress(len(batch))
        return survey

    found = cli.run(survey)
    count = found.count
    if not count:
        cli.show({"kept": 0, "changed": 0}, lambda: cli.out.print("no deletion is pending"))
        return
    cli.say(str(found))
    cli.ask(f"Write these {count} objects again where they survive, so that they come back?", yes)

    async def work(context: OperatorContext) -> operations.Restored:
        with showing(cli, "restoring", count) as on_progress:
            return await operations.reject(context, prefix, key, lambda r: on_progress(r.kept + r.changed, ""))

    done = cli.run(work)

    def text() -> None:
        cli.out.print(f"{done.kept} objects were written again and travel back; `dualsync drain` waits for them")
        if done.changed:
            cli.out.print(
                f"{done.changed} were written or deleted by others meanwhile: run it again to see what is left"
            )

    cli.show({"kept": done.kept, "changed": done.changed}, text, Exit.ATTENTION if done.changed else Exit.DONE)


@deletions.command()
def restore(
    invocation: typer.Context,
    since: Annotated[str, typer.Option(help="Deleted since: 2026-11-23T15:00 (UTC), or so long ago: 30m, 4h, 2d.")],
    until: Annotated[str, typer.Option(help="Deleted before: likewise; default: now.")] = "",
    prefix: Prefix = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Bring back what is deleted on both sides, from the versions of a versioned bucket.

    The last version of each such key is written again, by you, and travels. What still stands on one side is not
    touched: that is `deletions reject`. Everything deleted in that time comes back, also what was meant to go.
    """
    cli = session(invocation, json)
    now = datetime.now(UTC)
    begin = instant("--since", since, now, cli)
    end = instant("--until", until, now, cli) if until else math.inf
    if begin >= end:
        cli.fail(f"--since {since}: is not before --until {until or 'now'}", Exit.USAGE)
    wanted = restoration.Wanted(since=begin, until=end, prefix=prefix)

    async def survey(context: OperatorContext) -> _Survey:
        with counting(cli, "looking for delete markers") as on_progress:
            survey = _Survey()
            async for batch in restoration.lost(context, wanted):
                survey.add([(one.gone.key, one.gone.size) for one in batch])
                on_progress(len(batch))
        return survey

    found = cli.run(survey)
    count = found.count
    if not count:
        nothing = f"nothing was deleted on both sides since {moment(begin)}{f', before {moment(end)}' if until else ''}"
        cli.show({"restored": 0, "changed": 0}, lambda: cli.out.print(nothing))
        return
    cli.say(str(found))
    cli.ask(f"Write the last versions of these {count} keys again?", yes)

    async def work(context: OperatorContext) -> restoration.Restored:
        with showing(cli, "restoring", count) as on_progress:
            return await restoration.restore(context, wanted, lambda r: on_progress(r.restored + r.changed, ""))

    done = cli.run(work)

    def text() -> None:
        cli.out.print(f"{done.restored} objects were written again and travel; `dualsync drain` waits for them")
        if done.changed:
            cli.out.print(f"{done.changed} were written by others meanwhile, or their version is gone")

    document = {"restored": done.restored, "changed": done.changed}
    cli.show(document, text, Exit.ATTENTION if done.changed else Exit.DONE)


def instant(option: str, text: str, now: datetime, cli: Session) -> float:
    """`2026-11-23T15:00` (UTC unless it says otherwise) or `4h` ago, in seconds since the epoch."""
    ago = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if ago is not None:
        return now.timestamp() - int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[ago[2]]
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        cli.fail(f"{option} {text!r}: give a time as 2026-11-23T15:00 (UTC), or so long ago as 30m, 4h, 2d", Exit.USAGE)
    return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def _held(hold: Held) -> dict[str, Any]:
    return {
        "direction": hold.side.direction,
        "time": hold.record.time,
        **hold.record.data,
        "approved_up_to": hold.approval.data.get("up_to") if hold.approval is not None else None,
    }


def _data(deletion: Deletion) -> dict[str, Any]:
    return {
        "key": deletion.key,
        "gone_at": str(deletion.gone.name),
        "kept_at": str(deletion.kept.name),
        "etag": deletion.etag,
        "size": deletion.size,
        "modified": deletion.modified,
    }


def _table(cli: Session, held: list[Held], found: list[Deletion], live: bool) -> None:
    for hold in held:
        approved = f", approved up to {hold.approval.data.get('up_to')}" if hold.approval is not None else ""
        cli.out.print(
            f"{hold.side.direction}: [yellow]{hold.count} held[/yellow] since {moment(hold.record.time)}{approved}"
        )
        cli.out.print(f"  {escape(str(hold.record.data.get('reason', '')))}")
        sample = hold.record.data.get("sample")
        for line in (sample if isinstance(sample, list) else [])[:10]:
            cli.out.print(f"  [dim]{escape(str(line))}[/dim]")
    if not held:
        cli.out.print("no deletion is held")
    if held:
        cli.out.print("approve: `dualsync deletions approve`; take back: `dualsync deletions reject`")
    if live:
        table = Table("key", "gone at", "still at", "size", "written", box=None, pad_edge=False)
        for d in found[:SHOWN]:
            table.add_row(escape(d.key), str(d.gone.name), str(d.kept.name), size(d.size), moment(d.modified))
        cli.out.print(f"{number(len(found))} pending now" + (f", the first {SHOWN}:" if len(found) > SHOWN else ""))
        if found:
            cli.out.print(table)
