"""What the ledger learns, note by note."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.messages.sync_request import Actor, Cause, Look
from dualsync.runtime.model import synced_version_codec
from dualsync.runtime.model.ledger_entry import DEAD_KEPT, Agreement, Entry, Held
from dualsync.runtime.model.objects import Seen
from dualsync.runtime.model.origin_version import Identity, Stamp, key_hash
from dualsync.runtime.model.sequencer import normalise
from dualsync.runtime.sync import ledger_updates
from tests.support.builders import CN, GLOBAL, agreement

ONE, TWO, THREE = normalise("1"), normalise("2"), normalise("3")
OLD, NEW = agreement(Identity(CN, 10, "old")), agreement(Identity(GLOBAL, 20, "new"))
AGREED = Entry("k", 3, agreed=OLD, sequencer=TWO, arrived=TWO, landed=TWO)
NOW = 1000


def look(sequencer: str, cause: Cause = Cause.CREATED, *, etag: str = "", time: float = 0.0) -> Look:
    return Look("k", cause, sequencer=sequencer, etag=etag, time=time)


def test_an_agreement_replaces_what_was_known_and_takes_the_version_from_the_dead() -> None:
    before = Entry("k", 3, expired=OLD, dead=(OLD, NEW), sequencer=ONE, deleted=ONE, died=5)
    after = ledger_updates.agreed(before, NEW, look(TWO, etag="new"), NOW)
    assert (after.agreed, after.expired, after.dead) == (NEW, None, (OLD,))
    assert (after.sequencer, after.arrived, after.updated) == (TWO, TWO, NOW)
    assert (after.deleted, after.died) == (ONE, 5)


def test_the_sequencer_never_goes_back() -> None:
    for note in (
        ledger_updates.agreed(AGREED, NEW, look(ONE), NOW),
        ledger_updates.gone(AGREED, look(ONE), NOW, by_user=True),
        ledger_updates.removal(AGREED, look(ONE), NOW),
        ledger_updates.expired(AGREED, look(ONE), NOW),
        ledger_updates.agreed(AGREED, NEW, look(""), NOW),
    ):
        assert note.sequencer == TWO
        assert note.updated == NOW


def test_first_and_last_arrival_of_the_same_version_whatever_their_order() -> None:
    for sequencer, first, last in ((THREE, TWO, THREE), (ONE, ONE, TWO), (TWO, TWO, TWO)):
        after = ledger_updates.agreed(AGREED, OLD, look(sequencer, etag="old"), NOW)
        assert (after.arrived, after.landed) == (first, last)


def test_only_a_versions_own_event_says_when_it_arrived() -> None:
    own = ledger_updates.agreed(AGREED, NEW, look(THREE, etag="new"), NOW)
    assert (own.arrived, own.landed) == (THREE, THREE)
    for other in (look(THREE, etag="another"), look(THREE, Cause.REMOVED)):
        after = ledger_updates.agreed(AGREED, NEW, other, NOW)
        assert (after.arrived, after.landed) == ("", "")
        same = ledger_updates.agreed(AGREED, OLD, other, NOW)
        assert (same.arrived, same.landed) == (TWO, TWO)


def test_a_version_deleted_between_two_arrivals_was_written_again() -> None:
    deleted = replace(AGREED, arrived=ONE, landed=ONE, deleted=TWO)
    assert not deleted.rewritten
    assert ledger_updates.agreed(deleted, OLD, look(THREE, etag="old"), NOW).rewritten
    assert not ledger_updates.agreed(deleted, NEW, look(THREE, etag="new"), NOW).rewritten
    assert not replace(deleted, arrived="", landed=THREE).rewritten


def test_a_tombstone_names_what_was_deleted() -> None:
    tomb = ledger_updates.gone(AGREED, look(THREE, Cause.REMOVED, time=70.9), NOW, by_user=True)
    assert (tomb.agreed, tomb.expired, tomb.dead) == (None, None, (OLD,))
    assert (tomb.deleted, tomb.died, tomb.believed) == (THREE, 70, None)


def test_a_worker_s_deletion_is_no_user_s() -> None:
    assert ledger_updates.gone(replace(AGREED, deleted=ONE), look(THREE), NOW, by_user=False).deleted == ONE


def test_without_the_event_s_time_it_died_now_and_never_earlier_than_before() -> None:
    assert ledger_updates.gone(AGREED, look(""), NOW, by_user=False).died == NOW
    assert ledger_updates.gone(replace(AGREED, died=80), look(THREE, time=70), NOW, by_user=True).died == 80


def test_a_removal_without_decision_keeps_the_belief() -> None:
    after = ledger_updates.removal(AGREED, look(THREE, Cause.REMOVED, time=70), NOW)
    assert (after.agreed, after.dead, after.deleted, after.died) == (OLD, (OLD,), THREE, 70)
    assert after.believed == OLD.remote


def test_a_removal_hits_only_what_had_arrived_before() -> None:
    assert ledger_updates.removal(AGREED, look(ONE, Cause.REMOVED), NOW).dead == ()
    assert ledger_updates.removal(replace(AGREED, landed=THREE), look(TWO, Cause.REMOVED), NOW).dead == ()
    assert ledger_updates.removal(replace(AGREED, arrived="", landed=""), look(THREE, Cause.REMOVED), NOW).dead == ()


def test_a_removal_does_not_hit_what_is_still_here() -> None:
    after = ledger_updates.removal(AGREED, look(THREE, Cause.REMOVED), NOW, present=True)
    assert (after.dead, after.deleted) == ((), THREE)


def test_a_version_removed_for_good_says_nothing_of_what_is_here() -> None:
    event = replace(look(THREE, Cause.REMOVED, time=70), permanent=True)
    after = ledger_updates.removal(AGREED, event, NOW, here=True)
    assert (after.dead, after.deleted, after.died) == ((OLD,), "", 70)
    assert ledger_updates.removal(AGREED, event, NOW, present=True).deleted == ""
    assert ledger_updates.removal(AGREED, event, NOW).deleted == THREE


def test_what_was_here_before_the_agreed_version_is_remembered_and_known_if_it_comes_again() -> None:
    agreed_later = replace(AGREED, sequencer=THREE, arrived=THREE, landed=THREE)
    assert ledger_updates.came_before(agreed_later, NEW, look(ONE)).dead == ()
    after = ledger_updates.came_before(replace(agreed_later, deleted=TWO), NEW, look(ONE))
    assert (after.former, after.left, after.dead) == (NEW, ONE, (NEW,))
    assert ledger_updates.agreed(after, NEW, look(normalise("4"), etag="new"), NOW).rewritten


def test_what_was_here_between_two_arrivals_of_the_agreed_version_is_remembered_too() -> None:
    twice = replace(AGREED, sequencer=THREE, arrived=ONE, landed=THREE)
    after = ledger_updates.came_before(twice, NEW, look(TWO))
    assert (after.former, after.left, after.dead) == (NEW, TWO, ())
    nine = look(normalise("9"), etag="new")
    long_gone = replace(twice, landed=normalise("7"), sequencer=normalise("7"))
    after = ledger_updates.came_before(long_gone, NEW, look(TWO))
    assert ledger_updates.agreed(replace(after, deleted=THREE), NEW, nine, NOW).rewritten
    assert not ledger_updates.agreed(
        replace(after, deleted=normalise("8")), NEW, nine, NOW
    ).rewritten  # it was the other's


def test_only_the_last_of_those_before_the_agreed_version_is_remembered() -> None:
    for entry, mark, last in (
        (AGREED, ONE, True),
        (AGREED, TWO, False),
        (replace(AGREED, former=NEW, left=ONE, landed=THREE), TWO, True),
        (replace(AGREED, former=NEW, left=TWO, landed=THREE), TWO, False),
        (replace(AGREED, former=NEW, left=TWO, landed=THREE), ONE, False),
    ):
        assert ledger_updates.was_in_between(entry, mark) == last


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"permanent": False}, False),
        ({"actor": Actor.ECHO}, False),
        ({"cause": Cause.EXPIRED}, False),
    ],
)
def test_a_copy_that_is_here_again_after_it_had_gone_was_brought_back(change: dict[str, Any], known: bool) -> None:
    stamp = Stamp("pair", key_hash("k"), NEW.identity, 3)
    event = replace(replace(look(THREE, Cause.REMOVED), permanent=True), **change)
    here = Seen("copy", 3, 25, stamp)
    tomb = Entry("k", 2, died=26)
    back = ledger_updates.brought_back(tomb, event, here)
    assert [d.local for d in back.dead] == ([Held("copy", 25)] if known else [])
    assert ledger_updates.brought_back(tomb, event, replace(here, modified=26)) == tomb
    assert ledger_updates.brought_back(tomb, event, replace(here, stamp=None)) == tomb


def test_a_dead_version_learns_its_time() -> None:
    first, later = (Agreement(NEW.identity, Held("copy", time), Held("")) for time in (None, 25))
    entry = Entry("k", dead=(first, OLD))
    assert entry.buried(later) == (OLD, later)
    assert replace(entry, dead=(later,)).buried(first) == (later,)


def test_an_expiry_remembers_what_the_peer_may_keep() -> None:
    after = ledger_updates.expired(AGREED, look(THREE, Cause.EXPIRED), NOW)
    assert (after.agreed, after.expired, after.dead, after.deleted) == (None, OLD, (), "")
    assert after.believed == OLD.remote
    assert ledger_updates.expired(after, look(THREE, Cause.EXPIRED), NOW).expired == OLD


def test_notes_leave_revisions_alone() -> None:
    assert ledger_updates.agreed(AGREED, NEW, look(THREE), NOW).revision == AGREED.revision
    assert ledger_updates.gone(AGREED, look(THREE), NOW, by_user=True).revision == AGREED.revision


def test_a_few_dead_are_remembered_newest_last_each_once() -> None:
    entry = Entry("k")
    dead = [agreement(Identity(CN, t, "e")) for t in range(DEAD_KEPT + 2)]
    for d in (*dead, dead[-1]):
        entry = replace(entry, dead=entry.buried(d))
    assert entry.dead == tuple(dead[2:])
    assert entry.is_dead(dead[-1].identity)
    assert not entry.is_dead(dead[0].identity)
    assert entry.buried(None) == entry.dead


def test_an_agreement_survives_as_json_values() -> None:
    for agreed in (OLD, NEW, replace(NEW, remote=Held("x"))):
        assert synced_version_codec.decode(json.loads(json.dumps(synced_version_codec.encode(agreed)))) == agreed


def test_what_is_believed_of_the_peer() -> None:
    assert Entry("k").believed is None
    assert Entry("k", agreed=OLD, expired=NEW).believed == Held("old", 10)
    assert Entry("k", expired=NEW).believed == Held("new", 20)
