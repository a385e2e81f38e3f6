"""`dualsync audit`: what operators did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from dualsync.runtime.commands.output.formatting import short_local_time
from dualsync.runtime.commands.session import Direction, Json, escape, session, sides_of
from dualsync.runtime.model.records import Record
from dualsync.runtime.operations.audit import read_audit_trail
from dualsync.runtime.operations.context import OperatorContext, Side


def audit(
    invocation: typer.Context,
    direction: Direction = "all",
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 50,
    json: Json = False,
) -> None:
    """Show what operators did, and how it ended, from the ledgers."""
    cli = session(invocation, json)

    async def work(context: OperatorContext) -> list[tuple[Side, Record]]:
        return [
            (side, record) for side in sides_of(context, direction) for record in await read_audit_trail(side, limit)
        ]

    acts: dict[str, tuple[Record, list[str]]] = {}
    for side, record in cli.run(work):
        acts.setdefault(record.id, (record, []))[1].append(str(side.name))
    ordered = sorted(acts.values(), key=lambda act: (act[0].time, act[0].id))[-limit:]
    document = {"acts": [{"id": r.id, "time": r.time, "key": r.key, "sides": s, **r.data} for r, s in ordered]}

    def text() -> None:
        table = Table(box=None, pad_edge=False)
        for column in ("time", "who", "command", "sides", "state", "what"):
            table.add_column(column, overflow="fold", no_wrap=column in ("time", "command", "sides", "state"))
        for record, sides in ordered:
            data: dict[str, Any] = dict(record.data)
            what = {n: v for n, v in {**_members(data, "arguments"), **_members(data, "result")}.items() if v}
            what = {n: v for n, v in what.items() if n not in ("direction", "before")}
            table.add_row(
                short_local_time(record.time),
                escape(_name(str(data.get("who", "")))),
                escape(str(data.get("command", ""))),
                ", ".join(sides),
                escape(str(data.get("state", ""))),
                escape(_brief(what)),
            )
        cli.out.print(table if ordered else "nothing yet")

    cli.print_result(document, text)


def _name(who: str) -> str:
    """Return a caller's ARNs as names: a user's, or a role's with its session; one for both sides if equal."""
    names = (arn.rsplit(":", 1)[-1].removeprefix("user/").removeprefix("assumed-role/") for arn in who.split(" / "))
    return " / ".join(dict.fromkeys(names))


def _members(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a member that is an object; an empty one for what another version wrote there."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _brief(values: dict[str, Any]) -> str:
    """Return the arguments that have a value, as `a=1, b=x`; those of controls without their author."""
    flat = {**values, **values["orders"]} if isinstance(values.get("orders"), dict) else values
    return ", ".join(f"{n}={v}" for n, v in flat.items() if v and n not in ("orders", "by", "since"))
