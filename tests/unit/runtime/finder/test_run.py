"""Test a finder run over in-memory listings: what it queues, holds and never changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from dualsync.runtime.errors import PreconditionFailedError, UnavailableError
from dualsync.runtime.finder.run import BATCH
from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.records import FINDER_RUN, SEEDED
from dualsync.runtime.settings import VERSION, ConflictPolicy, Events
from tests.support.builders import CN, GLOBAL, USER
from tests.support.fakes.bucket import FakeBucket
from tests.support.finder_harness import OLD, FinderHarness


class Listing(FakeBucket):
    """A bucket whose listing fails after `good_pages` pages of one row."""

    good_pages = 0

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        left = self.good_pages
        async for page in super().list(after, until, prefix):
            if not left:
                raise UnavailableError("page lost")
            left -= 1
            yield page


def test_differences_are_queued_as_full_checks_with_their_reason() -> None:
    world = FinderHarness()
    world.both("same")
    world.only_here("new")
    world.both("gone here", "gone there")
    world.here.delete("gone here", USER)
    world.there.delete("gone there", USER)
    world.find()
    requests = {request.key: request for request in world.queued()}
    assert {k: (request.may_delete, request.reason) for k, request in requests.items()} == {
        "new": (False, "new here"),
        "gone here": (True, "deleted here"),
        "gone there": (True, "deleted at the peer"),
    }
    assert all(request.full_check and request.cause is Cause.FINDER for request in requests.values())
    assert {request.first_sent for request in requests.values()} == {float(world.time.now)}


def test_run_reports_counts_and_writes_a_record() -> None:
    world = FinderHarness()
    world.both("same", "gone")
    world.there.delete("gone", USER)
    world.only_here("new")
    report = world.find()
    data = {
        "here": 3,
        "there": 1,
        "equal": 1,
        "found": {"new here": 1, "deleted at the peer": 1},
        "queued": 2,
        "agreed": 0,
        "young": 0,
        "archived": 0,
        "waiting": 0,
        "failed": 0,
        "held": 0,
    }
    assert report.data() == data
    record = world.record(FINDER_RUN)
    assert record is not None
    assert record.data == data | {"state": "finished", "version": VERSION}
    assert {k: v for k, v in world.log.of("finder")[-1].items() if k != "state"} == data


def test_many_differences_are_each_queued_once() -> None:
    world = FinderHarness()
    keys = [f"k{i:04d}" for i in range(2 * BATCH + 7)]
    world.only_here(*keys)
    report = world.find()
    assert sorted(world.queued_keys()) == keys
    assert report.queued == len(keys)


def test_run_writes_to_no_bucket_and_no_existing_entry() -> None:
    world = FinderHarness(seeded=False)
    world.both("a", known=True)
    world.only_here("b")
    entries = dict(world.ledger.table.entries)
    events = list(world.events)
    world.find()
    assert world.events == events
    assert world.ledger.table.entries == entries


# -- first contact


def test_first_contact_deletes_nothing() -> None:
    world = FinderHarness(seeded=False)
    world.only_here("here")
    world.only_there("there")
    world.both("equal", known=False)
    world.here.put("unequal", b"1", USER)
    world.there.put("unequal", b"2", USER)
    report = world.find()
    assert {request.key: request.may_delete for request in world.queued()} == {"here": False, "unequal": False}
    assert report.agreed == 1
    assert world.record(SEEDED) is not None


@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_equal_objects_are_recorded_as_the_version_that_wins(policy: ConflictPolicy) -> None:
    world = FinderHarness(seeded=False, conflict_policy=policy)
    world.here.put("k", b"x", USER)
    world.time.now += 5
    world.there.put("k", b"x", USER)
    world.find()
    here, there = world.here.current("k"), world.there.current("k")
    assert here is not None
    assert there is not None
    proof = world.entry("k").synced
    assert proof is not None
    assert proof.version.origin is (CN if policy is ConflictPolicy.PREFER_CN else GLOBAL)
    assert (proof.local, proof.remote) == (
        CopyState(here.seen.etag, here.seen.modified),
        CopyState(there.seen.etag, there.seen.modified),
    )
    assert world.queued() == []


def test_equal_keys_need_no_ledger_read_after_seeding() -> None:
    world = FinderHarness(seeded=False)
    world.both("k", known=False)
    world.find()
    world.ledger.get_many = None  # type: ignore[method-assign,assignment]
    assert world.find().counters.equal == 1


def test_young_equal_keys_are_recorded_by_a_later_run() -> None:
    world = FinderHarness(seeded=False)
    world.both("k", known=False)
    assert world.find(after=10).young == 1
    assert world.find().agreed == 1
    assert world.entry("k").synced is not None


def test_entry_that_a_worker_wrote_first_is_kept() -> None:
    world = FinderHarness(seeded=False)
    world.both("k", known=False)

    async def put(entry: LedgerEntry, expected_revision: int) -> None:
        raise PreconditionFailedError("there is an entry by now")

    world.ledger.put = put  # type: ignore[method-assign]
    assert world.find().agreed == 0


# -- young objects


def test_young_object_is_left_to_its_event() -> None:
    world = FinderHarness(finder_grace_seconds=300)
    world.only_here("k")
    assert world.find(after=299).young == 1
    assert world.queued() == []
    assert world.find(after=1).young == 0
    assert world.queued_keys() == ["k"]


def test_key_whose_entry_was_just_updated_is_young() -> None:
    world = FinderHarness()
    world.both("k")
    world.there.delete("k", USER)
    proof = world.entry("k").synced
    world.ledger.table.entries["k"] = LedgerEntry("k", 2, proof, updated=int(world.time.now) + OLD)
    assert world.find().young == 1
    assert world.queued() == []


# -- a listing that fails


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("pages", [0, 1, 2])
def test_failed_listing_ends_the_run_without_deletions(local: bool, pages: int) -> None:
    world = FinderHarness()
    world.both("a", "b", "c")
    store, who = (world.here, "role") if local else (world.there, "peer")
    broken = Listing(store, who, page=1)
    broken.good_pages = pages
    if local:
        world.source = broken
    else:
        world.target = broken
    with pytest.raises(UnavailableError):
        world.find()
    assert world.queued() == []
    assert world.record(FINDER_RUN) is None


def test_failed_first_run_does_not_count_as_seeded() -> None:
    world = FinderHarness(seeded=False)
    world.both("a", "b", known=False)
    broken = Listing(world.there, "peer", page=1)
    broken.good_pages = 1
    world.target = broken
    with pytest.raises(UnavailableError):
        world.find()
    assert world.record(SEEDED) is None


def test_absence_is_no_deletion_if_only_creations_are_synced() -> None:
    world = FinderHarness(events=Events.CREATE)
    world.both("a", "b")
    world.here.delete("a", USER)
    world.there.delete("b", USER)
    report = world.find()
    assert world.queued() == []
    assert report.held == 0


@pytest.mark.parametrize(("prefix", "other"), [("in/", ""), ("", "out/"), ("in/", "out/")])
def test_prefixes_of_both_sides_are_removed(prefix: str, other: str) -> None:
    world = FinderHarness(local_prefix=prefix, remote_prefix=other)
    for key in ("a", "b"):
        world.here.put(prefix + key, b"x", USER)
    world.there.put(other + "b", b"x", USER)
    world.here.put("zz/elsewhere" if prefix else "c", b"x", USER)
    world.find()
    assert world.queued_keys() == (["a"] if prefix else ["a", "c"])
