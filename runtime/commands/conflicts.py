"""`dualsync conflicts`: who lost, where the loser is, and bringing it back."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.formatting import moment
from dualsync.runtime.commands.session import Exit, Json, Yes, escape, session
from dualsync.runtime.operations import conflicts as operations
from dualsync.runtime.operations.conflicts import Conflict, Whereabouts
from dualsync.runtime.operations.context import OperatorContext

conflicts = typer.Typer(
    help="Keys that users of both sides wrote without knowing of each other; the pair's rule chose one version.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(help="The conflict's id, or its beginning, or the key.")]
SHOWN = 200


@conflicts.command("list")
def list_(
    invocation: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 1000,
    json: Json = False,
) -> None:
    """All conflicts that nobody has struck off yet, newest first. Exit code 3 when there are any."""
    cli = session(invocation, json)
    found = cli.run(lambda context: operations.conflicts(context, limit))

    def text() -> None:
        if not found:
            cli.out.print("no conflicts")
            return
        table = Table("id", "seen", "key", "won", "lost", "kept", box=None, pad_edge=False)
        for c in found[:SHOWN]:
            table.add_row(
                c.id, moment(c.time), escape(c.key), _version(c.winner), _version(c.loser), "yes" if c.kept else "no"
            )
        cli.out.print(table)
        if len(found) > SHOWN:
            cli.out.print(f"… and {len(found) - SHOWN} more: --json has all")
        cli.out.print("`dualsync conflicts show ID`; `resolve ID` accepts the winner, `undo ID` brings the loser back")

    cli.show({"conflicts": [_data(c) for c in found]}, text, Exit.ATTENTION if found else Exit.DONE)


@conflicts.command()
def show(invocation: typer.Context, id: Id, json: Json = False) -> None:
    """One conflict: both versions, the rule, and whether the loser can still be had."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> tuple[Conflict, Whereabouts | None]:
        found = await operations.conflict(context, id)
        return found, await operations.whereabouts(context, found)

    found, loser = cli.run(work)

    def text() -> None:
        cli.out.print(f"[bold]{escape(found.key)}[/bold]  seen {moment(found.time)}, rule {found.policy}")
        cli.out.print(f"won:  {_version(found.winner)}, ETag {found.winner.etag}")
        cli.out.print(f"lost: {_version(found.loser)}, ETag {found.loser.etag}")
        cli.out.print(_where(loser))

    cli.show(_data(found) | {"loser_at": _place(loser)}, text)


@conflicts.command()
def resolve(
    invocation: typer.Context,
    id: Annotated[str, typer.Argument(help="The conflict's id, its beginning, or the key; empty with --all.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Every conflict.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Accept the winner: strike the conflict off the list. Objects stay as they are; the audit trail remembers it."""
    cli = session(invocation, json)
    if bool(id) == every:
        cli.fail("give an id, or --all", Exit.USAGE)
    cli.ask("Strike every conflict off the list?" if every else f"Strike conflict {id} off the list?", yes)

    async def work(context: OperatorContext) -> int:
        found = await operations.conflicts(context, 1_000_000) if every else [await operations.conflict(context, id)]
        for one in found:
            await operations.accept(context, one)
        return len(found)

    count = cli.run(work)
    cli.show({"resolved": count}, lambda: cli.out.print(f"{count} resolved"))


@conflicts.command()
def undo(invocation: typer.Context, id: Id, yes: Yes = False, json: Json = False) -> None:
    """Bring the loser back: it is written again, by you, as the newest version, and travels to the other side.

    It needs the loser: kept under a conflict name (keepLoser=true), or as a version of a versioned bucket. What it
    replaces stays to be had likewise: as a version, or copied to a conflict name first.
    """
    cli = session(invocation, json)

    async def look(context: OperatorContext) -> tuple[Conflict, Whereabouts | None]:
        found = await operations.conflict(context, id)
        return found, await operations.whereabouts(context, found)

    found, loser = cli.run(look)
    if loser is None:
        cli.fail(_where(None))
    cli.say(escape(f"{found.key}: {found.loser} from {loser.side.name}, instead of what is there"))
    cli.ask("Write the loser again, so that it wins on both sides?", yes)
    kept = cli.run(lambda context: _undo(context, found.id))
    kept_as = f"; what it replaced is kept as {kept}" if kept else ""
    cli.show({"undone": found.id, "replaced_kept_as": kept}, lambda: cli.out.print(escape(f"undone{kept_as}")))


async def _undo(context: OperatorContext, id: str) -> str:
    return await operations.undo(context, await operations.conflict(context, id))


def _version(identity: Any) -> str:
    return f"{identity.origin} {moment(identity.modified)}"


def _where(loser: Whereabouts | None) -> str:
    if loser is None:
        return "the loser is gone: it was not kept (keepLoser=false), and its bucket has no such version"
    if loser.version_id:
        return f"the loser is version {loser.version_id} in {loser.side.name}'s bucket"
    return f"the loser is kept at {loser.side.name} as {escape(loser.key)}"


def _place(loser: Whereabouts | None) -> dict[str, str] | None:
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
