"""Test archived objects in a finder run: counted if only their content could help, queued otherwise."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from dualsync.runtime.finder.archived import needs_archived_content
from dualsync.runtime.finder.classify import Difference, Rules, classify
from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.finder.run import BATCH
from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.identify import identify_version
from dualsync.runtime.model.key_filter import KeyRange
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ListedObject, ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.model.records import FINDER_RUN
from dualsync.runtime.settings import ConflictPolicy
from dualsync.runtime.sync.decision import Action, KeyState, ObservedVersion, decide
from tests.support.builders import CN, GLOBAL, USER
from tests.support.fakes.gate import run
from tests.support.finder_harness import FinderHarness

OLD, NEW, OTHER, LONGER = ("old", 3, 10), ("new", 3, 20), ("other", 4, 30), ("longer", 5, 40)
PROOF = SyncedVersion(OriginVersion(CN, 10, "old"), CopyState("old", 10), CopyState("old", 10))
AGREED = LedgerEntry("k", 1, synced=PROOF)
Version = tuple[str, int, int]
D = Difference


def pair(here: Version | None, there: Version | None, archived: str) -> ListedPair:
    return ListedPair(
        "k",
        None if here is None else ListedObject("k", *here, archived="here" in archived),
        None if there is None else ListedObject("k", *there, archived="peer" in archived),
    )


ROWS: list[tuple[str, Version | None, Version | None, str, LedgerEntry | None, bool]] = [
    ("new here, in an archive", NEW, None, "here", None, True),
    ("new here, and readable", NEW, None, "", None, False),
    ("changed here, gone there", NEW, None, "here", AGREED, True),
    ("deleted there: needs no content", OLD, None, "here", AGREED, False),
    ("deleted here: needs no content", None, OLD, "peer", AGREED, False),
    (
        "new here over a tombstone: may be a copy that came late",
        NEW,
        None,
        "here",
        LedgerEntry("k", 1, deleted_versions=(PROOF,)),
        False,
    ),
    ("new here after a deletion without proof", NEW, None, "here", LedgerEntry("k", 1, last_deletion="1"), False),
    ("new here after an expiry", NEW, None, "here", LedgerEntry("k", 1, expired=PROOF), True),
    ("changed at the peer, gone here: the peer's finder queues it", None, NEW, "peer", AGREED, False),
    ("changed here, of another length", OTHER, OLD, "here", AGREED, True),
    ("changed here, of the same length: may be the same", NEW, OLD, "here", AGREED, False),
    ("changed here, the former one there archived", OTHER, OLD, "peer", AGREED, False),
    ("changed at the peer: ours may have to be copied there", OLD, OTHER, "peer", AGREED, False),
    ("changed at the peer, ours archived", OLD, OTHER, "here", AGREED, False),
    ("changed at the peer, neither readable", OLD, OTHER, "here peer", AGREED, True),
    ("changed on both sides, ours archived", OTHER, LONGER, "here", AGREED, False),
    ("changed on both sides, theirs archived", OTHER, LONGER, "peer", AGREED, False),
    ("changed on both sides, neither readable", OTHER, LONGER, "here peer", AGREED, True),
    ("unknown, alike in length, neither readable", OLD, NEW, "here peer", None, False),
    ("equal, but not in the ledger", NEW, NEW, "here peer", None, False),
]


@pytest.mark.parametrize(
    ("here", "there", "archived", "entry", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_row(
    here: Version | None, there: Version | None, archived: str, entry: LedgerEntry | None, expected: bool
) -> None:
    rows = pair(here, there, archived)
    difference = classify(rows, entry, Rules())
    assert difference is not None
    assert needs_archived_content(rows, entry, difference) is expected


def test_only_pairs_with_an_archived_object_and_no_deletions_are_unreadable() -> None:
    entries = [None, AGREED, replace(AGREED, deleted_versions=(PROOF,)), LedgerEntry("k", 1, expired=PROOF)]
    versions = [None, OLD, NEW, OTHER, LONGER]
    for here, there, entry, archived in itertools.product(
        versions, versions, entries, ["", "here", "peer", "here peer"]
    ):
        if here is None and there is None:
            continue
        rows = pair(here, there, archived)
        difference = classify(rows, entry, Rules())
        if difference is not None and needs_archived_content(rows, entry, difference):
            assert not difference.is_deletion
            assert rows.here is not None
            assert rows.here.archived
            assert rows.there is None or rows.here.size != rows.there.size


def test_archived_objects_are_counted_and_not_queued() -> None:
    world = FinderHarness()
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


def test_archived_object_is_queued_after_its_restore() -> None:
    world = FinderHarness()
    world.only_here("k")
    world.here.archive("k")
    assert world.find().archived == 1
    world.here.thaw("k")
    assert (world.find().archived, world.queued_keys()) == (0, ["k"])
    world.here.archive("k")
    assert world.find().archived == 1


def test_deletions_of_archived_objects_are_queued() -> None:
    world = FinderHarness()
    world.both("gone here", "gone there")
    for store in (world.here, world.there):
        store.archive("gone here")
        store.archive("gone there")
    world.here.delete("gone here", USER)
    world.there.delete("gone there", USER)
    report = world.find()
    assert {request.key: request.may_delete for request in world.queued()} == {"gone here": True, "gone there": True}
    assert report.archived == 0


def test_young_object_is_not_counted_as_archived() -> None:
    world = FinderHarness(finder_grace_seconds=300)
    world.only_here("k")
    world.here.archive("k")
    report = world.find(after=10)
    assert (report.young, report.archived) == (1, 0)


def test_equal_archived_objects_are_recorded_as_synced() -> None:
    world = FinderHarness(seeded=False)
    world.both("k", known=False)
    world.here.archive("k")
    world.there.archive("k")
    assert world.find().agreed == 1
    assert world.entry("k").synced is not None


def test_checkpoint_keeps_the_archived_count() -> None:
    progress = RangeProgress(KeyRange("", ""))
    progress.report.archived = 5
    progress.settle(0.0)
    assert RangeProgress.from_data(progress.data()).report.archived == 5


def test_finder_request_of_an_archived_object_is_skipped() -> None:
    """The object was archived after the listing; the next run checks it again."""
    world = FinderHarness()
    world.only_here("k")
    assert world.find().queued == 1
    world.here.archive("k")
    [request] = world.queued()
    run(world.worker.process(world.signed(request)))
    assert not world.broker.dead
    assert world.outcomes() == {Outcome.SKIPPED: 1}


LENGTHS = {"old": 3} | {f"{name}-{size}": size for name in ("early", "late") for size in (3, 4, 5)}
TIMES = {"old": 10, "early": 5, "late": 25}
STAMPS = (
    None,
    *(OriginVersion(side, TIMES[name.split("-")[0]], name) for side in (CN, GLOBAL) for name in LENGTHS),
)
"""The version that a replica's stamp may name: none, the synced version, or another version of either side."""


def stamps(version: Version | None) -> list[OriginVersion | None]:
    """Return the stamps that are valid for content of this length."""
    return [stamp for stamp in STAMPS if stamp is None or (version is not None and LENGTHS[stamp.etag] == version[1])]


def observed(
    version: Version, stamp_of: OriginVersion | None, archived: bool, entry: LedgerEntry, *, local: bool
) -> ObservedVersion:
    etag, size, modified = version
    stamp = None if stamp_of is None else Stamp("p", key_hash("k"), stamp_of, LENGTHS[stamp_of.etag])
    seen = ObjectHead(etag, size, modified, stamp, archived=archived)
    identity, replica = identify_version(
        seen, side=CN if local else GLOBAL, pair="p", key="k", entry=entry, local=local
    )
    return ObservedVersion(seen, identity, replica)


def test_requests_that_are_not_queued_could_change_nothing() -> None:
    """Try all stamps, which no listing shows: the worker could only have met content that it cannot read."""
    agreed_by_both = [
        SyncedVersion(OriginVersion(side, 10, "old"), CopyState("old", 10), CopyState("old", 10))
        for side in (CN, GLOBAL)
    ]
    entries = [LedgerEntry("k"), *(LedgerEntry("k", 1, synced=a) for a in agreed_by_both)]
    entries += [LedgerEntry("k", 1, expired=a) for a in agreed_by_both]
    versions = [None, OLD, NEW, OTHER, LONGER]
    actions: set[Action] = set()
    for here, there, archived, entry in itertools.product(
        (OLD, NEW, OTHER, LONGER), versions, ["here", "here peer"], entries
    ):
        rows = pair(here, there, archived)
        difference = classify(rows, entry if entry.revision else None, Rules())
        if difference is None or not needs_archived_content(rows, entry, difference):
            continue
        for mine, theirs, attempt, settled, policy in itertools.product(
            stamps(here), stamps(there), (0, 9), (False, True), ConflictPolicy
        ):
            local = observed(here, mine, True, entry, local=True)
            remote = None if there is None else observed(there, theirs, "peer" in archived, entry, local=False)
            crossed = local.is_replica and remote is not None and remote.is_replica
            if crossed and difference is D.CHANGED_HERE:
                # Workers leave no replica beside what both agreed on. A user may, by copying a former one with its
                # stamp; if that event was lost, the agreed version comes back over it: that waits for the restore, too.
                continue
            view = KeyState(
                CN,
                Cause.FINDER,
                attempt,
                entry,
                local,
                remote,
                policy,
                settled=settled,
                unmatched=settled,
                may_delete=False,
            )
            action = decide(view).action
            actions.add(action)
            assert action in (Action.PUSH, Action.PULL, Action.WAIT, Action.NOTHING, Action.MARK_UNMATCHED), (
                rows,
                entry,
                mine,
                theirs,
            )
            assert action is not Action.PULL or "peer" in archived, (rows, entry, mine, theirs)
    assert {Action.PUSH, Action.WAIT, Action.NOTHING} <= actions
