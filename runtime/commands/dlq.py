"""`dualsync dlq`: dead letters, their reasons, sending them again, dropping them."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.formatting import count_text, short_local_time
from dualsync.runtime.commands.output.progress import show_progress
from dualsync.runtime.commands.session import (
    Direction,
    DryRun,
    Exit,
    Json,
    Session,
    Yes,
    check_direction,
    escape,
    key_text,
    refuse_empty,
    session,
    sides_of,
)
from dualsync.runtime.operations import dead_letters
from dualsync.runtime.operations.audit import audit_act
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.dead_letters import LetterSelection, OpenedLetter, Tally
from dualsync.runtime.operations.status import group_reasons

dlq = typer.Typer(
    help="Dead letters: messages that could not succeed, with the reason. They expire 14 days after the change.",
    no_args_is_help=True,
)

SHOWN = 100
SAMPLE = 5
"""Keys that are named before a question."""

Limit = Annotated[int, typer.Option(min=1, help="Read at most this many letters.")]
All = Annotated[bool, typer.Option("--all", help="Every letter.")]
Id = Annotated[str, typer.Option("--id", help="The letter whose id begins with this.", callback=refuse_empty)]
Key = Annotated[
    str, typer.Option("--key", help="Letters about this key (relative to the prefix).", callback=refuse_empty)
]
Reason = Annotated[str, typer.Option("--reason", help="Letters whose reason contains this.", callback=refuse_empty)]


@dlq.command("list")
def list_(
    invocation: typer.Context,
    direction: Direction = "all",
    key: Key = "",
    reason: Reason = "",
    limit: Limit = 1000,
    json: Json = False,
) -> None:
    """List the dead letters, by reason. While they are read, they are hidden from other readers."""
    cli = session(invocation, json)
    wanted = LetterSelection(key=key, reason=reason)

    async def work(context: OperatorContext) -> list[tuple[Side, OpenedLetter]]:
        found = []
        for side in sides_of(context, direction):
            async for batch in dead_letters.letters(side, limit):
                found += [(side, opened) for opened in batch if wanted.includes(opened)]
        return found

    found = cli.run(work)
    document = {"letters": [_data(side, opened) for side, opened in found]}
    cli.print_result(document, lambda: _table(cli, found), Exit.ATTENTION if found else Exit.DONE)


@dlq.command()
def redrive(
    invocation: typer.Context,
    direction: Direction = "all",
    every: All = False,
    id: Id = "",
    key: Key = "",
    reason: Reason = "",
    limit: Limit = 1_000_000,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send dead letters again, so that the workers check their keys.

    Nothing is replayed: a full check reads both sides as they are now, and does only what is still needed. Repair the
    cause first, else they become dead letters again.
    """
    cli = session(invocation, json)
    check_direction(cli, direction)
    wanted = _wanted(cli, every, id, key, reason)
    count = _survey(cli, direction, wanted, limit)
    if dry_run:
        cli.print_result({"would": count}, lambda: cli.out.print("nothing was sent"))
        return
    if not count and not yes:
        _result(cli, {}, "sent again", every)
        return
    cli.confirm(f"Send {count_text(sum(count.values()), 'dead letter')} of {direction} again?", yes)

    async def work(context: OperatorContext) -> dict[str, Tally]:
        return await _each(cli, context, direction, "redrive", wanted, limit)

    _result(cli, cli.run(work), "sent again", every)


@dlq.command()
def drop(
    invocation: typer.Context,
    direction: Direction = "all",
    every: All = False,
    id: Id = "",
    key: Key = "",
    reason: Reason = "",
    limit: Limit = 1_000_000,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove dead letters for good. The finder queues their keys again if both sides still differ."""
    cli = session(invocation, json)
    check_direction(cli, direction)
    wanted = _wanted(cli, every, id, key, reason)
    count = _survey(cli, direction, wanted, limit)
    if dry_run:
        cli.print_result({"would": count}, lambda: cli.out.print("nothing was dropped"))
        return
    if not count and not yes:
        _result(cli, {}, "dropped", every)
        return
    cli.confirm(f"Drop {count_text(sum(count.values()), 'dead letter')} of {direction} for good?", yes)

    async def work(context: OperatorContext) -> dict[str, Tally]:
        return await _each(cli, context, direction, "drop", wanted, limit)

    _result(cli, cli.run(work), "dropped", every)


def _survey(cli: Session, direction: str, wanted: LetterSelection, limit: int) -> dict[str, int]:
    """Print the chosen letters by reason, with sample keys; return their number per direction."""

    async def work(context: OperatorContext) -> list[tuple[Side, OpenedLetter]]:
        return [
            (side, opened)
            for side in sides_of(context, direction)
            async for batch in dead_letters.letters(side, limit)
            for opened in batch
            if wanted.includes(opened)
        ]

    found = cli.run(work)
    for line in _by_reason(found):
        cli.print_progress(line)
    keys = [request.key for _, opened in found for request in opened.requests[:1]]
    if keys:
        cli.print_progress(
            "  " + ", ".join(key_text(key) for key in keys[:SAMPLE]) + (" …" if len(keys) > SAMPLE else "")
        )
    return dict(Counter(side.direction for side, _ in found))


def _by_reason(found: list[tuple[Side, OpenedLetter]]) -> list[str]:
    lines = []
    for direction in dict.fromkeys(side.direction for side, _ in found):
        reasons = Counter(opened.reason for side, opened in found if side.direction == direction)
        lines += [
            f"{direction}  [yellow]{count}[/yellow] × {escape(reason)}" for reason, count in group_reasons(reasons)
        ]
    return lines


async def _each(
    cli: Session, context: OperatorContext, direction: str, what: str, wanted: LetterSelection, limit: int
) -> dict[str, Tally]:
    tallies = {}
    act = dead_letters.redrive if what == "redrive" else dead_letters.drop
    for side in sides_of(context, direction):
        total = (await side.metrics.dead_letter_depth()).total
        arguments = {"direction": side.direction, "id": wanted.id, "key": wanted.key, "reason": wanted.reason}
        async with audit_act(context, [side], f"dlq {what}", arguments) as record:
            with show_progress(cli, f"{what} {side.direction}", total or None) as on_progress:
                tally = await act(side, wanted, limit, lambda done, on_progress=on_progress: on_progress(done, ""))  # type: ignore[misc]
            record.result.update(done=tally.done, unreadable=tally.unreadable)
        tallies[side.direction] = tally
    return tallies


def _wanted(cli: Session, every: bool, id: str, key: str, reason: str) -> LetterSelection:
    if not (every or id or key or reason):
        cli.fail("choose the letters: --all, --id, --key or --reason (see `dualsync dlq list`)", Exit.USAGE)
    return LetterSelection(id=id, key=key, reason=reason)


def _result(cli: Session, tallies: dict[str, Tally], done: str, every: bool) -> None:
    document = {
        direction: {"done": t.done, "unreadable": t.unreadable, "left": t.not_chosen}
        for direction, t in tallies.items()
    }

    def text() -> None:
        for direction, tally in tallies.items():
            cli.out.print(f"{direction}: {tally.done} {done}, {tally.not_chosen} left")
            if tally.unreadable:
                cli.out.print(
                    f"  {tally.unreadable} can't be read by any worker: see `dlq list --json`, then `dlq drop`"
                )

        if missed:
            cli.out.print("no letter matches: see `dualsync dlq list`")
        elif not tallies:
            cli.out.print("no dead letters")

    unreadable = any(tally.unreadable for tally in tallies.values())
    missed = not every and not unreadable and not any(tally.done for tally in tallies.values())
    cli.print_result(document, text, Exit.ATTENTION if unreadable or missed else Exit.DONE)


def _data(side: Side, opened: OpenedLetter) -> dict[str, Any]:
    return {
        "direction": side.direction,
        "id": opened.letter.id,
        "sent": opened.letter.sent,
        "reason": opened.reason,
        "readable": not opened.unreadable,
        "keys": [request.key for request in opened.requests],
        "causes": [str(request.cause) for request in opened.requests],
        "body": opened.letter.body if opened.unreadable else None,
    }


def _table(cli: Session, found: list[tuple[Side, OpenedLetter]]) -> None:
    if not found:
        cli.out.print("no dead letters")
        return
    # The reason is in the summary below, once for all of a kind, so that keys have the room to stay whole.
    kinds = len({opened.reason.split(":", 1)[0] for _, opened in found}) > 1
    table = Table("id", "since", "direction", "key", *(["reason"] if kinds else []), box=None, pad_edge=False)
    table.columns[3].overflow = "fold"
    for side, opened in found[:SHOWN]:
        request = opened.requests[0] if opened.requests else None
        table.add_row(
            opened.letter.id[:8],
            short_local_time(opened.letter.sent),
            side.direction,
            key_text(request.key) if request else f"[dim]{escape(opened.letter.body[:60])}[/dim]",
            *([escape(opened.reason.split(":", 1)[0][:40])] if kinds else []),
        )
    cli.out.print(table)
    if len(found) > SHOWN:
        cli.out.print(f"… and {len(found) - SHOWN} more: --json has all")
    cli.out.print()
    for line in _by_reason(found):
        cli.out.print(line)
    cli.out.print(
        "`dualsync explain KEY`; when the cause is repaired, `dualsync dlq redrive --all` (--dry-run shows it)"
    )
