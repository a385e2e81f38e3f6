"""Provide services that request each answer from the explorer: worker and finder become functions of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from typing import Any

from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.records import Record
from dualsync.runtime.model.streamed_body import StreamedBody
from tests.support.fakes.ledger import Table
from tests.support.fakes.store import Store


class Call:
    """One call to a service. `await` passes it to the explorer, which sends the answer or throws the error."""

    __slots__ = ("arguments", "method", "named", "service")

    def __init__(
        self, service: str, method: str, arguments: tuple[Any, ...], named: dict[str, Any] | None = None
    ) -> None:
        self.service = service
        self.method = method
        self.arguments = arguments
        self.named = named or {}

    def __await__(self) -> Generator[Call, Any, Any]:
        return (yield self)

    def __str__(self) -> str:
        return f"{self.service}.{self.method}"


class ServiceProxy:
    """A service whose calls have one answer each."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            return await Call(self._service, method, arguments, named)

        return call


class BucketProxy(ServiceProxy):
    """A bucket (`local` or `remote`). `store` is for mutants that act without a call."""

    def __init__(self, service: str, store: Store) -> None:
        super().__init__(service)
        self.store = store

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, *more: str) -> Any:
        if isinstance(body, StreamedBody):
            body = b"".join([piece async for piece in body])
        return await Call(self._service, "put_part", (key, upload_id, number, body, *more))

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        for page in await Call(self._service, "list", (after, until, prefix)):
            yield page


class LedgerProxy(ServiceProxy):
    """A ledger. `table` is for mutants that act without a call."""

    def __init__(self, table: Table) -> None:
        super().__init__("ledger")
        self.table = table

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        found: tuple[LedgerEntry, ...] = await Call("ledger", "get_many", (tuple(keys),))
        return {entry.key: entry for entry in found}

    async def records(self, kind: str) -> AsyncIterator[Record]:
        for record in await Call("ledger", "records", (kind,)):
            yield record


class QueueProxy(ServiceProxy):
    """A queue."""

    def __init__(self) -> None:
        super().__init__("queue")

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        await Call("queue", "send", (tuple(bodies), delay_seconds))

    async def delete(self, messages: Sequence[object]) -> None:
        await Call("queue", "delete", ())

    async def send_to_dlq(self, message: object, reason: str) -> None:
        await Call("queue", "send_to_dlq", (reason,))


class AnsweredClock:
    """A clock that shows the time of the last answer."""

    __slots__ = ("time",)

    def __init__(self, time: int) -> None:
        self.time = time

    def now(self) -> float:
        return float(self.time)

    def monotonic(self) -> float:
        return float(self.time)

    async def sleep(self, seconds: float) -> None:
        await Call("clock", "sleep", (seconds,))
