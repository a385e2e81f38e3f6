"""Test what holds for every decision, whatever the state."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.conflict_order import wins
from dualsync.runtime.model.ledger_entry import AnnouncedWrite, CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import ConflictPolicy, FirstContact, SideName
from dualsync.runtime.sync.decision import Action, KeyState, ObservedVersion, decide
from tests.support.builders import CN, GLOBAL, stamp
from tests.unit.runtime.sync.test_decision import NEVER, NEVER_WAIT, users

ETAG, TIME = st.sampled_from(["a", "b", "c"]), st.integers(1, 4)
IDENTITY = st.builds(OriginVersion, st.sampled_from(SideName), TIME, ETAG)
AGREEMENT = st.builds(SyncedVersion, IDENTITY, *[st.builds(CopyState, ETAG, st.none() | TIME)] * 2)
ANNOUNCED = st.builds(AnnouncedWrite, IDENTITY, st.none() | IDENTITY)
ENTRY = st.builds(
    LedgerEntry,
    st.just("k"),
    revision=st.integers(0, 1),
    synced=st.none() | AGREEMENT,
    expired=st.none() | AGREEMENT,
    previous=st.none() | AGREEMENT,
    first_modified=st.none() | TIME,
    pending=st.none() | ANNOUNCED,
    overwrite=st.none() | ANNOUNCED,
    deleted_versions=st.lists(AGREEMENT, max_size=2).map(tuple),
    last_deletion=st.sampled_from(["", "5"]),
    deleted_at=TIME,
)


@st.composite
def observed_versions(draw: st.DrawFn, side: SideName) -> ObservedVersion:
    """Draw any object of that side's bucket."""
    etag, modified = draw(ETAG), draw(TIME)
    if draw(st.booleans()):
        return users(side, modified, etag)
    identity = draw(IDENTITY)
    return ObservedVersion(ObjectHead(etag, 3, modified, stamp(identity)), identity, True)


HERE, THERE = observed_versions(CN), observed_versions(GLOBAL)
VIEW = st.builds(
    KeyState,
    side=st.just(CN),
    cause=st.sampled_from(Cause),
    attempt=st.integers(0, 4),
    entry=ENTRY,
    local=st.none() | HERE,
    remote=st.none() | THERE,
    policy=st.sampled_from(ConflictPolicy),
    may_delete=st.booleans(),
    deletions_travel=st.booleans(),
    settled=st.booleans(),
    superseded_etag=st.just("") | ETAG,
    same_content=st.sampled_from((None, False, True)),
    first_contact=st.sampled_from(FirstContact),
)


@given(VIEW)
def test_action_acts_only_on_objects_that_exist(view: KeyState) -> None:
    action = decide(view).action
    here, there = view.local is not None, view.remote is not None
    possible = {
        Action.NOTHING: here or there,
        Action.RECORD_SYNCED: here and there,
        Action.WAIT: here and there and view.attempt < NEVER_WAIT,
        Action.COMPARE: here and there and view.same_content is None,
        Action.RECORD_TOMBSTONE: not here and not there,
        Action.PUSH: here,
        Action.PULL: there,
        Action.DELETE_LOCAL: here,
        Action.DELETE_REMOTE: there,
        Action.DELETE_BOTH: here and there,
        Action.MARK_UNMATCHED: here and not there,
    }
    assert possible[action]


@given(VIEW)
def test_user_version_is_deleted_only_if_both_sides_held_it_and_deletions_travel(view: KeyState) -> None:
    action = decide(view).action
    gone = {Action.DELETE_LOCAL: view.local, Action.DELETE_REMOTE: view.remote}.get(action)
    if gone is not None and not gone.is_replica:
        assert view.entry.synced is not None
        assert gone.version == view.entry.synced.version
        assert view.deletions_travel


@given(VIEW)
def test_only_replicas_are_deleted_on_both_sides_at_once(view: KeyState) -> None:
    if decide(view).action is Action.DELETE_BOTH:
        assert view.local is not None
        assert view.remote is not None
        assert view.local.is_replica
        assert view.remote.is_replica
        assert view.deletions_travel


@given(VIEW)
def test_object_without_entry_or_event_is_never_deleted(view: KeyState) -> None:
    action = decide(replace(view, entry=NEVER, superseded_etag="")).action
    assert action not in (Action.DELETE_LOCAL, Action.DELETE_REMOTE)


@given(VIEW)
def test_only_finder_requests_pull(view: KeyState) -> None:
    if view.cause is not Cause.FINDER:
        assert decide(view).action is not Action.PULL


@given(VIEW)
def test_conflict_loser_is_a_user_version_and_the_other_version_wins(view: KeyState) -> None:
    loser = decide(view).loser
    if loser is not None:
        assert view.local is not None
        assert view.remote is not None
        assert not view.local.is_replica
        assert not view.remote.is_replica
        ours, theirs = view.local.version, view.remote.version
        winner = theirs if loser == ours else ours
        assert wins(winner, loser, view.policy)


@given(HERE, THERE, st.sampled_from(ConflictPolicy), st.sampled_from(Cause), st.sampled_from(Cause), st.booleans())
def test_both_sides_choose_the_same_version_without_ledger_entries(
    here: ObservedVersion, there: ObservedVersion, policy: ConflictPolicy, cause: Cause, peers_cause: Cause, same: bool
) -> None:
    ours = decide(KeyState(CN, cause, NEVER_WAIT, NEVER, here, there, policy, same_content=same))
    theirs = decide(KeyState(GLOBAL, peers_cause, NEVER_WAIT, NEVER, there, here, policy, same_content=same))
    assert (ours.action is Action.RECORD_SYNCED) == (theirs.action is Action.RECORD_SYNCED)
    kept = {
        side
        for decision, own, other in ((ours, CN, GLOBAL), (theirs, GLOBAL, CN))
        for action, side in ((Action.PUSH, own), (Action.PULL, other))
        if decision.action is action
    }
    assert len(kept) <= 1
    if cause is Cause.FINDER and peers_cause is Cause.FINDER and ours.action is not Action.RECORD_SYNCED:
        assert kept  # finder requests on both sides make any two versions converge
    if ours.loser and theirs.loser:
        assert ours.loser == theirs.loser


@given(IDENTITY, IDENTITY, st.sampled_from(ConflictPolicy))
def test_exactly_one_of_two_versions_wins(a: OriginVersion, b: OriginVersion, policy: ConflictPolicy) -> None:
    assert wins(a, b, policy) + wins(b, a, policy) == (a != b)
