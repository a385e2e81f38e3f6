"""Test ledgers (Amazon DynamoDB Developer Guide: conditional writes, strongly consistent reads, BatchGetItem)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.model.ledger_entry import AnnouncedWrite, CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.records import CONFLICT, HELD_DELETION, UPLOAD, Record
from dualsync.runtime.settings import SideName
from tests.contract.adapters import AdapterWorld

AGREED = SyncedVersion(
    OriginVersion(SideName.CN, 1_790_000_000, "e1"), CopyState("e1", 1_790_000_000), CopyState("e2-7", None)
)
OTHER = SyncedVersion(
    OriginVersion(SideName.GLOBAL, 1_790_000_009, "e3"), CopyState("e4", 1_790_000_010), CopyState("e3", 1_790_000_009)
)
FULL = LedgerEntry(
    key="k",
    revision=1,
    synced=AGREED,
    expired=OTHER,
    deleted_versions=(OTHER, AGREED),
    sequencer="000000000000000055aed6dcd90281e5",
    first_event="000000000000000055aed6dcd90281e4",
    last_deletion="000000000000000055aed6dcd90281e3",
    deleted_at=1_790_000_011,
    second_copy=True,
    pending=AnnouncedWrite(AGREED.version, OTHER.version),
    overwrite=AnnouncedWrite(OTHER.version, AGREED.version),
    echoed="1790000012;e1",
    attributes="0123456789_-",
    updated=1_790_000_012,
)


async def records(world: AdapterWorld, kind: str) -> list[Record]:
    return [record async for record in world.ledger.records(kind)]


async def test_empty_ledger_returns_nothing(world: AdapterWorld) -> None:
    assert await world.ledger.get("k") is None
    assert await world.ledger.get_many([]) == {}
    assert await world.ledger.get_many(["k"]) == {}
    assert await records(world, CONFLICT) == []


@pytest.mark.parametrize("entry", [FULL, LedgerEntry(key="k", revision=1), replace(FULL, synced=None, expired=None)])
async def test_written_entry_is_read(world: AdapterWorld, entry: LedgerEntry) -> None:
    await world.ledger.put(entry, 0)
    assert await world.ledger.get("k") == entry
    assert await world.ledger.get_many(["k", "j"]) == {"k": entry}


@pytest.mark.parametrize(
    "key", ["//dualsync/record/conflict/1", "//dualsync/object/k", "ü" * 512, "\x01 \n", ".", "/"], ids=list("123456")
)
async def test_entry_with_any_key_is_written_and_read(world: AdapterWorld, key: str) -> None:
    await world.ledger.record(Record(CONFLICT, "1", 5))
    entry = replace(FULL, key=key)
    await world.ledger.put(entry, 0)
    assert await world.ledger.get(key) == entry
    assert await world.ledger.get_many([key]) == {key: entry}
    assert await records(world, CONFLICT) == [Record(CONFLICT, "1", 5)]


async def test_put_requires_the_revision_that_was_read(world: AdapterWorld) -> None:
    await world.ledger.put(FULL, 0)
    for expected in (0, 2):
        with pytest.raises(PreconditionFailedError):
            await world.ledger.put(replace(FULL, revision=expected + 1, updated=1), expected)
    newer = replace(FULL, revision=2, synced=None, sequencer="", updated=7)
    await world.ledger.put(newer, 1)
    assert await world.ledger.get("k") == newer
    with pytest.raises(PreconditionFailedError):
        await world.ledger.put(replace(FULL, revision=2), 1)
    with pytest.raises(PreconditionFailedError):
        await world.ledger.put(replace(FULL, key="other", revision=6), 5)
    assert await world.ledger.get("other") is None


async def test_put_increments_the_revision_that_was_read(world: AdapterWorld) -> None:
    await world.ledger.put(replace(FULL, revision=0), 0)
    assert await world.ledger.get("k") == FULL
    await world.ledger.put(replace(FULL, revision=7), 1)
    assert await world.ledger.get("k") == replace(FULL, revision=2)


async def test_many_entries_are_read_at_once(world: AdapterWorld) -> None:
    for number in range(0, 100, 3):
        await world.ledger.put(replace(FULL, key=f"k{number}"), 0)
    found = await world.ledger.get_many([f"k{number}" for number in range(100)])
    assert found == {f"k{number}": replace(FULL, key=f"k{number}") for number in range(0, 100, 3)}
    assert list(await world.ledger.get_many(["k3", "k3"])) == ["k3"]


async def test_read_of_more_than_100_entries_is_refused(world: AdapterWorld) -> None:
    with pytest.raises(ValueError, match="100"):
        await world.ledger.get_many([str(number) for number in range(101)])


async def test_records_of_a_kind_are_listed_oldest_first(world: AdapterWorld) -> None:
    kept = [Record(CONFLICT, str(time), time, "key", {"a": [1, "ü"], "b": None}) for time in (30, 10, 20)]
    for record in kept:
        await world.ledger.record(record)
    await world.ledger.record(Record(HELD_DELETION, "10", 5))
    assert await records(world, CONFLICT) == sorted(kept, key=lambda record: record.time)
    assert await records(world, HELD_DELETION) == [Record(HELD_DELETION, "10", 5)]


async def test_record_is_replaced_and_removed_by_its_id(world: AdapterWorld) -> None:
    long = "k" * 1024 + "@1"
    for id in ("1", long):
        await world.ledger.record(Record(CONFLICT, id, 10, "old"))
        await world.ledger.record(Record(CONFLICT, id, 20, "new"))
    assert {(record.id, record.key) for record in await records(world, CONFLICT)} == {("1", "new"), (long, "new")}
    await world.ledger.remove_record(Record(CONFLICT, long, 20))
    await world.ledger.remove_record(Record(CONFLICT, long, 20))
    assert [record.id for record in await records(world, CONFLICT)] == ["1"]


async def test_record_is_claimed_once_and_released_by_its_claimer(world: AdapterWorld) -> None:
    first, second = Record(UPLOAD, "a", 10, "k", {"id": "1"}), Record(UPLOAD, "a", 10, "k", {"id": "2"})
    ledger = world.ledger
    assert await ledger.get_record(UPLOAD, "a") is None
    with pytest.raises(PreconditionFailedError):
        await ledger.claim(first, second)
    await ledger.claim(first, None)
    assert await ledger.get_record(UPLOAD, "a") == first
    with pytest.raises(PreconditionFailedError):
        await ledger.claim(second, None)
    with pytest.raises(PreconditionFailedError):
        await ledger.release(second)
    await ledger.claim(second, first)
    with pytest.raises(PreconditionFailedError):
        await ledger.release(first)
    assert await records(world, UPLOAD) == [second]
    await ledger.release(second)
    await ledger.release(second)
    assert await ledger.get_record(UPLOAD, "a") is None
