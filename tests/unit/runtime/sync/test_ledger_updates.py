"""What the ledger learns, note by note."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model import synced_version_codec
from dualsync.runtime.model.ledger_entry import MAX_DELETED_VERSIONS, CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.model.sequencer import normalise
from dualsync.runtime.sync import ledger_updates
from tests.support.builders import CN, GLOBAL, agreement

ONE, TWO, THREE = normalise("1"), normalise("2"), normalise("3")
OLD, NEW = agreement(OriginVersion(CN, 10, "old")), agreement(OriginVersion(GLOBAL, 20, "new"))
AGREED = LedgerEntry("k", 3, synced=OLD, sequencer=TWO, first_event=TWO, last_event=TWO)
NOW = 1000


def look(sequencer: str, cause: Cause = Cause.CREATED, *, etag: str = "", time: float = 0.0) -> SyncRequest:
    return SyncRequest("k", cause, sequencer=sequencer, etag=etag, event_time=time)


def test_an_agreement_replaces_what_was_known_and_takes_the_version_from_the_dead() -> None:
    before = LedgerEntry(
        "k", 3, expired=OLD, deleted_versions=(OLD, NEW), sequencer=ONE, last_deletion=ONE, deleted_at=5
    )
    after = ledger_updates.record_synced(before, NEW, look(TWO, etag="new"), NOW)
    assert (after.synced, after.expired, after.deleted_versions) == (NEW, None, (OLD,))
    assert (after.sequencer, after.first_event, after.updated) == (TWO, TWO, NOW)
    assert (after.last_deletion, after.deleted_at) == (ONE, 5)


def test_the_sequencer_never_goes_back() -> None:
    for note in (
        ledger_updates.record_synced(AGREED, NEW, look(ONE), NOW),
        ledger_updates.record_tombstone(AGREED, look(ONE), NOW, by_user=True),
        ledger_updates.record_user_deletion(AGREED, look(ONE), NOW),
        ledger_updates.record_expiration(AGREED, look(ONE), NOW),
        ledger_updates.record_synced(AGREED, NEW, look(""), NOW),
    ):
        assert note.sequencer == TWO
        assert note.updated == NOW


def test_first_and_last_arrival_of_the_same_version_whatever_their_order() -> None:
    for sequencer, first, last in ((THREE, TWO, THREE), (ONE, ONE, TWO), (TWO, TWO, TWO)):
        after = ledger_updates.record_synced(AGREED, OLD, look(sequencer, etag="old"), NOW)
        assert (after.first_event, after.last_event) == (first, last)


def test_only_a_versions_own_event_says_when_it_arrived() -> None:
    own = ledger_updates.record_synced(AGREED, NEW, look(THREE, etag="new"), NOW)
    assert (own.first_event, own.last_event) == (THREE, THREE)
    for other in (look(THREE, etag="another"), look(THREE, Cause.REMOVED)):
        after = ledger_updates.record_synced(AGREED, NEW, other, NOW)
        assert (after.first_event, after.last_event) == ("", "")
        same = ledger_updates.record_synced(AGREED, OLD, other, NOW)
        assert (same.first_event, same.last_event) == (TWO, TWO)


def test_a_version_deleted_between_two_arrivals_was_written_again() -> None:
    deleted = replace(AGREED, first_event=ONE, last_event=ONE, last_deletion=TWO)
    assert not deleted.rewritten_after_deletion
    again = agreement(OLD.version, modified=30)
    assert ledger_updates.record_synced(deleted, again, look(THREE, etag="old"), NOW).rewritten_after_deletion
    assert not ledger_updates.record_synced(deleted, OLD, look(THREE, etag="old"), NOW).rewritten_after_deletion, (
        "the bucket shows one copy only, whatever events say"
    )
    assert not ledger_updates.record_synced(deleted, NEW, look(THREE, etag="new"), NOW).rewritten_after_deletion
    assert not replace(deleted, first_event="", last_event=THREE).rewritten_after_deletion


def test_a_tombstone_names_what_was_deleted() -> None:
    tomb = ledger_updates.record_tombstone(AGREED, look(THREE, Cause.REMOVED, time=70.9), NOW, by_user=True)
    assert (tomb.synced, tomb.expired, tomb.deleted_versions) == (None, None, (OLD,))
    assert (tomb.last_deletion, tomb.deleted_at, tomb.expected_remote) == (THREE, 70, None)


def test_a_worker_s_deletion_is_no_user_s() -> None:
    assert (
        ledger_updates.record_tombstone(
            replace(AGREED, last_deletion=ONE), look(THREE), NOW, by_user=False
        ).last_deletion
        == ONE
    )


def test_without_the_event_s_time_it_died_now_and_never_earlier_than_before() -> None:
    assert ledger_updates.record_tombstone(AGREED, look(""), NOW, by_user=False).deleted_at == NOW
    assert (
        ledger_updates.record_tombstone(
            replace(AGREED, deleted_at=80), look(THREE, time=70), NOW, by_user=True
        ).deleted_at
        == 80
    )


def test_a_removal_without_decision_keeps_the_belief() -> None:
    after = ledger_updates.record_user_deletion(AGREED, look(THREE, Cause.REMOVED, time=70), NOW)
    assert (after.synced, after.deleted_versions, after.last_deletion, after.deleted_at) == (OLD, (OLD,), THREE, 70)
    assert after.expected_remote == OLD.remote


def test_a_removal_hits_only_what_had_arrived_before() -> None:
    assert ledger_updates.record_user_deletion(AGREED, look(ONE, Cause.REMOVED), NOW).deleted_versions == ()
    assert (
        ledger_updates.record_user_deletion(
            replace(AGREED, last_event=THREE), look(TWO, Cause.REMOVED), NOW
        ).deleted_versions
        == ()
    )
    assert (
        ledger_updates.record_user_deletion(
            replace(AGREED, first_event="", last_event=""), look(THREE, Cause.REMOVED), NOW
        ).deleted_versions
        == ()
    )


def test_a_removal_does_not_hit_what_is_still_here() -> None:
    after = ledger_updates.record_user_deletion(AGREED, look(THREE, Cause.REMOVED), NOW, present=True)
    assert (after.deleted_versions, after.last_deletion) == ((), THREE)


def test_a_version_removed_for_good_says_nothing_of_what_is_here() -> None:
    event = replace(look(THREE, Cause.REMOVED, time=70), version_removed=True)
    after = ledger_updates.record_user_deletion(AGREED, event, NOW, here=True)
    assert (after.deleted_versions, after.last_deletion, after.deleted_at) == ((OLD,), "", 0), (
        "the bucket shows something"
    )
    assert ledger_updates.record_user_deletion(AGREED, event, NOW, present=True).last_deletion == ""
    assert ledger_updates.record_user_deletion(AGREED, event, NOW).last_deletion == THREE


def test_what_was_here_before_the_agreed_version_is_remembered_and_known_if_it_comes_again() -> None:
    agreed_later = replace(AGREED, sequencer=THREE, first_event=THREE, last_event=THREE)
    assert ledger_updates.record_earlier_version(agreed_later, NEW, look(ONE)).deleted_versions == ()
    after = ledger_updates.record_earlier_version(replace(agreed_later, last_deletion=TWO), NEW, look(ONE))
    assert (after.previous, after.previous_last_event, after.deleted_versions) == (NEW, ONE, (NEW,))
    again = agreement(NEW.version, modified=30)
    assert ledger_updates.record_synced(after, again, look(normalise("4"), etag="new"), NOW).rewritten_after_deletion


def test_what_was_here_between_two_arrivals_of_the_agreed_version_is_remembered_too() -> None:
    twice = replace(AGREED, sequencer=THREE, first_event=ONE, last_event=THREE)
    after = ledger_updates.record_earlier_version(twice, NEW, look(TWO))
    assert (after.previous, after.previous_last_event, after.deleted_versions) == (NEW, TWO, ())
    nine = look(normalise("9"), etag="new")
    long_gone = replace(twice, last_event=normalise("7"), sequencer=normalise("7"))
    after = ledger_updates.record_earlier_version(long_gone, NEW, look(TWO))
    again = agreement(NEW.version, modified=30)
    assert ledger_updates.record_synced(replace(after, last_deletion=THREE), again, nine, NOW).rewritten_after_deletion
    assert not ledger_updates.record_synced(
        replace(after, last_deletion=normalise("8")), again, nine, NOW
    ).rewritten_after_deletion  # it was the other's


def test_only_the_last_of_those_before_the_agreed_version_is_remembered() -> None:
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
def test_a_copy_that_is_here_again_after_it_had_gone_was_brought_back(change: dict[str, Any], known: bool) -> None:
    stamp = Stamp("pair", key_hash("k"), NEW.version, 3)
    event = replace(replace(look(THREE, Cause.REMOVED), version_removed=True), **change)
    here = ObjectHead("copy", 3, 25, stamp)
    tomb = LedgerEntry("k", 2, deleted_at=26)
    back = ledger_updates.record_undelete(tomb, event, here)
    assert [d.local for d in back.deleted_versions] == ([CopyState("copy", 25)] if known else [])
    assert ledger_updates.record_undelete(tomb, event, replace(here, modified=26)) == tomb
    assert ledger_updates.record_undelete(tomb, event, replace(here, stamp=None)) == tomb


def test_a_dead_version_learns_its_time() -> None:
    first, later = (SyncedVersion(NEW.version, CopyState("copy", time), CopyState("")) for time in (None, 25))
    entry = LedgerEntry("k", deleted_versions=(first, OLD))
    assert entry.with_deleted(later) == (OLD, later)
    assert replace(entry, deleted_versions=(later,)).with_deleted(first) == (later,)


def test_an_expiry_remembers_what_the_peer_may_keep() -> None:
    after = ledger_updates.record_expiration(AGREED, look(THREE, Cause.EXPIRED), NOW)
    assert (after.synced, after.expired, after.deleted_versions, after.last_deletion) == (None, OLD, (), "")
    assert after.expected_remote == OLD.remote
    assert ledger_updates.record_expiration(after, look(THREE, Cause.EXPIRED), NOW).expired == OLD


def test_notes_leave_revisions_alone() -> None:
    assert ledger_updates.record_synced(AGREED, NEW, look(THREE), NOW).revision == AGREED.revision
    assert ledger_updates.record_tombstone(AGREED, look(THREE), NOW, by_user=True).revision == AGREED.revision


def test_a_few_dead_are_remembered_newest_last_each_once() -> None:
    entry = LedgerEntry("k")
    dead = [agreement(OriginVersion(CN, t, "e")) for t in range(MAX_DELETED_VERSIONS + 2)]
    for d in (*dead, dead[-1]):
        entry = replace(entry, deleted_versions=entry.with_deleted(d))
    assert entry.deleted_versions == tuple(dead[2:])
    assert entry.was_deleted(dead[-1].version)
    assert not entry.was_deleted(dead[0].version)
    assert entry.with_deleted(None) == entry.deleted_versions


def test_an_agreement_survives_as_json_values() -> None:
    for agreed in (OLD, NEW, replace(NEW, remote=CopyState("x"))):
        assert synced_version_codec.decode(json.loads(json.dumps(synced_version_codec.encode(agreed)))) == agreed


def test_what_is_believed_of_the_peer() -> None:
    assert LedgerEntry("k").expected_remote is None
    assert LedgerEntry("k", synced=OLD, expired=NEW).expected_remote == CopyState("old", 10)
    assert LedgerEntry("k", expired=NEW).expected_remote == CopyState("new", 20)


@pytest.mark.parametrize(
    ("entry", "event", "last"),
    [
        (replace(AGREED, first_event="", last_event=""), look(THREE, etag=NEW.local.etag), ""),
        (replace(AGREED, first_event="", last_event=""), look(THREE, etag=OLD.local.etag), THREE),
        (replace(AGREED, first_event="", last_event=""), look("", etag=OLD.local.etag), ""),
        (AGREED, look(THREE, etag=OLD.local.etag), TWO),
        (LedgerEntry("k", 1, sequencer=TWO), look(THREE, etag=OLD.local.etag), ""),
    ],
)
def test_the_event_of_an_arrival_orders_what_is_gone_and_proves_no_deletion(
    entry: LedgerEntry, event: SyncRequest, last: str
) -> None:
    after = ledger_updates.record_arrival(entry, event)
    assert after == replace(entry, last_event=last)
