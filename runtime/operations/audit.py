"""The audit trail: acts of operators, in the ledger of each side that they concern."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from dualsync.runtime.model.records import AUDIT, Record
from dualsync.runtime.operations.context import OperatorContext, Side


@dataclass(slots=True)
class AuditedAct:
    """An act under way."""

    result: dict[str, object] = field(default_factory=dict)
    """Its result, written into the ledger at the end."""


@asynccontextmanager
async def audit_act(
    context: OperatorContext, sides: Iterable[Side], command: str, arguments: Mapping[str, object], key: str = ""
) -> AsyncIterator[AuditedAct]:
    """Record an act before it is done, and its result afterwards.

    Raises when the ledger can't be written: nothing is done without its record.
    """
    now, sides = context.now(), list(sides)
    id = f"{int(context.clock.now() * 1000)}-{secrets.token_hex(4)}"
    data: dict[str, object] = {"who": context.operator_arns, "command": command, "arguments": dict(arguments)}

    async def write(state: str, result: Mapping[str, object]) -> None:
        for side in sides:
            await side.ledger.record(Record(AUDIT, id, now, key, {**data, "state": state, "result": dict(result)}))

    await write("begun", {})
    act = AuditedAct()
    try:
        yield act
    except BaseException as e:
        await write("failed", {**act.result, "error": f"{type(e).__name__}: {e}"[:500]})
        raise
    await write("done", act.result)


async def read_audit_trail(side: Side, limit: int) -> list[Record]:
    """Return the last `limit` acts, newest last."""
    records = [record async for record in side.ledger.records(AUDIT)]
    return records[-limit:]
