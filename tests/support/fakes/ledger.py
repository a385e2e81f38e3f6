"""Provide `dualsync.runtime.ports.Ledger` in memory: strongly consistent reads, conditional writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import Record
from tests.support.fakes.gate import Gate, open_gate


class Table:
    """The content of a table; entries are immutable, so a copy of the dict is a backup."""

    __slots__ = ("entries", "records")

    def __init__(self) -> None:
        self.entries: dict[str, LedgerEntry] = {}
        self.records: dict[tuple[str, str], Record] = {}


class FakeLedger:
    """A client of a `Table`."""

    def __init__(self, table: Table | None = None, *, gate: Gate = open_gate) -> None:
        self.table = table or Table()
        self._get_record, self._claim, self._release = (
            gate(f"ledger.{call}") for call in ("get_record", "claim", "release")
        )
        self._get, self._get_many, self._put, self._record, self._records, self._remove = (
            gate(f"ledger.{call}") for call in ("get", "get_many", "put", "record", "records", "remove_record")
        )

    async def get(self, key: str) -> LedgerEntry | None:
        await self._get[0]
        entry = self.table.entries.get(key)
        await self._get[1]
        return entry

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        if len(keys) > 100:
            raise ValueError(f"get_many of {len(keys)} keys: BatchGetItem takes 100")
        await self._get_many[0]
        entries = self.table.entries
        found = {k: entries[k] for k in keys if k in entries}
        await self._get_many[1]
        return found

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        await self._put[0]
        stored = self.table.entries.get(entry.key)
        if (stored.revision if stored else 0) != expected_revision:
            raise PreconditionFailedError(f"ledger entry {entry.key}: revision is not {expected_revision}")
        if entry.revision != expected_revision + 1:
            entry = replace(entry, revision=expected_revision + 1)
        self.table.entries[entry.key] = entry
        await self._put[1]

    async def record(self, record: Record) -> None:
        await self._record[0]
        self.table.records[record.kind, record.id] = record
        await self._record[1]

    async def records(self, kind: str) -> AsyncIterator[Record]:
        await self._records[0]
        found = sorted((r for r in self.table.records.values() if r.kind == kind), key=lambda r: (r.time, r.id))
        await self._records[1]
        for record in found:
            yield record

    async def remove_record(self, record: Record) -> None:
        await self._remove[0]
        self.table.records.pop((record.kind, record.id), None)
        await self._remove[1]

    async def get_record(self, kind: str, id: str) -> Record | None:
        await self._get_record[0]
        found = self.table.records.get((kind, id))
        await self._get_record[1]
        return found

    async def claim(self, record: Record, instead: Record | None) -> None:
        await self._claim[0]
        if self.table.records.get((record.kind, record.id)) != instead:
            raise PreconditionFailedError(f"record {record.kind}/{record.id}: another one is there")
        self.table.records[record.kind, record.id] = record
        await self._claim[1]

    async def release(self, record: Record) -> None:
        await self._release[0]
        if self.table.records.get((record.kind, record.id), record) != record:
            raise PreconditionFailedError(f"record {record.kind}/{record.id}: another one is there")
        self.table.records.pop((record.kind, record.id), None)
        await self._release[1]
