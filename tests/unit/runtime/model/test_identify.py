"""Test which version a bucket's object is identified as."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.model.carried_attributes import digest, select_carried
from dualsync.runtime.model.conflict_order import is_newer
from dualsync.runtime.model.identify import identify_version, matches_copy
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry
from dualsync.runtime.model.objects import Attributes, ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import SideName
from tests.support.builders import CN, GLOBAL, stamp, synced_version

THEIRS = OriginVersion(GLOBAL, 100, "aaa")
EMPTY = LedgerEntry("k")


def identified(
    seen: ObjectHead, entry: LedgerEntry = EMPTY, *, local: bool = True, user_wrote: bool = False
) -> tuple[OriginVersion, bool]:
    """Identify the object from side `cn`'s point of view."""
    side = CN if local else GLOBAL
    return identify_version(seen, side=side, pair="p", key="k", entry=entry, local=local, user_wrote=user_wrote)


def test_object_without_a_stamp_is_a_user_version_of_its_side() -> None:
    assert identified(ObjectHead("eee", 3, 200)) == (OriginVersion(CN, 200, "eee"), False)
    assert identified(ObjectHead("eee", 3, 200), local=False) == (OriginVersion(GLOBAL, 200, "eee"), False)


def test_object_with_a_valid_stamp_is_the_stamped_version() -> None:
    assert identified(ObjectHead("eee", 3, 200, stamp(THEIRS))) == (THEIRS, True)


@pytest.mark.parametrize(
    "forged",
    [stamp(THEIRS, key="other"), stamp(THEIRS, pair="other"), stamp(THEIRS, size=4)],
    ids=["copied to another key", "of another pair", "around other content"],
)
def test_invalid_stamp_is_ignored(forged: object) -> None:
    assert identified(ObjectHead("eee", 3, 200, forged)) == (OriginVersion(CN, 200, "eee"), False)  # type: ignore[arg-type]


def test_user_event_overrides_the_stamp() -> None:
    assert identified(ObjectHead("eee", 3, 200, stamp(THEIRS)), user_wrote=True) == (
        OriginVersion(CN, 200, "eee"),
        False,
    )


def test_object_recorded_as_synced_keeps_its_version() -> None:
    proof = synced_version(THEIRS, local="eee", remote="aaa", modified=200)
    for entry in (LedgerEntry("k", synced=proof), LedgerEntry("k", expired=proof)):
        assert identified(ObjectHead("eee", 3, 200), entry) == (THEIRS, False)
        assert identified(ObjectHead("eee", 3, 200, stamp(THEIRS)), entry) == (THEIRS, True)
        assert identified(ObjectHead("aaa", 3, 200), entry, local=False) == (THEIRS, False)


def test_same_bytes_at_another_time_are_another_version() -> None:
    entry = LedgerEntry("k", synced=synced_version(THEIRS, local="eee", modified=200))
    assert identified(ObjectHead("eee", 3, 201), entry) == (OriginVersion(CN, 201, "eee"), False)
    unknown = replace(synced_version(THEIRS), local=CopyState("eee"))
    assert identified(ObjectHead("eee", 3, 201), LedgerEntry("k", synced=unknown)) == (THEIRS, False)


def test_other_content_under_the_synced_versions_stamp_is_a_user_version() -> None:
    entry = LedgerEntry("k", synced=synced_version(THEIRS, local="eee", modified=150))
    assert identified(ObjectHead("fff", 3, 200, stamp(THEIRS)), entry) == (OriginVersion(CN, 200, "fff"), False)


def test_deleted_replica_that_reappears_unchanged_was_restored_by_a_user() -> None:
    dead = replace(synced_version(THEIRS), local=CopyState("eee", 200))
    entry = LedgerEntry("k", deleted_versions=(dead,))
    assert identified(ObjectHead("eee", 3, 200, stamp(THEIRS)), entry) == (OriginVersion(CN, 201, "eee+200"), False)
    assert (
        identified(ObjectHead("eee", 3, 200, stamp(THEIRS)), replace(entry, deleted_at=300))[0].modified == 301
    )  # after its deletion
    assert identified(ObjectHead("eee", 3, 201, stamp(THEIRS)), entry) == (THEIRS, True)  # written again: a late copy


def test_matching_a_copy_compares_the_known_fields() -> None:
    assert matches_copy(ObjectHead("e", 1, 5), CopyState("e"))
    assert matches_copy(ObjectHead("e", 1, 5), CopyState("e", 5))
    assert not matches_copy(ObjectHead("e", 1, 6), CopyState("e", 5))
    assert not matches_copy(ObjectHead("f", 1, 5), CopyState("e", 5))


def test_newer_compares_time_then_side_then_etag() -> None:
    old, new = OriginVersion(CN, 1, "z"), OriginVersion(GLOBAL, 2, "a")
    assert is_newer(new, old)
    assert is_newer(OriginVersion(CN, 2, "a"), OriginVersion(GLOBAL, 2, "z"))
    assert is_newer(OriginVersion(CN, 2, "b"), OriginVersion(CN, 2, "a"))


@given(
    st.lists(st.builds(OriginVersion, st.sampled_from(SideName), st.integers(0, 2), st.sampled_from("ab")), max_size=6)
)
def test_newer_is_a_strict_order(identities: list[OriginVersion]) -> None:
    for a, b in itertools.product(identities, identities):
        assert is_newer(a, b) + is_newer(b, a) == (a != b)
    for a, b, c in itertools.permutations(identities, 3):
        if is_newer(a, b) and is_newer(b, c):
            assert is_newer(a, c)


SYNCED = synced_version(OriginVersion(CN, 200, "eee"), modified=200)
PLAIN = Attributes(content_type="text/plain", metadata=(("mode", "1"),))
TOUCHED = replace(PLAIN, metadata=(("mode", "2"),))


def test_metadata_changed_in_the_second_of_the_synced_version_is_a_later_user_version() -> None:
    entry = LedgerEntry("k", synced=SYNCED, attributes=digest(PLAIN))
    assert identified(ObjectHead("eee", 3, 200, attributes=PLAIN), entry) == (SYNCED.version, False)
    changed, replica = identified(ObjectHead("eee", 3, 200, stamp(THEIRS), TOUCHED), entry)
    assert (changed.modified, changed.etag_and_modified, replica) == (201, ("eee", 200), False)
    assert is_newer(changed, SYNCED.version)
    again = replace(entry, synced=replace(SYNCED, version=changed), attributes=digest(TOUCHED))
    assert identified(ObjectHead("eee", 3, 200, attributes=TOUCHED), again)[0] == changed
    third, _ = identified(ObjectHead("eee", 3, 200, attributes=PLAIN), again)
    assert (third.modified, third.etag_and_modified) == (202, ("eee", 200))


def test_etag_and_time_decide_if_no_digest_is_recorded() -> None:
    assert (
        identified(ObjectHead("eee", 3, 200, attributes=TOUCHED), LedgerEntry("k", synced=SYNCED))[0] == SYNCED.version
    )


def test_digest_is_stable_and_covers_copied_attributes_only() -> None:
    odd = Attributes(content_type="text/plain", cache_control="no-store", metadata=(("b", "2"), ("a", "\ud800é")))
    assert digest(Attributes()) == "niJQ2fx8sj24"
    for same in (odd, replace(odd, metadata=odd.metadata[::-1]), replace(odd, checksum="x", storage_class="GLACIER")):
        assert digest(same) == "XOHaYwJWtN0s"
    for other in (
        replace(odd, cache_control="", expires="no-store"),
        replace(odd, metadata=(("b2", ""), *odd.metadata)),
    ):
        assert digest(other) != "XOHaYwJWtN0s"


def test_digest_is_not_compared_with_the_peers_copy() -> None:
    entry = LedgerEntry("k", synced=SYNCED, attributes=digest(PLAIN))
    assert identified(ObjectHead("eee", 3, 200, attributes=TOUCHED), entry, local=False)[0] == SYNCED.version


@pytest.mark.parametrize(
    "other",
    [replace(PLAIN, storage_class="STANDARD_IA"), replace(PLAIN, tags=(("a", "b"),)), replace(PLAIN, checksum="md5:x")],
    ids=["class", "tags", "checksum"],
)
def test_attributes_that_are_not_copied_change_no_digest(other: Attributes) -> None:
    assert digest(other) == digest(PLAIN)


ATTRIBUTES = st.builds(
    Attributes,
    *(st.sampled_from(("", "a", "1:a")) for _ in range(7)),
    metadata=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("", "x"))), unique_by=lambda e: e[0]).map(
        tuple
    ),
)


@given(ATTRIBUTES, ATTRIBUTES)
def test_digests_differ_exactly_if_copied_attributes_differ(a: Attributes, b: Attributes) -> None:
    alike = replace(select_carried(a), metadata=()) == replace(select_carried(b), metadata=())
    assert (digest(a) == digest(b)) == (alike and sorted(a.metadata) == sorted(b.metadata))
