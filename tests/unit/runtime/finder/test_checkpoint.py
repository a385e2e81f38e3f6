"""Test a killed finder run: the next run resumes it, and the deletion limits count both parts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.finder import checkpoint
from dualsync.runtime.finder.checkpoint import (
    CHECKPOINT_INTERVAL_SECONDS,
    LIVENESS_PERIODS,
    MAX_AGE_SECONDS,
    MAX_RESUMPTIONS,
)
from dualsync.runtime.model.key_filter import KeyFilter
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.records import DELETION_APPROVAL, FINDER_CHECKPOINT, FINDER_POINTS, SEEDED, Record
from tests.support.builders import USER
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock
from tests.support.finder_harness import FinderHarness

KEYS = [f"k{n}" for n in range(8)]


class Fragile(FakeBucket):
    """A bucket in pages of one row whose listing fails after `left` pages, and that records where listings began."""

    left = 10**9

    def __init__(self, *given: Any) -> None:
        super().__init__(*given, page=1)
        self.begun: list[str] = []

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        self.begun.append(after)
        async for page in super().list(after, until, prefix):
            if self.left <= 0:
                raise UnavailableError("page lost")
            self.left -= 1
            yield page


class InterruptedFinder(FinderHarness):
    """A finder whose listing of the local bucket can be made to fail."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.bucket = self.source = Fragile(self.here, "role")
        self.target = FakeBucket(self.there, "peer", page=3)

    def interrupt(self, pages: int, *, after: float = 10_000, fresh: bool = False) -> None:
        """Run until the listing fails after this number of keys."""
        self.bucket.left = pages
        with pytest.raises(UnavailableError):
            self.find(after=after, fresh=fresh)
        self.bucket.left = 10**9
        self.bucket.begun.clear()

    @property
    def checkpoints(self) -> list[Record]:
        return [r for r in self.ledger.table.records.values() if r.kind == FINDER_CHECKPOINT]


def interrupted_finder(**changes: Any) -> InterruptedFinder:
    """Return a finder over eight synced keys: 1, 3 and 6 were deleted here, 0 and 7 are new."""
    made = InterruptedFinder(**changes)
    made.both(*KEYS[1:7])
    made.only_here(KEYS[0], KEYS[7])
    for n in (1, 3, 6):
        made.here.delete(KEYS[n], USER)
    return made


def test_next_run_resumes_and_reports_the_whole() -> None:
    whole, made = interrupted_finder(), interrupted_finder()
    expected = whole.find().data()
    made.interrupt(2)
    assert made.queued_keys() == ["k0"]
    report = made.find()
    assert made.bucket.begun == ["k2"]
    assert report.data() == expected
    assert made.queued_keys() == ["k7", "k1", "k3", "k6"]
    assert made.checkpoints == []
    resumed = next(line for line in made.log.of("finder") if line["state"] == "resumed")
    assert resumed["keys"] == 4


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 4), st.lists(st.sampled_from(KEYS), max_size=3)
)
def test_interrupted_runs_queue_no_deletion_and_the_limits_count_all_parts(
    interruptions: list[int], limit: int, points: list[str]
) -> None:
    whole, made = (
        interrupted_finder(deletion_limit=limit),
        interrupted_finder(deletion_limit=limit, finder_number=1 + len(points)),
    )
    made.ledger.table.records[FINDER_POINTS, "last"] = Record(FINDER_POINTS, "last", 0, data={"points": points})
    one = whole.find()
    queued: list[str] = []
    for pages in interruptions:
        made.bucket.left = pages
        try:
            made.find()
        except UnavailableError:
            assert not any(request.may_delete for request in made.queued())
            queued += made.queued_keys()
        else:  # few pages were left
            queued.clear()
    made.bucket.left = 10**9
    many = made.find()
    queued += made.queued_keys()
    made.find()  # queues again what the killed runs had queued: their messages are lost in this test
    queued += made.queued_keys()
    assert (many.counters.here, many.counters.there, many.counters.equal) == (
        one.counters.here,
        one.counters.there,
        one.counters.equal,
    )
    assert (many.deletions, many.held, many.reason) == (one.deletions, one.held, one.reason)
    assert set(queued) >= set(whole.queued_keys())
    assert made.checkpoints == []


def test_seeding_resumes_and_counts_as_done_only_when_complete() -> None:
    made = InterruptedFinder(seeded=False)
    made.both(*KEYS, known=False)
    made.interrupt(5)
    assert made.record(SEEDED) is None
    assert made.find().agreed == 8
    assert made.record(SEEDED) is not None
    assert all(made.entry(key).synced for key in KEYS)


def test_young_equal_objects_of_the_first_part_prevent_seeding_from_being_done() -> None:
    made = InterruptedFinder(seeded=False)
    made.both("k0", "k1", known=False)
    made.interrupt(1, after=10)
    assert made.find().agreed == 1
    assert made.record(SEEDED) is None


def test_short_run_writes_no_checkpoint() -> None:
    made = interrupted_finder()
    made.checkpoint_seconds = CHECKPOINT_INTERVAL_SECONDS
    made.interrupt(4)
    assert made.checkpoints == []


def test_step_of_the_wall_clock_delays_no_checkpoint() -> None:
    """A run that is killed in the hour after the step would start again."""
    made = interrupted_finder()
    made.checkpoint_seconds = CHECKPOINT_INTERVAL_SECONDS
    clock = FakeClock(made.time)
    made.context = replace(made.context, clock=clock)

    class Slow(Fragile):
        async def list(
            self, after: str = "", until: str = "", prefix: str = ""
        ) -> AsyncIterator[Sequence[ListedObject]]:
            async for page in super().list(after, until, prefix):
                clock.skew = -3600.0
                made.time.now += CHECKPOINT_INTERVAL_SECONDS
                yield page

    made.bucket = made.source = Slow(made.here, "role")
    made.interrupt(3)
    assert made.find().data() == interrupted_finder().find().data()
    assert made.bucket.begun == ["k3"]


def test_checkpoint_of_a_run_that_may_be_alive_is_kept() -> None:
    made = interrupted_finder()
    made.interrupt(4)
    made.checkpoint_seconds = CHECKPOINT_INTERVAL_SECONDS
    made.find(after=LIVENESS_PERIODS * CHECKPOINT_INTERVAL_SECONDS - 1)
    assert made.bucket.begun == [""]
    assert len(made.checkpoints) == 1


def test_expired_checkpoint_is_removed() -> None:
    made = interrupted_finder()
    made.interrupt(4)
    made.find(after=MAX_AGE_SECONDS + 1)
    assert made.bucket.begun == [""]
    assert made.checkpoints == []


def test_run_that_an_operator_requests_starts_from_the_beginning() -> None:
    made = interrupted_finder()
    made.interrupt(4)
    made.find(fresh=True)
    assert made.bucket.begun == [""]


def test_run_restarts_under_another_configuration() -> None:
    made = interrupted_finder()
    made.interrupt(4)
    made.scope = KeyFilter.from_prefixes(["k"])
    made.find()
    assert made.bucket.begun == [""]


def test_run_restarts_after_a_deletion_approval() -> None:
    made = interrupted_finder(deletion_limit=1)
    made.interrupt(4)
    made.approve(3)
    assert made.find().held == 0
    assert made.bucket.begun == [""]
    assert sum(request.may_delete for request in made.queued()) == 3
    assert made.record(DELETION_APPROVAL) is None


def test_run_restarts_after_the_maximum_of_resumptions_without_progress() -> None:
    made = interrupted_finder()
    made.interrupt(2)
    begun = []
    for _ in range(MAX_RESUMPTIONS + 2):
        made.bucket.left = 0
        with pytest.raises(UnavailableError):
            made.find()
        begun += made.bucket.begun
        made.bucket.begun.clear()
    assert begun == ["k2"] * MAX_RESUMPTIONS + [""] * 2


def test_run_with_progress_is_resumed_any_number_of_times() -> None:
    made = InterruptedFinder()
    keys = [f"k{n:02}" for n in range(3 * MAX_RESUMPTIONS)]
    made.both(*keys)
    for _ in range(len(keys) - 1):
        made.interrupt(1)
    made.find()
    assert made.bucket.begun == [keys[-2]]


def test_furthest_of_several_checkpoints_is_resumed_and_all_are_removed() -> None:
    made = interrupted_finder()
    made.interrupt(3)
    other = made.checkpoints[0]
    made.ledger.table.records.clear()
    made.ledger.table.records[SEEDED, "seeded"] = Record(SEEDED, "seeded", 0)
    made.interrupt(2)
    made.ledger.table.records[FINDER_CHECKPOINT, "other"] = Record(
        FINDER_CHECKPOINT, "other", other.time, data=other.data
    )
    made.find()
    assert made.bucket.begun == ["k4"]
    assert made.checkpoints == []


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 0},
        {"of": "other"},
        {"tries": None},
        {"legs": [{}]},
        {"legs": None},
        {"legs": [{"after": "", "until": "", "last": "k2", "kept": [["no such difference", "k"]]}]},
    ],
)
def test_unreadable_checkpoint_is_ignored(damage: dict[str, object]) -> None:
    made = interrupted_finder()
    made.interrupt(2)
    (record,) = made.checkpoints
    changed = Record(record.kind, record.id, record.time, data=dict(record.data) | damage)
    made.ledger.table.records[record.kind, record.id] = changed
    made.find()
    assert made.bucket.begun == [""]


def test_checkpoint_that_would_be_too_large_leaves_the_previous_one(monkeypatch: pytest.MonkeyPatch) -> None:
    small, made = interrupted_finder(), interrupted_finder()
    small.interrupt(2)
    monkeypatch.setattr(checkpoint, "MAX_RECORD_CHARACTERS", len(json.dumps(dict(small.checkpoints[0].data))) + 5)
    made.interrupt(4)
    assert made.find().data() == interrupted_finder().find().data()
    assert made.bucket.begun == ["k2"]


@pytest.mark.parametrize(("deletions", "begun"), [(300, "~"), (400, "0329")])
def test_deletions_of_the_longest_keys_fit_into_the_checkpoint_or_are_found_again(deletions: int, begun: str) -> None:
    made = InterruptedFinder(deletion_limit=1000)
    keys = [f"{n:04}" + "x" * 1020 for n in range(deletions)]
    made.both(*keys)
    for key in keys:
        made.here.delete(key, USER)
    made.only_here("~", "~~")
    made.target = FakeBucket(made.there, "peer", page=10)
    made.interrupt(1)
    assert len(json.dumps(dict(made.checkpoints[0].data))) < 400_000
    assert made.find().deletions == deletions
    assert made.bucket.begun[0][:4] == begun
