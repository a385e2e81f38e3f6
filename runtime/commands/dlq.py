"""`dualsync dlq`: dead letters, why they are dead, sending them anew, dropping them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.formatting import moment
from dualsync.runtime.commands.progress import showing
from dualsync.runtime.commands.session import Direction, Exit, Json, Session, Yes, escape, session, sides_of
from dualsync.runtime.operations import dead_letters
from dualsync.runtime.operations.audit import audited
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.dead_letters import OpenedLetter, Tally, Wanted
from dualsync.runtime.operations.status import by_kind

dlq = typer.Typer(
    help="Dead letters: messages that could not succeed, with the reason. They expire 14 days after the change.",
    no_args_is_help=True,
)

Limit = Annotated[int, typer.Option(min=1, help="Look at so many letters at most.")]
All = Annotated[bool, typer.Option("--all", help="Every letter.")]
Id = Annotated[str, typer.Option("--id", help="The letter whose id begins so.")]
Key = Annotated[str, typer.Option("--key", help="Letters about this key (relative to the prefix).")]
Reason = Annotated[str, typer.Option("--reason", help="Letters whose reason contains this.")]


@dlq.command("list")
def list_(
    invocation: typer.Context,
    direction: Direction = "all",
    key: Key = "",
    reason: Reason = "",
    limit: Limit = 1000,
    json: Json = False,
) -> None:
    """The dead letters, by reason. While they are read, other readers do not see them."""
    cli = session(invocation, json)
    wanted = Wanted(key=key, reason=reason)

    async def work(context: OperatorContext) -> list[tuple[Side, OpenedLetter]]:
        found = []
        for side in sides_of(context, direction):
            async for batch in dead_letters.letters(side, limit):
                found += [(side, opened) for opened in batch if wanted.takes(opened)]
        return found

    found = cli.run(work)
    document = {"letters": [_data(side, opened) for side, opened in found]}
    cli.show(document, lambda: _table(cli, found), Exit.ATTENTION if found else Exit.DONE)


@dlq.command()
def redrive(
    invocation: typer.Context,
    direction: Direction = "all",
    every: All = False,
    id: Id = "",
    key: Key = "",
    reason: Reason = "",
    limit: Limit = 1_000_000,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Have the workers look again at what the letters were about.

    Nothing is replayed: a careful look reads both sides as they are now, and only what is still true is done. Mend the
    cause first, else they come back.
    """
    cli = session(invocation, json)
    wanted = _wanted(cli, every, id, key, reason)
    cli.ask(f"Send the wanted dead letters of {direction} anew?", yes)

    async def work(context: OperatorContext) -> dict[str, Tally]:
        return await _each(cli, context, direction, "redrive", wanted, limit)

    _result(cli, cli.run(work), "sent anew", every)


@dlq.command()
def drop(
    invocation: typer.Context,
    direction: Direction = "all",
    every: All = False,
    id: Id = "",
    key: Key = "",
    reason: Reason = "",
    limit: Limit = 1_000_000,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove letters for good. What they were about is left to the finder, which finds what still differs."""
    cli = session(invocation, json)
    wanted = _wanted(cli, every, id, key, reason)
    cli.ask(f"Drop the wanted dead letters of {direction} for good?", yes)

    async def work(context: OperatorContext) -> dict[str, Tally]:
        return await _each(cli, context, direction, "drop", wanted, limit)

    _result(cli, cli.run(work), "dropped", every)


async def _each(
    cli: Session, context: OperatorContext, direction: str, what: str, wanted: Wanted, limit: int
) -> dict[str, Tally]:
    tallies = {}
    act = dead_letters.redrive if what == "redrive" else dead_letters.drop
    for side in sides_of(context, direction):
        total = (await side.metrics.dead()).total
        arguments = {"direction": side.direction, "id": wanted.id, "key": wanted.key, "reason": wanted.reason}
        async with audited(context, [side], f"dlq {what}", arguments) as record:
            with showing(cli, f"{what} {side.direction}", total or None) as on_progress:
                tally = await act(side, wanted, limit, lambda done, on_progress=on_progress: on_progress(done, ""))  # type: ignore[misc]
            record.result.update(done=tally.done, unreadable=tally.unreadable)
        tallies[side.direction] = tally
    return tallies


def _wanted(cli: Session, every: bool, id: str, key: str, reason: str) -> Wanted:
    if not (every or id or key or reason):
        cli.fail("say which letters: --all, --id, --key or --reason (see `dualsync dlq list`)", Exit.USAGE)
    return Wanted(id=id, key=key, reason=reason)


def _result(cli: Session, tallies: dict[str, Tally], done: str, every: bool) -> None:
    document = {
        direction: {"done": t.done, "unreadable": t.unreadable, "left": t.left} for direction, t in tallies.items()
    }

    def text() -> None:
        for direction, tally in tallies.items():
            cli.out.print(f"{direction}: {tally.done} {done}, {tally.left} left")
            if tally.unreadable:
                cli.out.print(f"  {tally.unreadable} can't be read by any worker: look at them, then `dlq drop`")

        if missed:
            cli.out.print("no letter is like that: see `dualsync dlq list`")

    unreadable = any(tally.unreadable for tally in tallies.values())
    missed = not every and not unreadable and not any(tally.done for tally in tallies.values())
    cli.show(document, text, Exit.ATTENTION if unreadable or missed else Exit.DONE)


def _data(side: Side, opened: OpenedLetter) -> dict[str, Any]:
    return {
        "direction": side.direction,
        "id": opened.letter.id,
        "sent": opened.letter.sent,
        "reason": opened.reason,
        "readable": not opened.unreadable,
        "keys": [look.key for look in opened.looks],
        "causes": [str(look.cause) for look in opened.looks],
        "body": opened.letter.body if opened.unreadable else None,
    }


def _table(cli: Session, found: list[tuple[Side, OpenedLetter]]) -> None:
    if not found:
        cli.out.print("no dead letters")
        return
    for direction in dict.fromkeys(side.direction for side, _ in found):
        reasons = Counter(opened.reason for side, opened in found if side.direction == direction)
        for reason, count in by_kind(reasons):
            cli.out.print(f"{direction}  [yellow]{count}[/yellow] × {escape(reason)}")
    table = Table("direction", "id", "since", "cause", "key", "reason", box=None, pad_edge=False)
    for side, opened in found[:100]:
        look = opened.looks[0] if opened.looks else None
        table.add_row(
            side.direction,
            opened.letter.id[:8],
            moment(opened.letter.sent),
            str(look.cause) if look else "–",
            escape(look.key) if look else escape(opened.letter.body[:60]),
            escape(opened.reason),
        )
    cli.out.print()
    cli.out.print(table)
    if len(found) > 100:
        cli.out.print(f"… and {len(found) - 100} more: --json has all")
