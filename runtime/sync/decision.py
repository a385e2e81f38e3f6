"""One decision over what is here now, what is there, and what both sides last agreed on.

Pure: no clock, no service. `decide` is a truth table read from top to bottom;
`tests/unit/runtime/sync/test_decision.py` names each row.
A *replica* is an object with a valid stamp: some worker wrote it, no user. *Same* means: what the ledger says that both
sides agreed on; *new*: anything else. A version is always the other side's business as long as we hold what was agreed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.conflict_order import newer, wins
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import Attributes, ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import ConflictPolicy, SideName

WAIT_ATTEMPTS, WAIT_ATTEMPTS_IN_A_TIE, WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN = 1, 4, 5
"""So many looks come before a contest is settled: an echo that is still in the queue may say that there is none, that
one version was written over the other. Within one second that is the only way to tell, and a killed worker's message
must come back first; who may have written before without knowing it leaves the first word to the other side."""


CROSSING_SECONDS = 3600
"""Copies that cross were written at about the same time; a call that takes longer has long been given up."""


class Action(StrEnum):
    """What to do. All writes are conditional on exactly what was seen."""

    NOTHING = "nothing"
    RECORD_SYNCED = "agree"
    """Both hold the same version: only the ledger is caught up."""
    RECORD_TOMBSTONE = "bury"
    """Neither holds anything: the ledger keeps a tombstone."""
    PUSH = "push"
    """Write the local version to the peer."""
    WAIT = "wait"
    """Not yet: an event on its way may still say who had seen what."""
    PULL = "pull"
    """Write the peer's version here, with this side's own role."""
    DELETE_REMOTE = "delete-remote"
    DELETE_LOCAL = "delete-local"
    DELETE_BOTH = "delete-both"
    MARK_UNMATCHED = "note"
    """Only remember that the object here stood alone; the next finder's run that sees it so may act."""


@dataclass(frozen=True, slots=True)
class ObservedVersion:
    """An object that one bucket shows, and which version it is."""

    head: ObjectHead
    version: OriginVersion
    is_replica: bool


@dataclass(frozen=True, slots=True)
class KeyState:
    """All that a decision may look at.

    `cause` is why the key is looked at; `attempt` counts the looks before this one; `deletion` says that a finding may
    delete; `deletions_travel` is false when only creations are synchronised. `settled`: what is here is older than any
    write under way can be. `stale`: the event is older than what it would act on. `alone`: an earlier run of the finder
    saw it here and nothing there, too. `spent` is the ETag of a version of this side that a user deleted or replaced
    since. `permanent`: one version was removed by its id. `unsure`: this look may have written before; `wrote` is what
    it surely wrote and could not record.
    """

    side: SideName
    cause: Cause
    attempt: int
    entry: LedgerEntry
    local: ObservedVersion | None
    remote: ObservedVersion | None
    policy: ConflictPolicy = ConflictPolicy.NEWEST
    may_delete: bool = False
    deletions_travel: bool = True
    settled: bool = False
    stale: bool = False
    unmatched: bool = False
    superseded_etag: str = ""
    may_have_written: bool = False
    version_removed: bool = False
    unrecorded: OriginVersion | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why. `loser` is set when users of both sides wrote without knowing of each other."""

    action: Action
    reason: str
    loser: OriginVersion | None = None


def decide(view: KeyState) -> Decision:
    """The truth table."""
    local, remote = view.local, view.remote
    if local is not None and _zombie_here(view, local):
        return Decision(Action.DELETE_LOCAL, "a copy that arrived after its deletion")
    if local is not None and remote is not None:
        return _both(view, local, remote)
    if local is not None:
        return _only_here(view, local)
    if remote is not None:
        return _only_there(view, remote)
    return Decision(Action.RECORD_TOMBSTONE, "gone on both sides")


def _only_here(view: KeyState, local: ObservedVersion) -> Decision:
    if _is_same(view, local):
        if view.cause is Cause.FINDER and view.may_delete and view.deletions_travel:
            return Decision(Action.DELETE_LOCAL, "deleted at the peer, unchanged here")
        return Decision(Action.NOTHING, "deleted at the peer: the peer's own event will say so")
    if local.is_replica:
        if view.cause is not Cause.FINDER or not view.settled:
            return Decision(Action.NOTHING, "a replica is never copied back")
        if view.unmatched:
            return Decision(Action.PUSH, "no ledger has a proof of it: union, for a deletion would need one")
        return Decision(Action.MARK_UNMATCHED, "no proof of it here: the peer's finder may have one")
    return Decision(Action.PUSH, "new here")


def _only_there(view: KeyState, remote: ObservedVersion) -> Decision:
    entry = view.entry
    by_user = view.cause is Cause.REMOVED or (view.cause is Cause.FINDER and view.may_delete)
    if _zombie_there(view, remote):
        return Decision(Action.DELETE_REMOTE, "a copy that arrived after its deletion")
    if entry.synced is not None and remote.version == entry.synced.version:
        if by_user and view.deletions_travel and not view.stale:
            return Decision(Action.DELETE_REMOTE, "deleted here, unchanged at the peer")
        return Decision(Action.NOTHING, "gone here: the deletion's own event will say so")
    if entry.expired is not None and remote.version == entry.expired.version:
        if view.cause is Cause.REMOVED and not view.version_removed and view.deletions_travel and not view.stale:
            return Decision(
                Action.DELETE_REMOTE, "deleted here after an earlier version expired, unchanged at the peer"
            )
        return Decision(Action.NOTHING, "expired here by a lifecycle rule, kept at the peer")
    own_replica = remote.is_replica and remote.version.origin is view.side
    if own_replica and entry.last_deletion and not entry.was_deleted(remote.version) and view.deletions_travel:
        return Decision(
            Action.DELETE_REMOTE, "a version of this side that was deleted here before its copy was recorded"
        )
    return Decision(Action.NOTHING, "new at the peer: the peer's own event will say so")


def _both(view: KeyState, local: ObservedVersion, remote: ObservedVersion) -> Decision:
    if local.version == remote.version:
        return Decision(Action.RECORD_SYNCED, "both hold this version")
    if _same_content(local.head, remote.head):
        return Decision(Action.RECORD_SYNCED, "the same content on both sides")
    if _is_same(view, local):
        if remote.is_replica and remote.version.origin is view.side and not _long_after(local, remote):
            return _crossed(view, local, remote) if local.is_replica else Decision(Action.PUSH, _FORMER)
        if view.cause is Cause.FINDER:
            return Decision(Action.PULL, "changed at the peer, unchanged here")
        return Decision(Action.NOTHING, "changed at the peer: the peer's own event will say so")
    if _is_same(view, remote) and not local.is_replica:
        return Decision(Action.PUSH, "changed here, unchanged at the peer")
    if _zombie_there(view, remote):
        if local.is_replica:
            return Decision(Action.DELETE_REMOTE, "a copy that arrived after its deletion")
        return Decision(Action.PUSH, "over a copy that arrived after its deletion")
    if local.is_replica and not remote.is_replica:
        return Decision(Action.NOTHING, "a replica here, newer content at the peer: the peer's own event will say so")
    if not local.is_replica and remote.is_replica and remote.version.origin is view.side:
        return Decision(Action.PUSH, _FORMER)
    return _contest(view, local, remote)


_FORMER = "the peer holds a former version of this side"
_BOTH_DELETED = Decision(Action.DELETE_BOTH, "both were deleted while their copies crossed")


def _crossed(view: KeyState, local: ObservedVersion, remote: ObservedVersion) -> Decision:
    """Each side holds a replica of the other's: both workers wrote when users had moved on.

    The peer's version came here while it was there; ours stands there now, so the peer's was deleted there, or ours
    was written over it as a conflict's winner. If ours was deleted here, then both are gone.
    """
    if _zombie_there(view, remote) or _outlived(view, local, remote):
        return _BOTH_DELETED
    patience = (
        WAIT_ATTEMPTS_IN_A_TIE
        if wins(local.version, remote.version, view.policy)
        else WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN
    )
    if view.attempt < patience:
        return Decision(Action.WAIT, f"{_FORMER}: a deletion on its way may say more")
    return Decision(Action.PUSH, _FORMER)


def _long_after(local: ObservedVersion, remote: ObservedVersion) -> bool:
    """Did it come there so long after ours came here that no worker wrote it? Then a user brought an old version back
    by copying it, stamp and all: the peer's edit."""
    return local.is_replica and remote.head.modified - local.head.modified > CROSSING_SECONDS


def _outlived(view: KeyState, local: ObservedVersion, remote: ObservedVersion) -> bool:
    """Was this version of ours, of which only the time is known, gone from here before what is here now arrived?"""
    died = view.entry.deleted_at if view.entry.last_deletion and view.deletions_travel else 0
    return remote.version.modified <= died <= local.head.modified and not _in_parts(remote)


def _contest(view: KeyState, local: ObservedVersion, remote: ObservedVersion) -> Decision:
    users = not local.is_replica and not remote.is_replica
    crossed = local.is_replica and remote.is_replica and remote.version.origin is view.side
    if crossed and _outlived(view, local, remote):
        return _BOTH_DELETED
    tie = local.version.modified == remote.version.modified or _in_parts(local) or _in_parts(remote) or crossed
    ours = wins(local.version, remote.version, view.policy)
    overruled = ours != newer(local.version, remote.version)  # the later one loses: it may have seen the other
    if view.attempt < (
        WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN
        if view.may_have_written
        else WAIT_ATTEMPTS_IN_A_TIE
        if tie or overruled
        else WAIT_ATTEMPTS
    ):
        return Decision(Action.WAIT, "both sides changed: an event on its way may say that one had seen the other")
    if ours:
        return Decision(Action.PUSH, "conflict: this side's version wins", remote.version if users else None)
    loser = local.version if users else None
    if view.cause is Cause.FINDER and remote.is_replica:
        return Decision(Action.PULL, "conflict: the peer's version wins", loser)
    return Decision(Action.NOTHING, "conflict: the peer's version wins and the peer will write it", loser)


def _in_parts(sighting: ObservedVersion) -> bool:
    """An upload in parts bears the time of its beginning, and replaces what it meets at its end."""
    return "-" in sighting.version.shown[0]


def _is_same(view: KeyState, sighting: ObservedVersion) -> bool:
    return view.entry.synced is not None and sighting.version == view.entry.synced.version


def _same_content(a: ObjectHead, b: ObjectHead) -> bool:
    return a.etag == b.etag and a.size == b.size and _carried(a) == _carried(b)


def _carried(seen: ObjectHead) -> Attributes:
    return replace(seen.attributes, storage_class="")  # each side has its own


def _zombie_here(view: KeyState, local: ObservedVersion) -> bool:
    """A replica of a version that was deleted, with another time than it had then: it was written again.

    With its former time it is the former object, brought back by a user who removed a delete marker.
    """
    if not local.is_replica or not view.deletions_travel:
        return False
    return any(
        d.version == local.version and d.local.modified not in (None, local.head.modified)
        for d in view.entry.deleted_versions
    )


def _zombie_there(view: KeyState, remote: ObservedVersion) -> bool:
    """The same at the peer, told by the time of the deletion: what is older was brought back by a user."""
    if not remote.is_replica or not view.deletions_travel:
        return False
    if remote.version.origin is view.side and remote.version.shown[0] == view.superseded_etag:
        return True
    if remote.version == view.unrecorded and view.local is None and view.entry.synced is None:
        return view.entry.expired is None and remote.version.modified < view.entry.deleted_at
    return view.entry.was_deleted(remote.version) and remote.head.modified >= view.entry.deleted_at
