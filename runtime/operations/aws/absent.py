"""Replace what a one-way pair's destination does not have: queue, ledger, workers and logs.

A command that works with both sides finds them empty there, and nothing is sent to AWS for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dualsync.runtime.errors import FatalError
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import Record
from dualsync.runtime.operations.context import AccessKey, Depth, ExpectedUser, Letter, Side, SideMetrics
from dualsync.runtime.ports import Message, QueueDepth
from dualsync.runtime.settings import SideName


def without_absent_parts(side: Side) -> Side:
    """Return the side as it is: at a one-way pair's destination without the parts that only a source has."""
    if side.settings.carries:
        return side
    return replace(
        side,
        ledger=AbsentLedger(),
        queue=AbsentQueue(side.name),
        dead_letter_queue=AbsentDeadLetterQueue(),
        metrics=UserMetrics(side.metrics),
        history=AbsentHistory(),
    )


class AbsentLedger:
    """A ledger that is not there: it has no entries, and keeps none."""

    async def get(self, key: str) -> LedgerEntry | None:
        return None

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        return {}

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        pass

    async def record(self, record: Record) -> None:
        pass

    async def records(self, kind: str) -> AsyncIterator[Record]:
        for record in list[Record]():
            yield record

    async def remove_record(self, record: Record) -> None:
        pass

    async def get_record(self, kind: str, id: str) -> Record | None:
        return None

    async def claim(self, record: Record, instead: Record | None) -> None:
        pass

    async def release(self, record: Record) -> None:
        pass


class AbsentQueue:
    """A queue that is not there. Raises `FatalError` for a message."""

    def __init__(self, side: SideName) -> None:
        self._side = side

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        if bodies:
            raise FatalError(f"{self._side} is a one-way pair's destination and has no queue; use {self._side.peer}")

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[Message]:
        return []

    async def delete(self, messages: Sequence[Message]) -> None:
        pass

    async def extend(self, messages: Sequence[Message], seconds: int) -> None:
        pass

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        pass

    async def depth(self) -> QueueDepth:
        return QueueDepth(0, 0)


class AbsentDeadLetterQueue:
    """A dead-letter queue that is not there."""

    async def hold(self, limit: int, seconds: int) -> Sequence[Letter]:
        return []

    async def release(self, letters: Sequence[Letter]) -> None:
        pass

    async def remove(self, letters: Sequence[Letter]) -> None:
        pass


class UserMetrics:
    """What a destination counts: the keys of its dedicated user."""

    def __init__(self, metrics: SideMetrics) -> None:
        self._metrics = metrics

    async def queue_depth(self) -> Depth:
        return Depth()

    async def dead_letter_depth(self) -> Depth:
        return Depth()

    async def oldest_age(self) -> float | None:
        return None

    async def group_sizes(self) -> tuple[int, int] | None:
        return None

    async def access_keys(self) -> Sequence[AccessKey] | None:
        return await self._metrics.access_keys()

    async def delete_key(self, id: str) -> None:
        await self._metrics.delete_key(id)

    async def expected_user(self) -> ExpectedUser | None:
        return None

    async def metric_sums(self, metrics: Sequence[str], since: float, until: float) -> Mapping[str, float] | None:
        return {}


class AbsentHistory:
    """Logs that are not there."""

    async def decisions(self, key: str, since: float, limit: int = 20) -> Sequence[Mapping[str, Any]] | None:
        return []

    async def outcomes(
        self, outcomes: Sequence[str], since: float, until: float, limit: int
    ) -> Sequence[Mapping[str, Any]] | None:
        return []
