"""Test a finder run over several ranges at once: it finds the same as a run over all keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.key_filter import EVERYTHING, KeyFilter
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.records import FINDER_POINTS, Record
from dualsync.runtime.platform import LoopParallel
from tests.support.builders import USER
from tests.support.fakes.bucket import FakeBucket
from tests.support.finder_harness import OLD, FinderHarness

KEY = st.text(st.sampled_from("ab/é"), min_size=1, max_size=3)
FATE = st.sampled_from(["equal", "new", "there", "gone here", "gone there", "changed", "unknown"])


def world(fates: dict[str, str], **changes: Any) -> FinderHarness:
    made = FinderHarness(**changes)
    made.both("~beside")
    for key, fate in sorted(fates.items()):
        if fate == "new":
            made.only_here(key)
        elif fate == "there":
            made.only_there(key)
        else:
            made.both(key, known=fate != "unknown")
        if fate == "gone here":
            made.here.delete(key, USER)
        elif fate == "gone there":
            made.there.delete(key, USER)
        elif fate == "changed":
            made.here.put(key, b"changed", USER)
    made.source = FakeBucket(made.here, "role", page=2)
    made.target = FakeBucket(made.there, "peer", page=2)
    return made


def divided(made: FinderHarness, points: list[str]) -> FinderHarness:
    data: dict[str, object] = {"points": sorted(points)}
    made.ledger.table.records[FINDER_POINTS, "last"] = Record(FINDER_POINTS, "last", 0, data=data)
    return made


@given(
    st.dictionaries(KEY, FATE, max_size=12),
    st.lists(KEY, max_size=6),
    st.integers(2, 5),
    st.booleans(),
    st.integers(0, 2),
    st.lists(KEY, max_size=2),
)
def test_run_finds_the_same_in_any_division_into_ranges(
    fates: dict[str, str], points: list[str], number: int, seeded: bool, limit: int, prefixes: list[str]
) -> None:
    whole = world(fates, seeded=seeded, deletion_limit=limit)
    parts = divided(world(fates, seeded=seeded, deletion_limit=limit, finder_number=number), points)
    whole.scope = parts.scope = KeyFilter.from_prefixes(prefixes) if prefixes else EVERYTHING
    one, many = whole.find(), parts.find()
    assert many.data() == one.data()
    assert many.reason == one.reason
    assert sorted(parts.queued_keys()) == sorted(whole.queued_keys())
    assert parts.ledger.table.entries == whole.ledger.table.entries
    assert {k: r for k, r in parts.ledger.table.records.items() if k[0] != FINDER_POINTS} == whole.ledger.table.records


class Slow(FakeBucket):
    """A bucket whose listings overlap; it counts how many run at once."""

    listing = most = 0
    fails = ""

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        self.listing += 1
        self.most = max(self.most, self.listing)
        async for rows in super().list(after, until, prefix):
            await asyncio.sleep(0)
            if any(row.key == self.fails for row in rows):
                raise UnavailableError("page lost")
            yield rows
        self.listing -= 1


def test_ranges_are_compared_in_parallel_and_one_failure_ends_the_run() -> None:
    fates = {
        f"{letter}{n}": "gone there" if n == 3 else "new" if n == 5 else "equal" for letter in "abcd" for n in range(8)
    }
    alone = world(fates)
    one = alone.find()
    several = divided(world(fates, finder_number=4), ["b", "c", "d"])
    several.parallel = LoopParallel()
    several.source = source = Slow(several.here, "role", page=2)
    several.target = Slow(several.there, "peer", page=2)
    several.time.now += OLD
    assert asyncio.run(several.finder().run()).data() == one.data()
    assert source.most == 4
    assert sorted(several.queued_keys()) == sorted(alone.queued_keys())

    several.broker.letters.clear()
    source.fails = "c4"
    with pytest.raises(UnavailableError):
        asyncio.run(several.finder().run())
    assert not any(request.may_delete for request in several.queued())


def test_run_records_points_only_if_it_uses_several_ranges() -> None:
    alone, several = world({}), world({}, finder_number=3)
    for made in (alone, several):
        made.both(*(f"k{n:03}" for n in range(100)))
        made.find()
    assert alone.record(FINDER_POINTS) is None
    record = several.record(FINDER_POINTS)
    assert record is not None
    points = record.data["points"]
    assert isinstance(points, list)
    assert len(points) > 40
    assert points == sorted(points)
    several.only_here("k050x")
    several.find()
    assert several.queued_keys() == ["k050x"]


def test_prefix_list_limits_the_run_and_keys_outside_it_are_no_deletions() -> None:
    made = FinderHarness()
    made.both("a/1", "b/1", "c/1")
    made.here.delete("b/1", USER)
    made.only_here("a/2", "b/2")
    made.scope = KeyFilter.from_prefixes(["a/"])
    report = made.find()
    assert made.queued_keys() == ["a/2"]
    assert (report.counters.here, report.counters.there, report.held) == (2, 1, 0)


def test_another_prefix_list_is_seeded_again() -> None:
    made = FinderHarness(seeded=False)
    made.both("a/1", "b/1", known=False)
    made.scope = KeyFilter.from_prefixes(["a/"])
    assert made.find().agreed == 1
    assert made.find().agreed == 0
    made.scope = KeyFilter.from_prefixes(["a/", "b/"])
    assert made.find().agreed == 1
    assert made.entry("b/1").synced is not None
