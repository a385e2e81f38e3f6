"""What the finder makes of archived objects: counted where only their content could help, looked at otherwise."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from runtime.entry import Agreement, Entry, Held
from runtime.finder import BATCH
from runtime.leg import Leg
from runtime.log import Outcome
from runtime.merge import Pair
from runtime.objects import Row
from runtime.ranges import Range
from runtime.reconcile import Difference, Rules, reconcile
from runtime.record import FINDER_RUN
from runtime.unreadable import unreadable
from runtime.version import Identity
from tests.core.finding import World
from tests.core.given import CN, USER
from tests.fakes.gate import run

OLD, NEW, OTHER, LONGER = ("old", 3, 10), ("new", 3, 20), ("other", 4, 30), ("longer", 5, 40)
PROOF = Agreement(Identity(CN, 10, "old"), Held("old", 10), Held("old", 10))
AGREED = Entry("k", 1, agreed=PROOF)
Version = tuple[str, int, int]
D = Difference


def pair(here: Version | None, there: Version | None, asleep: str) -> Pair:
    return Pair(
        "k",
        None if here is None else Row("k", *here, archived="here" in asleep),
        None if there is None else Row("k", *there, archived="peer" in asleep),
    )


ROWS: list[tuple[str, Version | None, Version | None, str, Entry | None, bool]] = [
    ("new here, in an archive", NEW, None, "here", None, True),
    ("new here, and readable", NEW, None, "", None, False),
    ("changed here, gone there", NEW, None, "here", AGREED, True),
    ("deleted there: needs no content", OLD, None, "here", AGREED, False),
    ("deleted here: needs no content", None, OLD, "peer", AGREED, False),
    ("new here over a tombstone: may be a copy that came late", NEW, None, "here", Entry("k", 1, dead=(PROOF,)), False),
    ("new here after a deletion without proof", NEW, None, "here", Entry("k", 1, deleted="1"), False),
    ("new here after an expiry", NEW, None, "here", Entry("k", 1, expired=PROOF), True),
    ("changed at the peer, gone here: the peer's business", None, NEW, "peer", AGREED, False),
    ("changed here, of another length", OTHER, OLD, "here", AGREED, True),
    ("changed here, of the same length: may be the same", NEW, OLD, "here", AGREED, False),
    ("changed here, the former one there archived", OTHER, OLD, "peer", AGREED, False),
    ("changed at the peer: ours may be wanted there", OLD, OTHER, "peer", AGREED, False),
    ("changed at the peer, ours archived", OLD, OTHER, "here", AGREED, False),
    ("changed at the peer, neither readable", OLD, OTHER, "here peer", AGREED, True),
    ("changed on both sides, ours archived", OTHER, LONGER, "here", AGREED, False),
    ("changed on both sides, theirs archived", OTHER, LONGER, "peer", AGREED, False),
    ("changed on both sides, neither readable", OTHER, LONGER, "here peer", AGREED, True),
    ("unknown, alike in length, neither readable", OLD, NEW, "here peer", None, False),
    ("equal, but not in the ledger", NEW, NEW, "here peer", None, False),
]


@pytest.mark.parametrize(
    ("here", "there", "asleep", "entry", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_row(here: Version | None, there: Version | None, asleep: str, entry: Entry | None, expected: bool) -> None:
    rows = pair(here, there, asleep)
    difference = reconcile(rows, entry, Rules())
    assert difference is not None
    assert unreadable(rows, entry, difference) is expected


def test_never_without_an_archived_row_and_never_a_deletion() -> None:
    entries = [None, AGREED, replace(AGREED, dead=(PROOF,)), Entry("k", 1, expired=PROOF)]
    versions = [None, OLD, NEW, OTHER, LONGER]
    for here, there, entry, asleep in itertools.product(versions, versions, entries, ["", "here", "peer", "here peer"]):
        if here is None and there is None:
            continue
        rows = pair(here, there, asleep)
        difference = reconcile(rows, entry, Rules())
        if difference is not None and unreadable(rows, entry, difference):
            assert not difference.is_deletion
            assert rows.here is not None
            assert rows.here.archived
            assert rows.there is None or rows.here.size != rows.there.size


def test_archived_objects_make_no_message_and_are_counted_and_said_once() -> None:
    world = World()
    keys = [f"k{i:04d}" for i in range(BATCH + 7)]
    world.only_here(*keys, "readable")
    for key in keys:
        world.here.archive(key)
    report = world.find()
    assert world.queued_keys() == ["readable"]
    assert (report.archived, report.queued, report.found[D.NEW_HERE]) == (len(keys), 1, len(keys) + 1)
    record = world.record(FINDER_RUN)
    assert record is not None
    assert record.data["archived"] == len(keys)
    [line] = world.log.of("finder")
    assert line["archived"] == len(keys)


def test_a_restored_one_is_found_and_archived_again_not_lost() -> None:
    world = World()
    world.only_here("k")
    world.here.archive("k")
    assert world.find().archived == 1
    world.here.thaw("k")
    assert (world.find().archived, world.queued_keys()) == (0, ["k"])
    world.here.archive("k")
    assert world.find().archived == 1


def test_deletions_of_archived_objects_are_sent() -> None:
    world = World()
    world.both("gone here", "gone there")
    for store in (world.here, world.there):
        store.archive("gone here")
        store.archive("gone there")
    world.here.delete("gone here", USER)
    world.there.delete("gone there", USER)
    report = world.find()
    assert {look.key: look.deletion for look in world.queued()} == {"gone here": True, "gone there": True}
    assert report.archived == 0


def test_what_is_young_is_not_counted_as_archived() -> None:
    world = World(finder_grace_seconds=300)
    world.only_here("k")
    world.here.archive("k")
    report = world.find(after=10)
    assert (report.young, report.archived) == (1, 0)


def test_equal_ones_get_their_proof_wherever_they_sleep() -> None:
    world = World(seeded=False)
    world.both("k", known=False)
    world.here.archive("k")
    world.there.archive("k")
    assert world.find().agreed == 1
    assert world.entry("k").agreed is not None


def test_a_checkpoint_keeps_the_count() -> None:
    leg = Leg(Range("", ""))
    leg.report.archived = 5
    leg.settle(0.0)
    assert Leg.of(leg.data()).report.archived == 5


def test_a_finding_of_what_is_archived_makes_no_dead_letter() -> None:
    """Where the listing left a doubt: the next run asks again anyway."""
    world = World()
    world.only_here("k")
    assert world.find().queued == 1
    world.here.archive("k")
    [look] = world.queued()
    run(world.worker.process(world.message(look.body())))
    assert not world.broker.dead
    assert world.outcomes() == {Outcome.SKIPPED: 1}
