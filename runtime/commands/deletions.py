"""`dualsync deletions`: those that are held for an operator; approving them, taking them back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.formatting import count_text, local_time, number, size
from dualsync.runtime.commands.output.progress import show_count, show_progress
from dualsync.runtime.commands.session import (
    Direction,
    DryRun,
    Exit,
    Json,
    Prefix,
    Session,
    Yes,
    check_direction,
    escape,
    key_text,
    note_whole_prefix,
    parse_time,
    refuse_empty,
    session,
    sides_of,
)
from dualsync.runtime.operations import deletions as operations
from dualsync.runtime.operations import restoration
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.deletions import HeldDeletions, PendingDeletion
from dualsync.runtime.operations.finder_run import reconcile
from dualsync.runtime.operations.key_text.plain_text import display_key, use_config_names
from dualsync.runtime.settings import SideName

deletions = typer.Typer(
    help="Deletions of a finder run that were too many, held for your decision. Copying continues meanwhile.",
    no_args_is_help=True,
)

SHOWN = 200
SAMPLE = 5
"""How many keys are named before a question."""


@dataclass(slots=True)
class _Survey:
    """What a command is about to do with some objects, for the operator who must confirm it."""

    count: int = 0
    """Objects."""
    bytes: int = 0
    """Their bytes."""
    sample: list[str] = field(default_factory=list)
    """Keys of the first ones."""

    def add(self, objects: Sequence[tuple[str, int]]) -> None:
        """Count more objects: (key, bytes)."""
        self.count += len(objects)
        self.bytes += sum(length for _, length in objects)
        self.sample += [key for key, _ in objects[: SAMPLE - len(self.sample)]]

    def __str__(self) -> str:
        names = ", ".join(key_text(name) for name in self.sample)
        more = " …" if self.count > len(self.sample) else ""
        return f"{count_text(self.count, 'object')}, {size(self.bytes)}: {names}{more}"

    @property
    def data(self) -> dict[str, Any]:
        """The survey for programs."""
        return {"count": self.count, "bytes": self.bytes, "sample": self.sample}


@deletions.command("list")
def list_(
    invocation: typer.Context,
    live: Annotated[
        bool, typer.Option("--live", help="Compare both buckets and ledgers now, and list every key.")
    ] = False,
    prefix: Prefix = "",
    json: Json = False,
) -> None:
    """Show which deletions are held, and why. With --live also those that wait in a paused direction's queue."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> tuple[list[HeldDeletions], list[PendingDeletion]]:
        found: list[PendingDeletion] = []
        note_whole_prefix(cli, context, prefix)
        if live:
            with show_count(cli, "comparing") as on_progress:
                async for batch in operations.pending_deletions(context, prefix):
                    found += batch
                    on_progress(len(batch))
        return await operations.held_deletions(context), found

    held, found = cli.run(work)
    document = {
        "held": [_held(hold) for hold in held],
        "pending": [_data(deletion) for deletion in found] if live else None,
    }
    waiting = any(hold.approval is None for hold in held) or bool(found)
    cli.print_result(document, lambda: _table(cli, held, found, live), Exit.ATTENTION if waiting else Exit.DONE)


@deletions.command()
def approve(
    invocation: typer.Context,
    direction: Direction = "all",
    prefix: Prefix = "",
    up_to: Annotated[int | None, typer.Option(min=1, help="At most this many; default: as many as are held.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Run the finder now instead of waiting for its schedule.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Approve held deletions. They are shown first: bucket, number, bytes, sample keys, and whether versions exist.

    The finder's next run deletes up to the approved number. With --prefix or a direction exactly those deletions are
    queued at once, and the rest stays held. Each deletion is proven again before it is done, so that new writes
    survive.
    """
    cli = session(invocation, json)
    check_direction(cli, direction)
    part = bool(prefix) or direction != "all"
    held = cli.run(operations.held_deletions)
    if not held and not part:
        cli.print_result({"approved": 0}, lambda: cli.out.print("nothing is held"))
        return
    surveys, versioned = _survey_deletions(cli, prefix, direction)
    found = sum(survey.count for survey in surveys.values())
    for (side, target), survey in surveys.items():
        kept = (
            "keeps versions, so they can be restored"
            if versioned[side]
            else "keeps NO versions: they are gone for good"
        )
        place = f"bucket [bold]{escape(target)}[/bold] ({side}), which {kept}"
        cli.print_progress(f"deleted at {side.peer}, still in {place}:")
        cli.print_progress(f"  {survey}")
    if not surveys:
        cli.print_progress("no deletion is pending now: nothing would be deleted")
    document: dict[str, Any] = {
        "deletions": [
            {"bucket": target, "side": str(side), "versioned": versioned[side], **survey.data}
            for (side, target), survey in surveys.items()
        ]
    }
    if dry_run or (part and not found):
        cli.print_result({"approved": 0, **document}, lambda: cli.out.print("nothing was approved"))
        return
    count = up_to or (found if part else max(hold.count for hold in held))
    forever = sum(survey.count for (side, _), survey in surveys.items() if not versioned[side])
    warning = f" {count_text(forever, 'object')} of them cannot be restored afterwards." if forever else ""
    cli.confirm(
        f"Delete up to {count_text(count, 'object')}{f' below {display_key(prefix)}' if prefix else ''}?{warning}", yes
    )
    if part:
        queued = cli.run(lambda context: _carry_out(cli, context, prefix, direction, up_to))
        cli.print_result(
            {"approved": queued, **document}, lambda: cli.out.print(f"{count_text(queued, 'deletion')} queued")
        )
        return

    async def work(context: OperatorContext) -> int:
        approved = await operations.approve(context, held, up_to)
        if now:
            context.both()
            with show_count(cli, "comparing") as on_progress:
                for side in context.carriers:
                    await reconcile(context, side, context.sides[side.name.peer], on_progress)
        return approved

    approved = cli.run(work)
    when = "the finder has run" if now else "the finder's next run does it (`dualsync reconcile`: now)"
    cli.print_result({"approved": approved, **document}, lambda: cli.out.print(f"approved up to {approved}; {when}"))


async def _carry_out(cli: Session, context: OperatorContext, prefix: str, direction: str, up_to: int | None) -> int:
    with show_count(cli, "comparing") as on_progress:
        return await operations.queue_pending(context, prefix, direction, up_to, on_progress)


def _survey_deletions(
    cli: Session, prefix: str, direction: str
) -> tuple[dict[tuple[SideName, str], _Survey], dict[SideName, bool]]:
    """Return the pending deletions per side that still has the objects, and whether its bucket keeps versions."""

    async def survey(context: OperatorContext) -> tuple[dict[tuple[SideName, str], _Survey], dict[SideName, bool]]:
        surveys: dict[tuple[SideName, str], _Survey] = {}
        note_whole_prefix(cli, context, prefix)
        names = {side.name for side in sides_of(context, direction)}
        with show_count(cli, "comparing") as on_progress:
            async for batch in operations.pending_deletions(context, prefix):
                for d in batch:
                    if d.deleted_side.name in names:
                        where = (d.remaining_side.name, d.remaining_side.settings.local_bucket)
                        surveys.setdefault(where, _Survey()).add([(d.key, d.size)])
                on_progress(len(batch))
        return surveys, {name: await context.sides[name].store.keeps_versions() for name, _ in surveys}

    return cli.run(survey)


@deletions.command()
def reject(
    invocation: typer.Context,
    prefix: Prefix = "",
    key: Annotated[str, typer.Option(help="Only this key.", callback=refuse_empty)] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take deletions back: what was deleted on one side returns from the other.

    Every object that is deleted on one side and still on the other is written there again, as you, and so travels
    back. In a one-way pair it stays at the destination, and nothing is written. Pause the direction first if its
    workers are still deleting. What is deleted on both sides is only in a bucket's versions: `deletions restore`.
    """
    cli = session(invocation, json)

    async def survey(context: OperatorContext) -> tuple[_Survey, str]:
        note_whole_prefix(cli, context, prefix)
        with show_count(cli, "comparing") as on_progress:
            survey = _Survey()
            async for batch in operations.pending_deletions(context, key or prefix):
                survey.add([(d.key, d.size) for d in batch if key in ("", d.key)])
                on_progress(len(batch))
        return survey, context.one_way.partition("->")[2]

    found, destination = cli.run(survey)
    count = found.count
    if not count:
        cli.print_result({"kept": 0, "changed": 0}, lambda: cli.out.print("no deletion is pending"))
        return
    cli.print_progress(str(found))
    if dry_run:
        cli.print_result({"kept": 0, "changed": 0, "objects": found.data}, lambda: cli.out.print("nothing was written"))
        return
    objects = count_text(count, "object")
    again = f"Write {objects} again where they survive, so that they return?"
    cli.confirm(f"Let {objects} stay at {destination} as its own?" if destination else again, yes)

    async def work(context: OperatorContext) -> operations.RejectResult:
        with show_progress(cli, "restoring", count) as on_progress:
            return await operations.reject(
                context, prefix, key, lambda r: on_progress(r.kept + r.changed + len(r.failed), "")
            )

    done = cli.run(work)

    def text() -> None:
        back = "were written again and travel back; `dualsync drain` waits for them"
        cli.out.print(f"{done.kept} objects {f'stay at {destination} as its own' if destination else back}")
        if done.changed:
            cli.out.print(
                f"{done.changed} were written or deleted by others meanwhile: run it again to see what is left"
            )
        _failures(cli, done.failed)

    document = {"kept": done.kept, "changed": done.changed, "failed": done.failed}
    cli.print_result(document, text, Exit.ATTENTION if done.changed or done.failed else Exit.DONE)


def _failures(cli: Session, failed: dict[str, str]) -> None:
    """Print the objects that failed, and why."""
    for key, why in list(failed.items())[:SHOWN]:
        cli.out.print(f"[red]failed[/red] {key_text(key)}: {escape(why)}")
    if len(failed) > SHOWN:
        cli.out.print(f"… and {len(failed) - SHOWN} more: --json has all")
    if failed:
        cli.out.print(f"{len(failed)} failed; when the cause is repaired, run the same command again")


@deletions.command()
def restore(
    invocation: typer.Context,
    since: Annotated[str, typer.Option(help="Deleted since: 2026-11-23T15:00 (UTC), or an age: 30m, 4h, 2d.")],
    until: Annotated[str, typer.Option(help="Deleted before: a time or an age; default: now.")] = "",
    prefix: Prefix = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Restore what is deleted on both sides, from the versions of a versioned bucket.

    The last version of each such key is written again, as you, and travels. What is still on one side is not touched:
    use `deletions reject`. Everything deleted in that time returns, intended deletions too.
    """
    cli = session(invocation, json)
    now = datetime.now(UTC)
    begin = parse_time("--since", since, now, cli)
    end = parse_time("--until", until, now, cli) if until else math.inf
    if begin >= end:
        cli.fail(f"--since {since}: is not before --until {until or 'now'}", Exit.USAGE)
    wanted = restoration.RestoreSelection(since=begin, until=end, prefix=prefix)

    async def survey(context: OperatorContext) -> _Survey:
        note_whole_prefix(cli, context, prefix)
        with show_count(cli, "looking for delete markers") as on_progress:
            survey = _Survey()
            async for batch in restoration.restorable_objects(context, wanted):
                survey.add([(one.deleted.key, one.deleted.size) for one in batch])
                on_progress(len(batch))
        return survey

    found = cli.run(survey)
    count = found.count
    if not count:
        before = f", before {local_time(end)}" if until else ""
        nothing = f"nothing was deleted on both sides since {local_time(begin)}{before}"
        cli.print_result({"restored": 0, "changed": 0}, lambda: cli.out.print(nothing))
        return
    cli.print_progress(str(found))
    if dry_run:
        cli.print_result(
            {"restored": 0, "changed": 0, "objects": found.data}, lambda: cli.out.print("nothing was written")
        )
        return
    cli.confirm(f"Write the last versions of {count_text(count, 'key')} again?", yes)

    async def work(context: OperatorContext) -> restoration.RestoreResult:
        with show_progress(cli, "restoring", count) as on_progress:
            return await restoration.restore(
                context, wanted, lambda r: on_progress(r.restored + r.changed + len(r.failed), "")
            )

    done = cli.run(work)

    def text() -> None:
        cli.out.print(f"{done.restored} objects were written again and travel; `dualsync drain` waits for them")
        if done.changed:
            cli.out.print(f"{done.changed} were written by others meanwhile, or their version is gone")
        _failures(cli, done.failed)

    document = {"restored": done.restored, "changed": done.changed, "failed": done.failed}
    cli.print_result(document, text, Exit.ATTENTION if done.changed or done.failed else Exit.DONE)


def _held(hold: HeldDeletions) -> dict[str, Any]:
    return {
        "direction": hold.side.direction,
        "time": hold.record.time,
        **hold.record.data,
        "approved_up_to": hold.approval.data.get("up_to") if hold.approval is not None else None,
    }


def _data(deletion: PendingDeletion) -> dict[str, Any]:
    return {
        "key": deletion.key,
        "gone_at": str(deletion.deleted_side.name),
        "kept_at": str(deletion.remaining_side.name),
        "etag": deletion.etag,
        "size": deletion.size,
        "modified": deletion.modified,
    }


def _table(cli: Session, held: list[HeldDeletions], found: list[PendingDeletion], live: bool) -> None:
    if live and found:
        table = Table("key", "gone at", "still at", "size", "written", box=None, pad_edge=False)
        table.columns[0].overflow = "fold"
        for d in found[:SHOWN]:
            sides = str(d.deleted_side.name), str(d.remaining_side.name)
            table.add_row(key_text(d.key), *sides, size(d.size), local_time(d.modified))
        cli.out.print(table)
        first = f", the first {SHOWN} shown" if len(found) > SHOWN else ""
        cli.out.print(f"{number(len(found))} pending now{first}")
    elif live:
        cli.out.print("none is pending now")
    for hold in held:
        up_to = hold.approval.data.get("up_to") if hold.approval is not None else None
        approved = f", approved up to {escape(str(up_to))}" if hold.approval is not None else ""
        sample = hold.record.data.get("sample")
        for line in (sample if isinstance(sample, list) else [])[:10]:
            cli.out.print(f"  [dim]{escape(str(line))}[/dim]")
        cli.out.print(
            f"{hold.side.direction}: [yellow]{hold.count} held[/yellow] since {local_time(hold.record.time)}{approved}"
        )
        cli.out.print(f"  {escape(use_config_names(str(hold.record.data.get('reason', ''))))}")
    if not held:
        cli.out.print("no deletion is held")
        return
    if len(held) > 1:
        cli.out.print("The finders of both sides hold the same deletions: they count once.")
    cli.out.print(
        "`dualsync deletions approve` or `dualsync deletions reject` (both show what they do first: --dry-run)"
    )
