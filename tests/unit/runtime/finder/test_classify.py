"""Test the finder's truth table over two listings and the ledger, one row per test."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.finder.classify import Difference, Rules, classify
from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.origin_version import OriginVersion
from tests.support.builders import CN

OLD, NEW, OTHER = ("old", 10), ("new", 20), ("other", 30)
TOUCHED = ("old", 11)
"""The synced ETag at another time: metadata may have changed."""
PROOF = SyncedVersion(OriginVersion(CN, 10, "old"), CopyState(*OLD), CopyState(*OLD))
AGREED = LedgerEntry("k", 1, synced=PROOF)
EXPIRED = LedgerEntry("k", 1, expired=PROOF)
TOMB = LedgerEntry("k", 1, deleted_versions=(PROOF,))
Version = tuple[str, int]


def difference(
    here: Version | None, there: Version | None, entry: LedgerEntry | None, rules: Rules | None = None
) -> object:
    rows = [None if v is None else ListedObject("k", v[0], 3, v[1]) for v in (here, there)]
    return classify(ListedPair("k", *rows), entry, rules or Rules())


D = Difference
ROWS: list[tuple[str, Version | None, Version | None, LedgerEntry | None, Difference | None]] = [
    ("as agreed", OLD, OLD, AGREED, None),
    ("changed here", NEW, OLD, AGREED, D.CHANGED_HERE),
    ("metadata changed here", TOUCHED, OLD, AGREED, D.CHANGED_HERE),
    ("changed there", OLD, NEW, AGREED, D.CHANGED_THERE),
    ("metadata changed there", OLD, TOUCHED, AGREED, D.CHANGED_THERE),
    ("changed on both sides", NEW, OTHER, AGREED, D.CHANGED_BOTH),
    ("changed alike on both sides", NEW, NEW, AGREED, D.CHANGED_BOTH),
    ("deleted there", OLD, None, AGREED, D.DELETED_THERE),
    ("changed here and deleted there", NEW, None, AGREED, D.CHANGED_HERE),
    ("deleted here", None, OLD, AGREED, D.DELETED_HERE),
    ("deleted here and changed there", None, NEW, AGREED, D.CHANGED_THERE),
    ("equal since before the ledger", OLD, OLD, None, D.UNKNOWN),
    ("equal but for the time", OLD, TOUCHED, None, D.UNKNOWN),
    ("unequal since before the ledger", NEW, OTHER, None, D.CHANGED_BOTH),
    ("only here since before the ledger", NEW, None, None, D.NEW_HERE),
    ("only there: the peer's finder sees it", None, NEW, None, None),
    ("equal over a tombstone", NEW, NEW, TOMB, D.CHANGED_BOTH),
    ("new here over a tombstone", NEW, None, TOMB, D.NEW_HERE),
    ("new there over a tombstone", None, NEW, TOMB, D.NEW_THERE),
    ("expired here, kept there", None, OLD, EXPIRED, None),
    ("expired here, changed there", None, NEW, EXPIRED, D.NEW_THERE),
    ("expired here, written again", NEW, OLD, EXPIRED, D.CHANGED_BOTH),
    ("expired here, written again, gone there", NEW, None, EXPIRED, D.NEW_HERE),
]


@pytest.mark.parametrize(("here", "there", "entry", "expected"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS])
def test_row(
    here: Version | None, there: Version | None, entry: LedgerEntry | None, expected: Difference | None
) -> None:
    assert difference(here, there, entry) is expected


def test_unknown_time_is_no_difference() -> None:
    written = SyncedVersion(OriginVersion(CN, 10, "old"), CopyState("old", 10), CopyState("replica"))
    assert difference(OLD, ("replica", 99), LedgerEntry("k", 1, synced=written)) is None


@pytest.mark.parametrize(
    ("rules", "here", "there"),
    [
        (Rules(remote_expires=True), D.DELETED_HERE, None),
        (Rules(local_expires=True), None, D.DELETED_THERE),
        (Rules(deletions_travel=False), None, None),
    ],
    ids=["a lifecycle rule there", "a lifecycle rule here", "only creations travel"],
)
def test_absence_is_no_deletion_under_these_rules(rules: Rules, here: object, there: object) -> None:
    assert difference(None, OLD, AGREED, rules) is here
    assert difference(OLD, None, AGREED, rules) is there
    assert difference(NEW, OLD, AGREED, rules) is D.CHANGED_HERE


VERSIONS = [None, OLD, NEW, TOUCHED]
ANY_RULES = st.builds(Rules, st.booleans(), st.booleans(), st.booleans())


@given(ANY_RULES)
def test_deletion_is_found_only_with_an_entry_that_proves_it(rules: Rules) -> None:
    for here, there, entry in itertools.product(VERSIONS, VERSIONS, [None, AGREED, EXPIRED, TOMB]):
        if here is None and there is None:
            continue
        found = difference(here, there, entry, rules)
        if isinstance(found, Difference) and found.is_deletion:
            assert entry is AGREED
            assert OLD in (here, there)
            assert None in (here, there)
