"""Test ledger updates: what each kind of update changes in an entry."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model import synced_version_codec
from dualsync.runtime.model.ledger_entry import (
    MAX_DELETED_VERSIONS,
    AnnouncedWrite,
    CopyState,
    LedgerEntry,
    SyncedVersion,
)
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.model.sequencer import normalise
from dualsync.runtime.sync import ledger_updates
from tests.support.builders import CN, GLOBAL, synced_version

ONE, TWO, THREE = normalise("1"), normalise("2"), normalise("3")
OLD, NEW = synced_version(OriginVersion(CN, 10, "old")), synced_version(OriginVersion(GLOBAL, 20, "new"))
AGREED = LedgerEntry("k", 3, synced=OLD, sequencer=TWO, first_event=TWO, last_event=TWO)
NOW = 1000


def request(sequencer: str, cause: Cause = Cause.CREATED, *, etag: str = "", time: float = 0.0) -> SyncRequest:
    return SyncRequest("k", cause, sequencer=sequencer, etag=etag, event_time=time)


def test_synced_version_replaces_the_expired_one_and_is_removed_from_the_deleted_ones() -> None:
    before = LedgerEntry(
        "k", 3, expired=OLD, deleted_versions=(OLD, NEW), sequencer=ONE, last_deletion=ONE, deleted_at=5
    )
    after = ledger_updates.record_synced(before, NEW, request(TWO, etag="new"), NOW)
    assert (after.synced, after.expired, after.deleted_versions) == (NEW, None, (OLD,))
    assert (after.sequencer, after.first_event, after.updated) == (TWO, TWO, NOW)
    assert (after.last_deletion, after.deleted_at) == (ONE, 5)


def test_sequencer_never_decreases() -> None:
    for update in (
        ledger_updates.record_synced(AGREED, NEW, request(ONE), NOW),
        ledger_updates.record_tombstone(AGREED, request(ONE), NOW, by_user=True),
        ledger_updates.record_user_deletion(AGREED, request(ONE), NOW),
        ledger_updates.record_expiration(AGREED, request(ONE), NOW),
        ledger_updates.record_synced(AGREED, NEW, request(""), NOW),
    ):
        assert update.sequencer == TWO
        assert update.updated == NOW


def test_first_and_last_arrival_are_kept_in_any_order_of_events() -> None:
    for sequencer, first, last in ((THREE, TWO, THREE), (ONE, ONE, TWO), (TWO, TWO, TWO)):
        after = ledger_updates.record_synced(AGREED, OLD, request(sequencer, etag="old"), NOW)
        assert (after.first_event, after.last_event) == (first, last)


def test_arrival_is_taken_only_from_the_versions_own_event() -> None:
    own = ledger_updates.record_synced(AGREED, NEW, request(THREE, etag="new"), NOW)
    assert (own.first_event, own.last_event) == (THREE, THREE)
    for other in (request(THREE, etag="another"), request(THREE, Cause.REMOVED)):
        after = ledger_updates.record_synced(AGREED, NEW, other, NOW)
        assert (after.first_event, after.last_event) == ("", "")
        same = ledger_updates.record_synced(AGREED, OLD, other, NOW)
        assert (same.first_event, same.last_event) == (TWO, TWO)


def test_version_deleted_between_two_arrivals_is_rewritten() -> None:
    deleted = replace(AGREED, first_event=ONE, last_event=ONE, last_deletion=TWO)
    assert not deleted.rewritten_after_deletion
    again = synced_version(OLD.version, modified=30)
    assert ledger_updates.record_synced(deleted, again, request(THREE, etag="old"), NOW).rewritten_after_deletion
    assert not ledger_updates.record_synced(deleted, OLD, request(THREE, etag="old"), NOW).rewritten_after_deletion, (
        "the bucket shows one copy only, whatever events say"
    )
    assert not ledger_updates.record_synced(deleted, NEW, request(THREE, etag="new"), NOW).rewritten_after_deletion
    assert not replace(deleted, first_event="", last_event=THREE).rewritten_after_deletion


def test_a_tombstone_names_what_was_deleted() -> None:
    tomb = ledger_updates.record_tombstone(AGREED, request(THREE, Cause.REMOVED, time=70.9), NOW, by_user=True)
    assert (tomb.synced, tomb.expired, tomb.deleted_versions) == (None, None, (OLD,))
    assert (tomb.last_deletion, tomb.deleted_at, tomb.expected_remote) == (THREE, 70, None)


def test_worker_deletion_does_not_count_as_a_user_deletion() -> None:
    assert (
        ledger_updates.record_tombstone(
            replace(AGREED, last_deletion=ONE), request(THREE), NOW, by_user=False
        ).last_deletion
        == ONE
    )


def test_deletion_time_defaults_to_now_and_never_decreases() -> None:
    assert ledger_updates.record_tombstone(AGREED, request(""), NOW, by_user=False).deleted_at == NOW
    assert (
        ledger_updates.record_tombstone(
            replace(AGREED, deleted_at=80), request(THREE, time=70), NOW, by_user=True
        ).deleted_at
        == 80
    )


def test_user_deletion_keeps_the_synced_version_until_the_decision() -> None:
    after = ledger_updates.record_user_deletion(AGREED, request(THREE, Cause.REMOVED, time=70), NOW)
    assert (after.synced, after.deleted_versions, after.last_deletion, after.deleted_at) == (OLD, (OLD,), THREE, 70)
    assert after.expected_remote == OLD.remote


def test_user_deletion_covers_only_versions_that_arrived_before_it() -> None:
    assert ledger_updates.record_user_deletion(AGREED, request(ONE, Cause.REMOVED), NOW).deleted_versions == ()
    assert (
        ledger_updates.record_user_deletion(
            replace(AGREED, last_event=THREE), request(TWO, Cause.REMOVED), NOW
        ).deleted_versions
        == ()
    )
    assert (
        ledger_updates.record_user_deletion(
            replace(AGREED, first_event="", last_event=""), request(THREE, Cause.REMOVED), NOW
        ).deleted_versions
        == ()
    )


@pytest.mark.parametrize(
    ("time", "later", "covered"), [(50, 80, True), (10, 80, False), (80, 80, False), (50, 10, False)]
)
def test_user_deletion_covers_a_version_of_unknown_arrival_by_the_times_of_what_this_bucket_shows(
    time: int, later: int, covered: bool
) -> None:
    """Whatever was deleted between its arrival and that of what is here now was this version, or had replaced it."""
    event = request(THREE, Cause.REMOVED, time=time)
    unknown = replace(AGREED, first_event="", last_event="")
    here = ObjectHead("later", 3, later)
    after = ledger_updates.record_user_deletion(unknown, event, NOW, here=here)
    assert after.deleted_versions == ((OLD,) if covered else ())
    arrived = replace(unknown, synced=replace(NEW, local=CopyState("later", later)), previous=OLD, last_event=THREE)
    after = ledger_updates.record_user_deletion(arrived, event, NOW, here=here)
    assert after.deleted_versions == ((OLD,) if covered else ())


@pytest.mark.parametrize(
    "change", ["in parts, under way for long", "no time", "removed by its id", "nothing here", "arrived later"]
)
def test_times_prove_no_deletion_of(change: str) -> None:
    old = {
        "in parts, under way for long": replace(OLD, local=CopyState("old-2", 10)),
        "no time": replace(OLD, local=CopyState("old")),
    }.get(change, OLD)
    event = replace(request(TWO, Cause.REMOVED, time=50), version_removed=change == "removed by its id")
    arrived = THREE if change == "arrived later" else ""
    before = replace(AGREED, synced=old, first_event=arrived, last_event=arrived)
    here = None if change == "nothing here" else ObjectHead("later", 3, 80)
    assert ledger_updates.record_user_deletion(before, event, NOW, here=here).deleted_versions == ()


def test_user_deletion_does_not_cover_a_version_that_is_still_here() -> None:
    after = ledger_updates.record_user_deletion(AGREED, request(THREE, Cause.REMOVED), NOW, present=True)
    assert (after.deleted_versions, after.last_deletion) == ((), THREE)


def test_permanent_removal_of_a_version_is_no_deletion_of_the_current_object() -> None:
    event = replace(request(THREE, Cause.REMOVED, time=70), version_removed=True)
    after = ledger_updates.record_user_deletion(AGREED, event, NOW, here=ObjectHead("later", 3, 80))
    assert (after.deleted_versions, after.last_deletion, after.deleted_at) == ((OLD,), "", 0), (
        "the bucket shows something"
    )
    assert ledger_updates.record_user_deletion(AGREED, event, NOW, present=True).last_deletion == ""
    assert ledger_updates.record_user_deletion(AGREED, event, NOW).last_deletion == THREE


def test_version_before_the_synced_one_is_recognised_if_written_again() -> None:
    agreed_later = replace(AGREED, sequencer=THREE, first_event=THREE, last_event=THREE)
    assert ledger_updates.record_earlier_version(agreed_later, NEW, request(ONE)).deleted_versions == ()
    after = ledger_updates.record_earlier_version(replace(agreed_later, last_deletion=TWO), NEW, request(ONE))
    assert (after.previous, after.previous_last_event, after.deleted_versions) == (NEW, ONE, (NEW,))
    again = synced_version(NEW.version, modified=30)
    assert ledger_updates.record_synced(after, again, request(normalise("4"), etag="new"), NOW).rewritten_after_deletion


def test_version_between_two_arrivals_of_the_synced_one_is_recorded() -> None:
    twice = replace(AGREED, sequencer=THREE, first_event=ONE, last_event=THREE)
    after = ledger_updates.record_earlier_version(twice, NEW, request(TWO))
    assert (after.previous, after.previous_last_event, after.deleted_versions) == (NEW, TWO, ())
    nine = request(normalise("9"), etag="new")
    long_gone = replace(twice, last_event=normalise("7"), sequencer=normalise("7"))
    after = ledger_updates.record_earlier_version(long_gone, NEW, request(TWO))
    again = synced_version(NEW.version, modified=30)
    assert ledger_updates.record_synced(replace(after, last_deletion=THREE), again, nine, NOW).rewritten_after_deletion
    assert not ledger_updates.record_synced(
        replace(after, last_deletion=normalise("8")), again, nine, NOW
    ).rewritten_after_deletion  # the deletion was of the other version


def test_only_the_last_version_before_the_synced_one_is_recorded() -> None:
    for entry, mark, last in (
        (AGREED, ONE, True),
        (AGREED, TWO, False),
        (replace(AGREED, previous=NEW, previous_last_event=ONE, last_event=THREE), TWO, True),
        (replace(AGREED, previous=NEW, previous_last_event=TWO, last_event=THREE), TWO, False),
        (replace(AGREED, previous=NEW, previous_last_event=TWO, last_event=THREE), ONE, False),
    ):
        assert ledger_updates.was_current_in_between(entry, mark) == last


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"version_removed": False}, False),
        ({"actor": Actor.ECHO}, False),
        ({"cause": Cause.EXPIRED}, False),
    ],
)
def test_copy_uncovered_by_a_removed_version_counts_as_restored_by_a_user(change: dict[str, Any], known: bool) -> None:
    stamp = Stamp("pair", key_hash("k"), NEW.version, 3)
    event = replace(replace(request(THREE, Cause.REMOVED), version_removed=True), **change)
    here = ObjectHead("copy", 3, 25, stamp)
    tomb = LedgerEntry("k", 2, deleted_at=26)
    back = ledger_updates.record_undelete(tomb, event, here)
    assert [d.local for d in back.deleted_versions] == ([CopyState("copy", 25)] if known else [])
    assert ledger_updates.record_undelete(tomb, event, replace(here, modified=26)) == tomb
    assert ledger_updates.record_undelete(tomb, event, replace(here, stamp=None)) == tomb


@pytest.mark.parametrize(("deleted", "restored"), [(25 + 3600, False), (25 + 3601, True)])
def test_copy_in_parts_counts_as_restored_only_if_its_upload_must_have_ended_before_the_deletion(
    deleted: int, restored: bool
) -> None:
    event = replace(request(THREE, Cause.REMOVED), version_removed=True)
    here = ObjectHead("copy-2", 3, 25, Stamp("pair", key_hash("k"), NEW.version, 3))
    tomb = LedgerEntry("k", 2, deleted_at=deleted)
    assert bool(ledger_updates.record_undelete(tomb, event, here).deleted_versions) == restored


def test_deleted_version_gains_its_time_later() -> None:
    first, later = (SyncedVersion(NEW.version, CopyState("copy", time), CopyState("")) for time in (None, 25))
    entry = LedgerEntry("k", deleted_versions=(first, OLD))
    assert entry.with_deleted(later) == (OLD, later)
    assert replace(entry, deleted_versions=(later,)).with_deleted(first) == (later,)


def test_expiry_records_the_version_that_the_peer_may_keep() -> None:
    after = ledger_updates.record_expiration(AGREED, request(THREE, Cause.EXPIRED), NOW)
    assert (after.synced, after.expired, after.deleted_versions, after.last_deletion) == (None, OLD, (), "")
    assert after.expected_remote == OLD.remote
    assert ledger_updates.record_expiration(after, request(THREE, Cause.EXPIRED), NOW).expired == OLD


def test_updates_leave_the_revision_unchanged() -> None:
    assert ledger_updates.record_synced(AGREED, NEW, request(THREE), NOW).revision == AGREED.revision
    assert ledger_updates.record_tombstone(AGREED, request(THREE), NOW, by_user=True).revision == AGREED.revision


def test_deleted_versions_are_bounded_unique_and_newest_last() -> None:
    entry = LedgerEntry("k")
    dead = [synced_version(OriginVersion(CN, t, "e")) for t in range(MAX_DELETED_VERSIONS + 2)]
    for d in (*dead, dead[-1]):
        entry = replace(entry, deleted_versions=entry.with_deleted(d))
    assert entry.deleted_versions == tuple(dead[2:])
    assert entry.was_deleted(dead[-1].version)
    assert not entry.was_deleted(dead[0].version)
    assert entry.with_deleted(None) == entry.deleted_versions


def test_synced_version_round_trips_through_json() -> None:
    for agreed in (OLD, NEW, replace(NEW, remote=CopyState("x"))):
        assert synced_version_codec.decode(json.loads(json.dumps(synced_version_codec.encode(agreed)))) == agreed


def test_expected_remote_copy_is_that_of_the_synced_or_expired_version() -> None:
    assert LedgerEntry("k").expected_remote is None
    assert LedgerEntry("k", synced=OLD, expired=NEW).expected_remote == CopyState("old", 10)
    assert LedgerEntry("k", expired=NEW).expected_remote == CopyState("new", 20)


SHOWN = replace(AGREED, first_event="", last_event="")
ANSWERED = replace(SHOWN, synced=replace(OLD, local=CopyState("old")))
"""The synced version by a write's answer: the bucket has not shown it yet."""


@pytest.mark.parametrize(
    ("entry", "event", "first", "last"),
    [
        (SHOWN, request(THREE, etag=NEW.local.etag), "", ""),
        (SHOWN, request(THREE, etag=OLD.local.etag), THREE, THREE),
        (SHOWN, request("", etag=OLD.local.etag), "", ""),
        (replace(SHOWN, first_event=TWO), request(THREE, etag=OLD.local.etag), TWO, THREE),
        (ANSWERED, request(THREE, etag=OLD.local.etag), "", THREE),
        (AGREED, request(THREE, etag=OLD.local.etag), TWO, TWO),
        (LedgerEntry("k", 1, sequencer=TWO), request(THREE, etag=OLD.local.etag), "", ""),
    ],
)
def test_arrival_event_counts_for_its_own_version_and_as_the_first_if_the_bucket_has_shown_it(
    entry: LedgerEntry, event: SyncRequest, first: str, last: str
) -> None:
    after = ledger_updates.record_arrival(entry, event)
    assert after == replace(entry, first_event=first, last_event=last)


def test_pending_write_names_what_it_replaces_only_if_all_attempts_met_the_same() -> None:
    first = ledger_updates.record_pending(AGREED, NEW.version, OLD.version)
    assert first == replace(AGREED, pending=AnnouncedWrite(NEW.version, OLD.version))
    assert ledger_updates.record_pending(first, NEW.version, OLD.version) == first
    other = ledger_updates.record_pending(first, NEW.version, None)
    assert other.pending == AnnouncedWrite(NEW.version, None)
    assert ledger_updates.record_pending(other, NEW.version, OLD.version) == other
    assert ledger_updates.record_pending(other, OLD.version, None).pending == AnnouncedWrite(OLD.version, None)


def test_pending_write_is_kept_while_both_sides_hold_what_it_replaces() -> None:
    pending = replace(AGREED, pending=AnnouncedWrite(NEW.version, OLD.version))
    assert ledger_updates.record_synced(pending, OLD, request(THREE), NOW).pending == pending.pending
    done = ledger_updates.record_synced(pending, NEW, request(THREE), NOW)
    assert (done.pending, done.overwrite) == (None, pending.pending)
    assert ledger_updates.record_synced(done, OLD, request(THREE), NOW).overwrite == pending.pending
    assert ledger_updates.record_tombstone(pending, request(THREE), NOW, by_user=True).pending is None
    assert ledger_updates.record_tombstone(done, request(THREE), NOW, by_user=True).overwrite is None
    assert ledger_updates.record_user_deletion(pending, request(THREE), NOW).pending == pending.pending


@pytest.mark.parametrize("former", ["synced", "expired", "previous"])
@pytest.mark.parametrize(
    ("etag", "modified", "twice"), [("old", 10, False), ("old", 9, True), ("old", 11, True), ("other", 10, True)]
)
def test_version_arrived_twice_if_its_copies_differ_in_time_or_etag(
    former: str, etag: str, modified: int, twice: bool
) -> None:
    """A copy whose upload began earlier can arrive later."""
    before = {
        "synced": AGREED,
        "expired": replace(AGREED, synced=None, expired=OLD),
        "previous": replace(AGREED, synced=NEW, previous=OLD),
    }[former]
    shown = replace(OLD, local=CopyState(etag, modified))
    here = ObjectHead(etag, 3, modified)
    assert ledger_updates.record_synced(before, shown, request(THREE), NOW, here=here).arrived_twice == twice


def test_time_that_the_ledger_does_not_know_is_no_second_copy() -> None:
    unknown = replace(AGREED, synced=replace(OLD, local=CopyState("old")))
    assert not ledger_updates.record_synced(unknown, OLD, request(THREE), NOW, here=ObjectHead("old", 3, 9)).second_copy


def test_version_that_expired_and_arrives_again_after_a_deletion_was_deleted() -> None:
    """A user who deletes what has expired means that version, and its second copy is none that a user restored."""
    expired = replace(AGREED, synced=None, expired=OLD, first_modified=10, last_deletion=THREE)
    shown, here = replace(OLD, local=CopyState("old", 30)), ObjectHead("old", 3, 30)
    after = ledger_updates.record_synced(expired, shown, request(normalise("4"), etag="old"), NOW, here=here)
    assert (after.synced, after.expired, after.first_modified) == (shown, None, 10)
    assert after.rewritten_after_deletion
