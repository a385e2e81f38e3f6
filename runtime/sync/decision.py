"""Decide what to do with a key from the local object, the remote object and the ledger's entry.

Pure: no clock, no service. `decide` is a truth table read from top to bottom; each row is named in
`tests/unit/runtime/sync/test_decision.py`. A *replica* is an object with a valid stamp: a worker wrote it, not a user.
*Same* is the synced version of the ledger, *new* is any other version. As long as this side holds the synced version, a
new version at the peer is the peer's to copy. Why each rule exists: docs/decisions/2026-11-23-consistency-rules.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.arrival import is_in_parts
from dualsync.runtime.model.carried_attributes import select_carried
from dualsync.runtime.model.conflict_order import is_newer, wins
from dualsync.runtime.model.identify import matches_copy
from dualsync.runtime.model.ledger_entry import AnnouncedWrite, LedgerEntry
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import ConflictPolicy, FirstContact, SideName

WAIT_ATTEMPTS, WAIT_ATTEMPTS_IN_A_TIE, WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN = 1, 4, 5
"""Checks before a conflict is resolved: an echo that is still in the queue may prove that there is none, because one
version was written over the other. Within one second that is the only proof, and a stopped worker's message must come
back first. A request that may have written before without knowing it waits longest, so that the other side is first."""


CROSSING_SECONDS = 3600
"""Seconds within which two copies that cross are written; a call that takes longer was given up long before."""


class Action(StrEnum):
    """What to do. All writes are conditional on exactly what was observed."""

    NOTHING = "nothing"
    """Leave both sides as they are."""
    RECORD_SYNCED = "agree"
    """Record in the ledger that both sides hold the same version."""
    RECORD_TOMBSTONE = "bury"
    """Record in the ledger that neither side holds the key."""
    PUSH = "push"
    """Write the local version to the peer."""
    WAIT = "wait"
    """Check again later: an event on its way may still prove which version replaced the other."""
    COMPARE = "compare"
    """Compare both contents, then decide again: they may be the same in other parts."""
    PULL = "pull"
    """Write the peer's version here, with this side's own role."""
    DELETE_REMOTE = "delete-remote"
    """Delete the peer's object."""
    DELETE_LOCAL = "delete-local"
    """Delete the object here."""
    DELETE_BOTH = "delete-both"
    """Delete both objects."""
    MARK_UNMATCHED = "note"
    """Record that the object here has no counterpart; the next finder run that sees it so may act."""


@dataclass(frozen=True, slots=True)
class ObservedVersion:
    """An object that one bucket shows, and which version it is."""

    head: ObjectHead
    """What the bucket shows."""
    version: OriginVersion
    """The version's name on both sides."""
    is_replica: bool
    """True if a valid stamp says that a worker wrote it."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """All that a decision depends on."""

    side: SideName
    """The side that decides."""
    cause: Cause
    """Why the key is checked."""
    attempt: int
    """How many checks of this request came before."""
    entry: LedgerEntry
    """The ledger's entry, with what the request added to it."""
    local: ObservedVersion | None
    """The object here."""
    remote: ObservedVersion | None
    """The object at the peer."""
    policy: ConflictPolicy = ConflictPolicy.NEWEST
    """Which version wins a conflict."""
    may_delete: bool = False
    """True if a finder request may delete."""
    deletions_travel: bool = True
    """False if only creations are synchronised."""
    settled: bool = False
    """True if the object here is older than any write under way can be."""
    stale: bool = False
    """True if the event is older than what it would act on."""
    order_unknown: bool = False
    """True if a lifecycle rule may have removed the synced version, which may have arrived after the event."""
    expires: bool = False
    """True if lifecycle rules may remove current objects here."""
    unmatched: bool = False
    """True if an earlier finder run saw the object here without a counterpart, too."""
    superseded_etag: str = ""
    """ETag of a version of this side that a user deleted or replaced since."""
    may_have_written: bool = False
    """True if the request may have written before without recording it."""
    version_removed: bool = False
    """True if one version was removed by its id."""
    first_contact: FirstContact = FirstContact.CHECKSUM
    """How objects that both buckets held before are recognised as the same."""
    include_metadata: bool = True
    """False if only the content type is copied, and so compared."""
    same_content: bool | None = None
    """Whether both contents are the same; None if they have not been compared."""
    unrecorded: OriginVersion | None = None
    """What the request surely wrote and could not record."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why."""

    action: Action
    """What to do."""
    reason: str
    """Why, for the log."""
    loser: OriginVersion | None = None
    """The version that loses a conflict, if users of both sides wrote without knowing of each other."""


def decide(state: KeyState) -> Decision:
    """Return the first row of the truth table that applies."""
    local, remote = state.local, state.remote
    # A deletion stays deleted: a copy written by a worker that did not know of it must go, whatever the peer holds.
    # But any principal that may write here can forge a stamp: it never costs the peer's own or the synced version.
    if local is not None and _zombie_here(state, local) and _may_delete_remote(state, local, remote):
        return Decision(Action.DELETE_LOCAL, "a copy that arrived after its deletion")
    if local is not None and remote is not None:
        return _both(state, local, remote)
    if local is not None:
        return _only_here(state, local)
    if remote is not None:
        return _only_there(state, remote)
    return Decision(Action.RECORD_TOMBSTONE, "gone on both sides")


def _only_here(state: KeyState, local: ObservedVersion) -> Decision:
    # Only the ledger proves a deletion at the peer: both sides held this version, and the peer does not any more.
    if _is_same(state, local):
        if state.cause is Cause.FINDER and state.may_delete and state.deletions_travel:
            return Decision(Action.DELETE_LOCAL, "deleted at the peer, unchanged here")
        return Decision(Action.NOTHING, "deleted at the peer: the peer's own event will say so")
    # An echo never causes a write: a replica is the peer's own version, or one that the peer deleted.
    if local.is_replica:
        if state.cause is not Cause.FINDER or not state.settled:
            return Decision(Action.NOTHING, "a replica is never copied back")
        if state.unmatched:
            return Decision(Action.PUSH, "no ledger has a proof of it: union, for a deletion would need one")
        return Decision(Action.MARK_UNMATCHED, "no proof of it here: the peer's finder may have one")
    return Decision(Action.PUSH, "new here")


def _only_there(state: KeyState, remote: ObservedVersion) -> Decision:
    entry = state.entry
    by_user = state.cause is Cause.REMOVED or (state.cause is Cause.FINDER and state.may_delete)
    if _zombie_there(state, remote):
        return Decision(Action.DELETE_REMOTE, "a copy that arrived after its deletion")
    # A deletion here is applied only to the version that both sides held.
    if entry.synced is not None and remote.version == entry.synced.version:
        if by_user and state.deletions_travel and not state.stale:
            if state.order_unknown and state.attempt < WAIT_ATTEMPTS_IN_A_TIE:
                return Decision(Action.WAIT, "deleted here, or expired: the event of its arrival may say which")
            return Decision(Action.DELETE_REMOTE, "deleted here, unchanged at the peer")
        return Decision(Action.NOTHING, "gone here: the deletion's own event will say so")
    if entry.expired is not None and remote.version == entry.expired.version:
        if state.cause is Cause.REMOVED and not state.version_removed and state.deletions_travel and not state.stale:
            return Decision(
                Action.DELETE_REMOTE, "deleted here after an earlier version expired, unchanged at the peer"
            )
        return Decision(Action.NOTHING, "expired here by a lifecycle rule, kept at the peer")
    own_replica = remote.is_replica and remote.version.origin is state.side
    if own_replica and entry.last_deletion and not entry.was_deleted(remote.version) and state.deletions_travel:
        return Decision(
            Action.DELETE_REMOTE, "a version of this side that was deleted here before its copy was recorded"
        )
    return Decision(Action.NOTHING, "new at the peer: the peer's own event will say so")


def _both(state: KeyState, local: ObservedVersion, remote: ObservedVersion) -> Decision:
    # Both sides must use one name per version, or each would copy to the other without end.
    if local.version == remote.version or names_other(state.side, local, remote) is not None:
        return Decision(Action.RECORD_SYNCED, "both hold this version")
    if _same_object(state, local.head, remote.head):
        return Decision(Action.RECORD_SYNCED, "the same content on both sides")
    if _has_replaced(state, local, remote):
        return _undo_replacement(state)
    if _is_same(state, local):
        former = remote.is_replica and remote.version.origin is state.side and not _arrived_long_after(local, remote)
        # Pulled under its name, a copy of a deleted version would have what it replaced deleted on both sides.
        if former or (state.cause is Cause.FINDER and _zombie_there(state, remote)):
            return _decide_crossed(state, local, remote) if local.is_replica else Decision(Action.PUSH, _FORMER)
        if state.cause is Cause.FINDER:
            return Decision(Action.PULL, "changed at the peer, unchanged here")
        return Decision(Action.NOTHING, "changed at the peer: the peer's own event will say so")
    # The user here wrote over the version that the peer still holds: no conflict.
    if _is_same(state, remote) and not local.is_replica:
        return Decision(Action.PUSH, "changed here, unchanged at the peer")
    if _zombie_there(state, remote) and (not local.is_replica or _is_deletion_confirmed(state, remote)):
        if local.is_replica:
            return Decision(Action.DELETE_REMOTE, "a copy that arrived after its deletion")
        return Decision(Action.PUSH, "over a copy that arrived after its deletion")
    if local.is_replica and not remote.is_replica:
        return Decision(Action.NOTHING, "a replica here, newer content at the peer: the peer's own event will say so")
    if not local.is_replica and remote.is_replica and remote.version.origin is state.side:
        return Decision(Action.PUSH, _FORMER)
    return _decide_conflict(state, local, remote)


def names_other(side: SideName, local: ObservedVersion, remote: ObservedVersion) -> OriginVersion | None:
    """Return the version of a replica that names exactly what the other side shows, whatever stamp that carries itself.

    A user's copy of a replica onto itself keeps the replica's stamp, and only its own side's events tell it apart.
    """
    for copy, original, origin in ((local, remote, side.peer), (remote, local, side)):
        shown = (original.head.etag, original.head.modified)
        if copy.is_replica and copy.version.origin is origin and copy.version.etag_and_modified == shown:
            return copy.version
    return None


_FORMER = "the peer holds a former version of this side"
_BOTH_DELETED = Decision(Action.DELETE_BOTH, "both were deleted while their copies crossed")


def _decide_crossed(state: KeyState, local: ObservedVersion, remote: ObservedVersion) -> Decision:
    """Decide when each side holds a replica of the other's version: both workers wrote after users had changed the key.

    The peer's version was there when it was copied here, and ours is there now. So the peer's was deleted there, or
    ours was written over it. If ours was deleted here, both are deleted, as far as this side wrote ours there itself.
    Otherwise only a stamp says so, which any principal that may write there can forge.
    """
    own = remote.version == state.unrecorded or _is_write_over_local(state, remote)
    if own and (_zombie_there(state, remote) or _was_deleted_before(state, local, remote)):
        return _BOTH_DELETED
    patience = (
        WAIT_ATTEMPTS_IN_A_TIE
        if wins(local.version, remote.version, state.policy)
        else WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN
    )
    if state.attempt < patience:
        return Decision(Action.WAIT, f"{_FORMER}: a deletion on its way may say more")
    return Decision(Action.PUSH, _FORMER)


def _is_write_over_local(state: KeyState, remote: ObservedVersion) -> bool:
    """Return True if this side wrote ours over the version that is here now.

    Either the ledger recorded that write, or the version had arrived here before ours.
    """
    entry, previous, synced = state.entry, state.entry.previous, state.entry.synced
    if previous is None or synced is None:
        return False
    if previous.version != remote.version or not matches_copy(remote.head, previous.remote):
        return False
    recorded = entry.overwrite == AnnouncedWrite(remote.version, synced.version)
    return (recorded and not state.expires) or entry.arrived_twice


def _has_replaced(state: KeyState, local: ObservedVersion, remote: ObservedVersion) -> bool:
    """Return True if a copy of a version that is gone here has replaced the version there that is a copy here now.

    The ledger announced that write, or the one that undoes it, which may have failed. So the peer's version was there
    until ours arrived, and its copy could only arrive here because ours was gone. Where lifecycle rules expire objects,
    a user need not have deleted it.
    """
    pending = state.entry.pending
    return (
        pending is not None
        and local.is_replica
        and remote.is_replica
        and {remote.version, local.version} == {pending.version, pending.replaced}
        and state.deletions_travel
        and not state.expires
    )


def _undo_replacement(state: KeyState) -> Decision:
    if state.attempt < WAIT_ATTEMPTS:
        return Decision(Action.WAIT, "our copy replaced the peer's version, and is gone here: an echo may say more")
    return Decision(Action.PUSH, "back over a copy that arrived after its deletion")


def _arrived_long_after(local: ObservedVersion, remote: ObservedVersion) -> bool:
    """Return True if it arrived there so long after ours arrived here that no worker wrote it.

    Then a user brought an old version back by copying it with its stamp: an edit at the peer.
    """
    return local.is_replica and remote.head.modified - local.head.modified > CROSSING_SECONDS


def _was_deleted_before(state: KeyState, local: ObservedVersion, remote: ObservedVersion) -> bool:
    """Return True if times prove that this version of ours was deleted before what is here now arrived."""
    died = state.entry.deleted_at if state.entry.last_deletion and state.deletions_travel else 0
    return remote.version.modified <= died <= local.head.modified and not _in_parts(remote)


def _decide_conflict(state: KeyState, local: ObservedVersion, remote: ObservedVersion) -> Decision:
    users = not local.is_replica and not remote.is_replica
    crossed = local.is_replica and remote.is_replica and remote.version.origin is state.side
    if crossed and remote.version == state.unrecorded and _was_deleted_before(state, local, remote):
        return _BOTH_DELETED
    if users and state.same_content is None and _may_be_seeded(state, local.head, remote.head):
        return Decision(Action.COMPARE, "first contact: both sides may hold the same content in other parts")
    tie = local.version.modified == remote.version.modified or _in_parts(local) or _in_parts(remote) or crossed
    ours = wins(local.version, remote.version, state.policy)
    overruled = ours != is_newer(local.version, remote.version)  # the later one loses: it may have seen the other
    if state.attempt < (
        WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN
        if state.may_have_written
        else WAIT_ATTEMPTS_IN_A_TIE
        if tie or overruled
        else WAIT_ATTEMPTS
    ):
        return Decision(Action.WAIT, "both sides changed: an event on its way may say that one had seen the other")
    if ours:
        return Decision(Action.PUSH, "conflict: this side's version wins", remote.version if users else None)
    loser = local.version if users else None
    if state.cause is Cause.FINDER and remote.is_replica:
        return Decision(Action.PULL, "conflict: the peer's version wins", loser)
    return Decision(Action.NOTHING, "conflict: the peer's version wins and the peer will write it", loser)


def _in_parts(observed: ObservedVersion) -> bool:
    """Return True for a multipart upload: it bears the time of its start, and replaces what exists at its end."""
    return is_in_parts(observed.version.etag_and_modified[0])


def _is_deletion_confirmed(state: KeyState, remote: ObservedVersion) -> bool:
    """Return True if this bucket showed nothing after the deletion of what the peer holds: an event can be forged."""
    return remote.version == state.unrecorded or remote.version.modified <= state.entry.deleted_at


def _is_same(state: KeyState, observed: ObservedVersion) -> bool:
    return state.entry.synced is not None and observed.version == state.entry.synced.version


def _same_object(state: KeyState, a: ObjectHead, b: ObjectHead) -> bool:
    if a.size != b.size:
        return False
    if state.first_contact is FirstContact.SIZE and _is_first_contact(state.entry):
        return True
    return (a.etag == b.etag or state.same_content is True) and _same_attributes(state, a, b)


def _same_attributes(state: KeyState, a: ObjectHead, b: ObjectHead) -> bool:
    of_a, of_b = (select_carried(head.attributes, include_metadata=state.include_metadata) for head in (a, b))
    return of_a == of_b


def _is_first_contact(entry: LedgerEntry) -> bool:
    """Return True if the ledger has no record that the sides ever held the same version of the key."""
    return entry.synced is None and entry.expired is None and not entry.deleted_versions


def _may_be_seeded(state: KeyState, a: ObjectHead, b: ObjectHead) -> bool:
    """Return True for objects that may have been copied outside of this program: only their ETags differ."""
    return _is_first_contact(state.entry) and a.size == b.size and _same_attributes(state, a, b)


def _zombie_here(state: KeyState, local: ObservedVersion) -> bool:
    """Return True for a replica of a deleted version with another time than it had then: it was written again.

    With its former time it is the former object, brought back by a user who removed a delete marker.
    """
    if not local.is_replica or not state.deletions_travel:
        return False
    return state.entry.was_rewritten(local.version, local.head.modified)


def _may_delete_remote(state: KeyState, local: ObservedVersion, remote: ObservedVersion | None) -> bool:
    """Return True if the peer's object may be lost after a deletion here: it is none that a stamp here can condemn."""
    if remote is None or remote.version == local.version:
        return True
    return remote.is_replica and not _is_same(state, remote)


def _zombie_there(state: KeyState, remote: ObservedVersion) -> bool:
    """Return True for the same at the peer, by the time of the deletion: what is older was brought back by a user."""
    if not remote.is_replica or not state.deletions_travel:
        return False
    if state.entry.expired is not None and remote.version == state.entry.expired.version:
        return False
    if remote.version.origin is state.side and remote.version.etag_and_modified[0] == state.superseded_etag:
        return True
    if remote.version == state.unrecorded and state.local is None and state.entry.synced is None:
        return state.entry.expired is None and remote.version.modified < state.entry.deleted_at
    return state.entry.was_deleted(remote.version) and remote.head.modified >= state.entry.deleted_at
