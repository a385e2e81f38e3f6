"""The version of an object that one of the two buckets shows."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.model.carried_attributes import carried, digest
from dualsync.runtime.model.conflict_order import newer
from dualsync.runtime.model.identify import identify_version, matches_copy
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry
from dualsync.runtime.model.objects import Attributes, ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import SideName
from tests.support.builders import CN, GLOBAL, agreement, stamp

THEIRS = OriginVersion(GLOBAL, 100, "aaa")
EMPTY = LedgerEntry("k")


def name(
    seen: ObjectHead, entry: LedgerEntry = EMPTY, *, local: bool = True, user_wrote: bool = False
) -> tuple[OriginVersion, bool]:
    """Named by side `cn`."""
    side = CN if local else GLOBAL
    return identify_version(seen, side=side, pair="p", key="k", entry=entry, local=local, user_wrote=user_wrote)


def test_without_a_stamp_it_is_a_users_write_on_this_side() -> None:
    assert name(ObjectHead("eee", 3, 200)) == (OriginVersion(CN, 200, "eee"), False)
    assert name(ObjectHead("eee", 3, 200), local=False) == (OriginVersion(GLOBAL, 200, "eee"), False)


def test_with_a_valid_stamp_it_is_the_stamps_version() -> None:
    assert name(ObjectHead("eee", 3, 200, stamp(THEIRS))) == (THEIRS, True)


@pytest.mark.parametrize(
    "forged",
    [stamp(THEIRS, key="other"), stamp(THEIRS, pair="other"), stamp(THEIRS, size=4)],
    ids=["copied to another key", "of another pair", "around other content"],
)
def test_a_stamp_that_does_not_fit_is_no_stamp(forged: object) -> None:
    assert name(ObjectHead("eee", 3, 200, forged)) == (OriginVersion(CN, 200, "eee"), False)  # type: ignore[arg-type]


def test_an_event_by_a_user_overrides_the_stamp() -> None:
    assert name(ObjectHead("eee", 3, 200, stamp(THEIRS)), user_wrote=True) == (OriginVersion(CN, 200, "eee"), False)


def test_what_the_ledger_knows_keeps_its_agreed_name_whoever_wrote_it() -> None:
    proof = agreement(THEIRS, local="eee", remote="aaa", modified=200)
    for entry in (LedgerEntry("k", synced=proof), LedgerEntry("k", expired=proof)):
        assert name(ObjectHead("eee", 3, 200), entry) == (THEIRS, False)
        assert name(ObjectHead("eee", 3, 200, stamp(THEIRS)), entry) == (THEIRS, True)
        assert name(ObjectHead("aaa", 3, 200), entry, local=False) == (THEIRS, False)


def test_the_same_bytes_at_another_time_are_another_version() -> None:
    entry = LedgerEntry("k", synced=agreement(THEIRS, local="eee", modified=200))
    assert name(ObjectHead("eee", 3, 201), entry) == (OriginVersion(CN, 201, "eee"), False)
    unknown = replace(agreement(THEIRS), local=CopyState("eee"))
    assert name(ObjectHead("eee", 3, 201), LedgerEntry("k", synced=unknown)) == (THEIRS, False)


def test_other_content_under_the_agreed_versions_stamp_is_a_users() -> None:
    entry = LedgerEntry("k", synced=agreement(THEIRS, local="eee", modified=150))
    assert name(ObjectHead("fff", 3, 200, stamp(THEIRS)), entry) == (OriginVersion(CN, 200, "fff"), False)


def test_a_deleted_replica_that_is_back_just_as_it_was_was_brought_back_by_a_user() -> None:
    dead = replace(agreement(THEIRS), local=CopyState("eee", 200))
    entry = LedgerEntry("k", deleted_versions=(dead,))
    assert name(ObjectHead("eee", 3, 200, stamp(THEIRS)), entry) == (OriginVersion(CN, 201, "eee+200"), False)
    assert (
        name(ObjectHead("eee", 3, 200, stamp(THEIRS)), replace(entry, deleted_at=300))[0].modified == 301
    )  # after its deletion
    assert name(ObjectHead("eee", 3, 201, stamp(THEIRS)), entry) == (THEIRS, True)  # written again: a late copy


def test_same_compares_what_is_known() -> None:
    assert matches_copy(ObjectHead("e", 1, 5), CopyState("e"))
    assert matches_copy(ObjectHead("e", 1, 5), CopyState("e", 5))
    assert not matches_copy(ObjectHead("e", 1, 6), CopyState("e", 5))
    assert not matches_copy(ObjectHead("f", 1, 5), CopyState("e", 5))


def test_newer_goes_by_time_then_cn_then_etag() -> None:
    old, new = OriginVersion(CN, 1, "z"), OriginVersion(GLOBAL, 2, "a")
    assert newer(new, old)
    assert newer(OriginVersion(CN, 2, "a"), OriginVersion(GLOBAL, 2, "z"))
    assert newer(OriginVersion(CN, 2, "b"), OriginVersion(CN, 2, "a"))


@given(
    st.lists(st.builds(OriginVersion, st.sampled_from(SideName), st.integers(0, 2), st.sampled_from("ab")), max_size=6)
)
def test_newer_is_a_strict_order_so_both_sides_agree(identities: list[OriginVersion]) -> None:
    for a, b in itertools.product(identities, identities):
        assert newer(a, b) + newer(b, a) == (a != b)
    for a, b, c in itertools.permutations(identities, 3):
        if newer(a, b) and newer(b, c):
            assert newer(a, c)


SYNCED = agreement(OriginVersion(CN, 200, "eee"), modified=200)
PLAIN = Attributes(content_type="text/plain", metadata=(("mode", "1"),))
TOUCHED = replace(PLAIN, metadata=(("mode", "2"),))


def test_metadata_changed_within_the_second_of_the_synced_version_is_a_later_version_of_the_user() -> None:
    entry = LedgerEntry("k", synced=SYNCED, attributes=digest(PLAIN))
    assert name(ObjectHead("eee", 3, 200, attributes=PLAIN), entry) == (SYNCED.version, False)
    changed, replica = name(ObjectHead("eee", 3, 200, stamp(THEIRS), TOUCHED), entry)
    assert (changed.modified, changed.shown, replica) == (201, ("eee", 200), False)
    assert newer(changed, SYNCED.version)
    again = replace(entry, synced=replace(SYNCED, version=changed), attributes=digest(TOUCHED))
    assert name(ObjectHead("eee", 3, 200, attributes=TOUCHED), again)[0] == changed
    third, _ = name(ObjectHead("eee", 3, 200, attributes=PLAIN), again)
    assert (third.modified, third.shown) == (202, ("eee", 200))


def test_without_a_digest_only_etag_and_time_count() -> None:
    assert name(ObjectHead("eee", 3, 200, attributes=TOUCHED), LedgerEntry("k", synced=SYNCED))[0] == SYNCED.version


def test_a_digest_is_the_same_in_every_version_and_of_what_is_carried_only() -> None:
    odd = Attributes(content_type="text/plain", cache_control="no-store", metadata=(("b", "2"), ("a", "\ud800é")))
    assert digest(Attributes()) == "niJQ2fx8sj24"
    for same in (odd, replace(odd, metadata=odd.metadata[::-1]), replace(odd, checksum="x", storage_class="GLACIER")):
        assert digest(same) == "XOHaYwJWtN0s"
    for other in (
        replace(odd, cache_control="", expires="no-store"),
        replace(odd, metadata=(("b2", ""), *odd.metadata)),
    ):
        assert digest(other) != "XOHaYwJWtN0s"


def test_a_digest_is_of_this_sides_copy() -> None:
    entry = LedgerEntry("k", synced=SYNCED, attributes=digest(PLAIN))
    assert name(ObjectHead("eee", 3, 200, attributes=TOUCHED), entry, local=False)[0] == SYNCED.version


@pytest.mark.parametrize(
    "other",
    [replace(PLAIN, storage_class="STANDARD_IA"), replace(PLAIN, tags=(("a", "b"),)), replace(PLAIN, checksum="md5:x")],
    ids=["class", "tags", "checksum"],
)
def test_what_is_not_carried_changes_no_digest(other: Attributes) -> None:
    assert digest(other) == digest(PLAIN)


ATTRIBUTES = st.builds(
    Attributes,
    *(st.sampled_from(("", "a", "1:a")) for _ in range(7)),
    metadata=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("", "x"))), unique_by=lambda e: e[0]).map(
        tuple
    ),
)


@given(ATTRIBUTES, ATTRIBUTES)
def test_digests_differ_as_the_carried_attributes_do(a: Attributes, b: Attributes) -> None:
    alike = replace(carried(a), metadata=()) == replace(carried(b), metadata=())
    assert (digest(a) == digest(b)) == (alike and sorted(a.metadata) == sorted(b.metadata))
