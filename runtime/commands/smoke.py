"""`dualsync smoke`: a test that a copy and a deletion travel in each direction."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from dualsync.runtime.commands.output.formatting import duration
from dualsync.runtime.commands.session import Direction, Exit, Json, escape, session, sides_of
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.smoke import RoundTrip, run_round_trip


def smoke(
    invocation: typer.Context,
    direction: Direction = "all",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for each step.")] = 180,
    json: Json = False,
) -> None:
    """Put a small object on each side, wait for it on the other, delete it, wait again. Exit code 3 if anything fails.

    In between, the other side's store must refuse writes whose conditions do not hold.

    A one-way pair is tested in its only direction.
    """
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> list[RoundTrip]:
        context.both()
        sides = sides_of(context, direction)
        cli.print_progress(f"putting an object under dualsync-smoke/ at {' and '.join(str(s.name) for s in sides)} …")
        trips = [run_round_trip(context, side, context.sides[side.name.peer], timeout) for side in sides]
        return list(await asyncio.gather(*trips))

    trips = cli.run(work)
    document = {
        "fine": all(t.succeeded for t in trips),
        "trips": [
            {"direction": t.direction, "key": t.key, "put": t.put, "deleted": t.deleted, "error": t.error or None}
            for t in trips
        ],
    }

    def text() -> None:
        for t in trips:
            if t.succeeded:
                cli.out.print(
                    f"{t.direction}: [green]there after {duration(t.put)}, gone after {duration(t.deleted)}[/green]"
                )
            else:
                cli.out.print(f"{t.direction}: [red]{escape(t.error)}[/red]; `dualsync status` shows why")

    cli.print_result(document, text, Exit.DONE if document["fine"] else Exit.ATTENTION)
