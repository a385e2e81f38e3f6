"""A finder's run over in-memory listings: what it queues, what it holds, what it never does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from runtime.entry import Agreement, Entry, Held
from runtime.errors import Changed, Unavailable
from runtime.events import Principals, parse
from runtime.finder import BATCH, FREE_SHARE, Finder, Report
from runtime.look import Cause, Look
from runtime.objects import Row
from runtime.record import DELETION_APPROVAL, FINDER_RUN, HELD_DELETION, SEEDED, Record
from runtime.settings import ConflictPolicy, Events
from runtime.version import Identity
from tests.core.given import CN, GLOBAL, USER, Side, settings
from tests.fakes.bucket import FakeBucket
from tests.fakes.gate import run

OLD = 10_000
"""Seconds after which nothing is young any more."""


class World(Side):
    """Side `cn` with a finder. `seeded`: a run has been before."""

    def __init__(self, *, seeded: bool = True, **changes: Any) -> None:
        super().__init__(settings(**changes))
        if seeded:
            self.ledger.table.records[SEEDED, "seeded"] = Record(SEEDED, "seeded", 0)
        self.source: Any = self.local
        self.target: Any = self.remote

    def both(self, *keys: str, known: bool = True) -> None:
        """The same content on both sides, agreed on (if `known`)."""
        for key in keys:
            self.only_here(key, known=known)
            self.there.put(key, key.encode(), USER)

    def only_here(self, *keys: str, known: bool = False) -> None:
        for key in keys:
            etag = self.here.put(key, key.encode(), USER).etag
            now = self.here.now()
            if known:
                held = Held(etag, now)
                self.ledger.table.entries[key] = Entry(key, 1, Agreement(Identity(CN, now, etag), held, held))

    def only_there(self, *keys: str, known: bool = False) -> None:
        self.both(*keys, known=known)
        for key in keys:
            self.here.delete(key, USER)

    def approve(self, up_to: object) -> None:
        self.ledger.table.records[DELETION_APPROVAL, "a"] = Record(DELETION_APPROVAL, "a", 0, data={"up_to": up_to})

    def find(self, *, after: float = OLD) -> Report:
        self.time.now += after
        self.broker.letters.clear()
        c = self.context
        finder = Finder(
            settings=c.settings,
            clock=c.clock,
            local=self.source,
            remote=self.target,
            ledger=self.ledger,
            queue=c.queue,
            log=self.log,
        )
        return run(finder.run())

    def queued(self) -> list[Look]:
        return [
            look
            for letter in self.broker.letters.values()
            for look in parse(letter.body, Principals(frozenset()), str, letter.sent)
        ]

    def queued_keys(self) -> list[str]:
        return [look.key for look in self.queued()]

    def record(self, kind: str) -> Record | None:
        return next((r for r in self.ledger.table.records.values() if r.kind == kind), None)


class Listing(FakeBucket):
    """A bucket whose listing ends in an error after so many pages of one row."""

    good_pages = 0

    async def list(self, after: str = "") -> AsyncIterator[Sequence[Row]]:
        left = self.good_pages
        async for page in super().list(after):
            if not left:
                raise Unavailable("page lost")
            left -= 1
            yield page


def test_findings_are_careful_looks_with_their_reason() -> None:
    world = World()
    world.both("same")
    world.only_here("new")
    world.both("gone here", "gone there")
    world.here.delete("gone here", USER)
    world.there.delete("gone there", USER)
    world.find()
    looks = {look.key: look for look in world.queued()}
    assert {k: (look.deletion, look.reason) for k, look in looks.items()} == {
        "new": (False, "new here"),
        "gone here": (True, "deleted here"),
        "gone there": (True, "deleted at the peer"),
    }
    assert all(look.careful and look.cause is Cause.FINDING for look in looks.values())
    assert {look.since for look in looks.values()} == {float(world.time.now)}


def test_it_counts_what_it_saw_and_leaves_a_record() -> None:
    world = World()
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
        "held": 0,
    }
    assert report.data() == data
    record = world.record(FINDER_RUN)
    assert record is not None
    assert record.data == data | {"state": "finished"}
    assert {k: v for k, v in world.log.of("finder")[-1].items() if k != "state"} == data


def test_all_of_many_differences_are_queued_once() -> None:
    world = World()
    keys = [f"k{i:04d}" for i in range(2 * BATCH + 7)]
    world.only_here(*keys)
    report = world.find()
    assert sorted(world.queued_keys()) == keys
    assert report.queued == len(keys)


def test_it_writes_to_no_bucket_and_to_no_entry_it_knows() -> None:
    world = World(seeded=False)
    world.both("a", known=True)
    world.only_here("b")
    entries = dict(world.ledger.table.entries)
    events = list(world.events)
    world.find()
    assert world.events == events
    assert world.ledger.table.entries == entries


# -- first contact


def test_first_contact_is_a_union_nothing_is_deleted() -> None:
    world = World(seeded=False)
    world.only_here("here")
    world.only_there("there")
    world.both("equal", known=False)
    world.here.put("unequal", b"1", USER)
    world.there.put("unequal", b"2", USER)
    report = world.find()
    assert {look.key: look.deletion for look in world.queued()} == {"here": False, "unequal": False}
    assert report.agreed == 1
    assert world.record(SEEDED) is not None


@pytest.mark.parametrize("policy", list(ConflictPolicy))
def test_equal_since_before_the_ledger_gets_its_proof_under_the_winners_name(policy: ConflictPolicy) -> None:
    world = World(seeded=False, conflict_policy=policy)
    world.here.put("k", b"x", USER)
    world.time.now += 5
    world.there.put("k", b"x", USER)
    world.find()
    here, there = world.here.current("k"), world.there.current("k")
    assert here is not None
    assert there is not None
    proof = world.entry("k").agreed
    assert proof is not None
    assert proof.identity.origin is (CN if policy is ConflictPolicy.PREFER_CN else GLOBAL)
    assert (proof.local, proof.remote) == (
        Held(here.seen.etag, here.seen.modified),
        Held(there.seen.etag, there.seen.modified),
    )
    assert world.queued() == []


def test_once_seeded_equal_keys_cost_no_ledger_read() -> None:
    world = World(seeded=False)
    world.both("k", known=False)
    world.find()
    world.ledger.get_many = None  # type: ignore[method-assign,assignment]
    assert world.find().tally.equal == 1


def test_equal_keys_too_young_to_be_seeded_are_seeded_by_a_later_run() -> None:
    world = World(seeded=False)
    world.both("k", known=False)
    assert world.find(after=10).young == 1
    assert world.find().agreed == 1
    assert world.entry("k").agreed is not None


def test_a_worker_that_was_quicker_knows_better() -> None:
    world = World(seeded=False)
    world.both("k", known=False)

    async def put(entry: Entry, expected_revision: int) -> None:
        raise Changed("there is an entry by now")

    world.ledger.put = put  # type: ignore[method-assign]
    assert world.find().agreed == 0


# -- young objects


def test_what_is_young_is_left_to_its_events() -> None:
    world = World(finder_grace_seconds=300)
    world.only_here("k")
    assert world.find(after=299).young == 1
    assert world.queued() == []
    assert world.find(after=1).young == 0
    assert world.queued_keys() == ["k"]


def test_what_the_ledger_learnt_just_now_is_young_too() -> None:
    world = World()
    world.both("k")
    world.there.delete("k", USER)
    proof = world.entry("k").agreed
    world.ledger.table.entries["k"] = Entry("k", 2, proof, updated=int(world.time.now) + OLD)
    assert world.find().young == 1
    assert world.queued() == []


# -- a listing that fails


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("pages", [0, 1, 2])
def test_a_listing_that_fails_midway_deletes_nothing_and_ends_the_run(local: bool, pages: int) -> None:
    world = World()
    world.both("a", "b", "c")
    store, who = (world.here, "role") if local else (world.there, "peer")
    broken = Listing(store, who, page=1)
    broken.good_pages = pages
    if local:
        world.source = broken
    else:
        world.target = broken
    with pytest.raises(Unavailable):
        world.find()
    assert world.queued() == []
    assert world.record(FINDER_RUN) is None


def test_a_failed_first_run_does_not_count_as_seeded() -> None:
    world = World(seeded=False)
    world.both("a", "b", known=False)
    broken = Listing(world.there, "peer", page=1)
    broken.good_pages = 1
    world.target = broken
    with pytest.raises(Unavailable):
        world.find()
    assert world.record(SEEDED) is None


# -- the brake


def with_deletions(count: int, of: int, **changes: Any) -> World:
    """`count` of `of` agreed keys are gone here, and one key is new."""
    world = World(**changes)
    keys = [f"k{i:04d}" for i in range(of)]
    world.both(*keys)
    for key in keys[:count]:
        world.here.delete(key, USER)
    world.only_here("new")
    return world


@pytest.mark.parametrize(
    ("count", "of", "changes", "reason"),
    [
        (3, 100, {"deletion_limit": 2}, "3 deletions, more than 2 (DUALSYNC_DELETION_LIMIT)"),
        (1, 100, {"deletion_limit": 0}, "1 deletions, more than 0 (DUALSYNC_DELETION_LIMIT)"),
        (12, 100, {"deletion_limit_percent": 11}, "12 deletions of 100 keys, more than 11 %"),
    ],
)
def test_too_many_deletions_are_held_and_copying_goes_on(
    count: int, of: int, changes: dict[str, int], reason: str
) -> None:
    world = with_deletions(count, of, **changes)
    report = world.find()
    assert world.queued_keys() == ["new"]
    assert report.held == count
    record = world.record(HELD_DELETION)
    assert record is not None
    assert record.data["count"] == count
    assert str(record.data["reason"]).startswith(reason)
    sample = record.data["sample"]
    assert isinstance(sample, list)
    assert sample[0] == "deleted here: k0000"
    assert world.log.of("finder")[0]["state"] == "held"


@pytest.mark.parametrize(
    ("count", "of", "changes"),
    [
        (2, 100, {"deletion_limit": 2}),
        (11, 100, {"deletion_limit_percent": 11}),
        (FREE_SHARE, 12, {"deletion_limit_percent": 0}),
    ],
    ids=["the number", "the share", "the free ones"],
)
def test_up_to_the_limit_they_go(count: int, of: int, changes: dict[str, int]) -> None:
    world = with_deletions(count, of, **changes)
    assert world.find().held == 0
    assert len(world.queued()) == count + 1
    assert world.record(HELD_DELETION) is None


@pytest.mark.parametrize("here", [True, False])
def test_an_empty_side_never_reads_as_all_deleted(here: bool) -> None:
    world = World()
    world.both("a", "b")
    for key in "ab":
        (world.here if here else world.there).delete(key, USER)
    report = world.find()
    assert report.held == 2
    assert "one side is empty" in report.reason
    assert world.queued() == []


def test_a_hold_ends_when_the_deletions_are_few_again() -> None:
    world = with_deletions(3, 100, deletion_limit=2)
    world.find()
    world.here.put("k0000", b"k0000", USER)
    assert world.find().held == 0
    assert world.record(HELD_DELETION) is None


def test_an_approved_number_goes_once() -> None:
    world = with_deletions(5, 100, deletion_limit=2)
    assert world.find().held == 5
    world.approve(5)
    assert world.find().held == 0
    assert len(world.queued()) == 6
    assert world.record(HELD_DELETION) is None
    assert world.record(DELETION_APPROVAL) is None
    assert world.find().held == 5


def test_an_approval_goes_no_further_than_its_number() -> None:
    world = with_deletions(8, 100, deletion_limit=2)
    world.approve(5)
    assert world.find().held == 3
    assert sum(look.deletion for look in world.queued()) == 5
    assert world.find().held == 8


def test_an_empty_side_can_be_approved() -> None:
    world = World()
    world.both("a", "b")
    for key in "ab":
        world.here.delete(key, USER)
    world.approve(2)
    assert world.find().held == 0
    assert sorted(world.queued_keys()) == ["a", "b"]


@pytest.mark.parametrize("up_to", [None, "all", 0, -1])
def test_what_is_no_number_approves_nothing(up_to: object) -> None:
    world = with_deletions(3, 100, deletion_limit=2)
    world.approve(up_to)
    assert world.find().held == 3


def test_the_record_names_a_sample_and_memory_stays_bounded() -> None:
    world = with_deletions(300, 400, deletion_limit=5)
    assert world.find().held == 300
    record = world.record(HELD_DELETION)
    assert record is not None
    assert record.data["count"] == 300
    sample = record.data["sample"]
    assert isinstance(sample, list)
    assert len(sample) == 100


def test_when_only_creations_travel_an_absence_is_none() -> None:
    world = World(events=Events.CREATE)
    world.both("a", "b")
    world.here.delete("a", USER)
    world.there.delete("b", USER)
    report = world.find()
    assert world.queued() == []
    assert report.held == 0


@pytest.mark.parametrize(("prefix", "other"), [("in/", ""), ("", "out/"), ("in/", "out/")])
def test_prefixes_are_taken_off_on_both_sides(prefix: str, other: str) -> None:
    world = World(local_prefix=prefix, remote_prefix=other)
    for key in ("a", "b"):
        world.here.put(prefix + key, b"x", USER)
    world.there.put(other + "b", b"x", USER)
    world.here.put("zz/elsewhere" if prefix else "c", b"x", USER)
    world.find()
    assert world.queued_keys() == (["a"] if prefix else ["a", "c"])
