"""`dualsync conflicts`: which version lost, where it is, and restoring it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.formatting import count_text, local_time
from dualsync.runtime.commands.session import DryRun, Exit, Json, Yes, escape, key_text, session
from dualsync.runtime.operations import conflicts as operations
from dualsync.runtime.operations.conflicts import Conflict, LoserLocation
from dualsync.runtime.operations.context import OperatorContext

conflicts = typer.Typer(
    help="Keys that users of both sides wrote at the same time; the pair's rule chose one version.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(help="The conflict's id, or its beginning, or the key.")]
SHOWN = 200
SAMPLE = 5
"""Keys that are named before a question."""


@conflicts.command("list")
def list_(
    invocation: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 1000,
    json: Json = False,
) -> None:
    """List the conflicts that are not resolved yet, newest first. Exit code 3 when there are any."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> tuple[list[Conflict], dict[str, bool | None]]:
        found = await operations.conflicts(context, limit)
        return found, await operations.can_be_undone(context, found) if found else {}

    found, undoable = cli.run(work, partial=True)

    def text() -> None:
        if not found:
            cli.out.print("no conflicts")
            return
        table = Table("id", "key", "won", "lost", "loser", box=None, pad_edge=False)
        table.columns[1].overflow = "fold"
        for c in found[:SHOWN]:
            where = "kept" if c.kept else LOSERS[undoable[c.id]]
            table.add_row(c.id, key_text(c.key), _version(c.winner), _version(c.loser), where)
        cli.out.print(table)
        if len(found) > SHOWN:
            cli.out.print(f"… and {len(found) - SHOWN} more: --json has all")
        gone = sum(undoable[c.id] is False for c in found)
        cli.out.print(
            f"{count_text(len(found), 'conflict')}" + (f", [yellow]{gone} losers are gone[/yellow]" if gone else "")
        )
        undo = "; `undo ID` restores the loser" if gone < len(found) else ""
        cli.out.print(f"`dualsync conflicts show ID`; `resolve ID` accepts the winner{undo}")
        if gone:
            cli.out.print("set keepLoser: true, or switch on versioning, so that losers are kept in future")

    document = {"conflicts": [_data(c) | {"undoable": undoable[c.id]} for c in found]}
    cli.print_result(document, text, Exit.ATTENTION if found else Exit.DONE)


LOSERS = {True: "a version", False: "gone", None: "unknown"}


@conflicts.command()
def show(invocation: typer.Context, id: Id, json: Json = False) -> None:
    """Show one conflict: both versions, the rule, and where the loser is."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> tuple[Conflict, LoserLocation | None]:
        found = await operations.conflict(context, id)
        return found, await operations.locate_loser(context, found)

    found, loser = cli.run(work)

    def text() -> None:
        cli.out.print(
            f"[bold]{key_text(found.key)}[/bold]  recorded {local_time(found.time)}, rule {escape(found.policy)}"
        )
        cli.out.print(f"won:  {_version(found.winner)}, ETag {escape(found.winner.etag)}")
        cli.out.print(f"lost: {_version(found.loser)}, ETag {escape(found.loser.etag)}")
        cli.out.print(_where(loser))
        if loser is not None:
            cli.out.print(f"`dualsync conflicts undo {found.id}` restores it")

    cli.print_result(_data(found) | {"loser_at": _place(loser)}, text)


@conflicts.command()
def resolve(
    invocation: typer.Context,
    id: Annotated[str, typer.Argument(help="The conflict's id, its beginning, or the key; empty with --all.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every conflict.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Accept the winner: remove the conflict from the list. Objects stay as they are; the audit trail keeps the act."""
    cli = session(invocation, json)
    if bool(id) == every:
        cli.fail("give an id, or --all", Exit.USAGE)

    async def find(context: OperatorContext) -> list[Conflict]:
        return await operations.conflicts(context, 1_000_000) if every else [await operations.conflict(context, id)]

    found = cli.run(find)
    names = ", ".join(key_text(c.key) for c in found[:SAMPLE]) + (" …" if len(found) > SAMPLE else "")
    cli.print_progress(f"{count_text(len(found), 'conflict')}: {names}" if found else "no conflicts")
    if dry_run or not found:
        cli.print_result({"resolved": 0, "would": len(found)}, lambda: cli.out.print("nothing was resolved"))
        return
    cli.confirm(f"Remove {count_text(len(found), 'conflict')} from the list?", yes)

    async def work(context: OperatorContext) -> int:
        # Exactly those that were shown: later ones stay on the list.
        shown = {c.id for c in found}
        chosen = [c for c in await operations.conflicts(context, 1_000_000) if c.id in shown]
        for one in chosen:
            await operations.accept(context, one)
        return len(chosen)

    count = cli.run(work)
    cli.print_result({"resolved": count}, lambda: cli.out.print(f"{count} resolved"))


@conflicts.command()
def undo(invocation: typer.Context, id: Id, dry_run: DryRun = False, yes: Yes = False, json: Json = False) -> None:
    """Restore the loser: it is written again, as you, as the newest version, and travels to the other side.

    The loser must exist: kept under a conflict name (keepLoser: true), or as a version of a versioned bucket. What it
    replaces is kept likewise: as a version, or copied to a conflict name first.
    """
    cli = session(invocation, json)

    async def find_loser(context: OperatorContext) -> tuple[Conflict, LoserLocation | None]:
        found = await operations.conflict(context, id)
        return found, await operations.locate_loser(context, found)

    found, loser = cli.run(find_loser)
    if loser is None:
        cli.fail(_where(None))
    bucket = loser.side.settings.local_bucket
    cli.print_progress(
        f"{key_text(found.key)}: the version of {_version(found.loser)} replaces what is now in bucket {bucket}"
    )
    cli.print_progress(_where(loser))
    if dry_run:
        cli.print_result(
            {"undone": None, "would": found.id, "loser_at": _place(loser)}, lambda: cli.out.print("nothing was written")
        )
        return
    cli.confirm("Write the loser again, so that it wins on both sides?", yes)
    kept = cli.run(lambda context: _undo(context, found.id))
    kept_as = f"; what it replaced is kept as {kept}" if kept else ""
    cli.print_result({"undone": found.id, "replaced_kept_as": kept}, lambda: cli.out.print(escape(f"undone{kept_as}")))


async def _undo(context: OperatorContext, id: str) -> str:
    return await operations.undo(context, await operations.conflict(context, id))


def _version(identity: Any) -> str:
    return f"{identity.origin} {local_time(identity.modified)}"


def _where(loser: LoserLocation | None) -> str:
    if loser is None:
        return "the loser is gone: keepLoser was off, and its bucket has no such version; it cannot be restored"
    if loser.version_id:
        return f"the loser is version {escape(loser.version_id)} in {loser.side.name}'s bucket"
    return f"the loser is kept at {loser.side.name} as {key_text(loser.key)}"


def _place(loser: LoserLocation | None) -> dict[str, str] | None:
    if loser is None:
        return None
    return {"side": str(loser.side.name), "key": loser.key, "version_id": loser.version_id}


def _data(c: Conflict) -> dict[str, Any]:
    return {
        "id": c.id,
        "key": c.key,
        "time": c.time,
        "winner": str(c.winner),
        "loser": str(c.loser),
        "policy": c.policy,
        "kept": c.kept,
        "seen_by": [str(side.name) for side in c.sides],
    }
