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
from dualsync.runtime.model.ledger_entry import Entry
from dualsync.runtime.model.objects import Attributes, Seen
from dualsync.runtime.model.origin_version import Identity
from dualsync.runtime.settings import ConflictPolicy, SideName

PATIENCE, PATIENCE_IN_A_TIE, PATIENCE_UNSURE = 1, 4, 5
"""So many looks come before a contest is settled: an echo that is still in the queue may say that there is none, that
one version was written over the other. Within one second that is the only way to tell, and a killed worker's message
must come back first; who may have written before without knowing it leaves the first word to the other side."""


CROSSING_SECONDS = 3600
"""Copies that cross were written at about the same time; a call that takes longer has long been given up."""


class Deed(StrEnum):
    """What to do. All writes are conditional on exactly what was seen."""

    NOTHING = "nothing"
    AGREE = "agree"
    """Both hold the same version: only the ledger is caught up."""
    BURY = "bury"
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
    NOTE = "note"
    """Only remember that the object here stood alone; the next finder's run that sees it so may act."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """An object that one bucket shows, and which version it is."""

    seen: Seen
    identity: Identity
    replica: bool


@dataclass(frozen=True, slots=True)
class View:
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
    entry: Entry
    local: Sighting | None
    remote: Sighting | None
    policy: ConflictPolicy = ConflictPolicy.NEWEST
    deletion: bool = False
    deletions_travel: bool = True
    settled: bool = False
    stale: bool = False
    alone: bool = False
    spent: str = ""
    unsure: bool = False
    permanent: bool = False
    wrote: Identity | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why. `loser` is set when users of both sides wrote without knowing of each other."""

    deed: Deed
    reason: str
    loser: Identity | None = None


def decide(view: View) -> Decision:
    """The truth table."""
    local, remote = view.local, view.remote
    if local is not None and _zombie_here(view, local):
        return Decision(Deed.DELETE_LOCAL, "a copy that arrived after its deletion")
    if local is not None and remote is not None:
        return _both(view, local, remote)
    if local is not None:
        return _only_here(view, local)
    if remote is not None:
        return _only_there(view, remote)
    return Decision(Deed.BURY, "gone on both sides")


def _only_here(view: View, local: Sighting) -> Decision:
    if _is_same(view, local):
        if view.cause is Cause.FINDING and view.deletion and view.deletions_travel:
            return Decision(Deed.DELETE_LOCAL, "deleted at the peer, unchanged here")
        return Decision(Deed.NOTHING, "deleted at the peer: the peer's own event will say so")
    if local.replica:
        if view.cause is not Cause.FINDING or not view.settled:
            return Decision(Deed.NOTHING, "a replica is never copied back")
        if view.alone:
            return Decision(Deed.PUSH, "no ledger has a proof of it: union, for a deletion would need one")
        return Decision(Deed.NOTE, "no proof of it here: the peer's finder may have one")
    return Decision(Deed.PUSH, "new here")


def _only_there(view: View, remote: Sighting) -> Decision:
    entry = view.entry
    by_user = view.cause is Cause.REMOVED or (view.cause is Cause.FINDING and view.deletion)
    if _zombie_there(view, remote):
        return Decision(Deed.DELETE_REMOTE, "a copy that arrived after its deletion")
    if entry.agreed is not None and remote.identity == entry.agreed.identity:
        if by_user and view.deletions_travel and not view.stale:
            return Decision(Deed.DELETE_REMOTE, "deleted here, unchanged at the peer")
        return Decision(Deed.NOTHING, "gone here: the deletion's own event will say so")
    if entry.expired is not None and remote.identity == entry.expired.identity:
        if view.cause is Cause.REMOVED and not view.permanent and view.deletions_travel and not view.stale:
            return Decision(Deed.DELETE_REMOTE, "deleted here after an earlier version expired, unchanged at the peer")
        return Decision(Deed.NOTHING, "expired here by a lifecycle rule, kept at the peer")
    own_replica = remote.replica and remote.identity.origin is view.side
    if own_replica and entry.deleted and not entry.is_dead(remote.identity) and view.deletions_travel:
        return Decision(Deed.DELETE_REMOTE, "a version of this side that was deleted here before its copy was recorded")
    return Decision(Deed.NOTHING, "new at the peer: the peer's own event will say so")


def _both(view: View, local: Sighting, remote: Sighting) -> Decision:
    if local.identity == remote.identity:
        return Decision(Deed.AGREE, "both hold this version")
    if _same_content(local.seen, remote.seen):
        return Decision(Deed.AGREE, "the same content on both sides")
    if _is_same(view, local):
        if remote.replica and remote.identity.origin is view.side and not _long_after(local, remote):
            return _crossed(view, local, remote) if local.replica else Decision(Deed.PUSH, _FORMER)
        if view.cause is Cause.FINDING:
            return Decision(Deed.PULL, "changed at the peer, unchanged here")
        return Decision(Deed.NOTHING, "changed at the peer: the peer's own event will say so")
    if _is_same(view, remote) and not local.replica:
        return Decision(Deed.PUSH, "changed here, unchanged at the peer")
    if _zombie_there(view, remote):
        if local.replica:
            return Decision(Deed.DELETE_REMOTE, "a copy that arrived after its deletion")
        return Decision(Deed.PUSH, "over a copy that arrived after its deletion")
    if local.replica and not remote.replica:
        return Decision(Deed.NOTHING, "a replica here, newer content at the peer: the peer's own event will say so")
    if not local.replica and remote.replica and remote.identity.origin is view.side:
        return Decision(Deed.PUSH, _FORMER)
    return _contest(view, local, remote)


_FORMER = "the peer holds a former version of this side"
_BOTH_DELETED = Decision(Deed.DELETE_BOTH, "both were deleted while their copies crossed")


def _crossed(view: View, local: Sighting, remote: Sighting) -> Decision:
    """Each side holds a replica of the other's: both workers wrote when users had moved on.

    The peer's version came here while it was there; ours stands there now, so the peer's was deleted there, or ours
    was written over it as a conflict's winner. If ours was deleted here, then both are gone.
    """
    if _zombie_there(view, remote) or _outlived(view, local, remote):
        return _BOTH_DELETED
    patience = PATIENCE_IN_A_TIE if wins(local.identity, remote.identity, view.policy) else PATIENCE_UNSURE
    if view.attempt < patience:
        return Decision(Deed.WAIT, f"{_FORMER}: a deletion on its way may say more")
    return Decision(Deed.PUSH, _FORMER)


def _long_after(local: Sighting, remote: Sighting) -> bool:
    """Did it come there so long after ours came here that no worker wrote it? Then a user brought an old version back
    by copying it, stamp and all: the peer's edit."""
    return local.replica and remote.seen.modified - local.seen.modified > CROSSING_SECONDS


def _outlived(view: View, local: Sighting, remote: Sighting) -> bool:
    """Was this version of ours, of which only the time is known, gone from here before what is here now arrived?"""
    died = view.entry.died if view.entry.deleted and view.deletions_travel else 0
    return remote.identity.modified <= died <= local.seen.modified and not _in_parts(remote)


def _contest(view: View, local: Sighting, remote: Sighting) -> Decision:
    users = not local.replica and not remote.replica
    crossed = local.replica and remote.replica and remote.identity.origin is view.side
    if crossed and _outlived(view, local, remote):
        return _BOTH_DELETED
    tie = local.identity.modified == remote.identity.modified or _in_parts(local) or _in_parts(remote) or crossed
    ours = wins(local.identity, remote.identity, view.policy)
    overruled = ours != newer(local.identity, remote.identity)  # the later one loses: it may have seen the other
    if view.attempt < (PATIENCE_UNSURE if view.unsure else PATIENCE_IN_A_TIE if tie or overruled else PATIENCE):
        return Decision(Deed.WAIT, "both sides changed: an event on its way may say that one had seen the other")
    if ours:
        return Decision(Deed.PUSH, "conflict: this side's version wins", remote.identity if users else None)
    loser = local.identity if users else None
    if view.cause is Cause.FINDING and remote.replica:
        return Decision(Deed.PULL, "conflict: the peer's version wins", loser)
    return Decision(Deed.NOTHING, "conflict: the peer's version wins and the peer will write it", loser)


def _in_parts(sighting: Sighting) -> bool:
    """An upload in parts bears the time of its beginning, and replaces what it meets at its end."""
    return "-" in sighting.identity.shown[0]


def _is_same(view: View, sighting: Sighting) -> bool:
    return view.entry.agreed is not None and sighting.identity == view.entry.agreed.identity


def _same_content(a: Seen, b: Seen) -> bool:
    return a.etag == b.etag and a.size == b.size and _carried(a) == _carried(b)


def _carried(seen: Seen) -> Attributes:
    return replace(seen.attributes, storage_class="")  # each side has its own


def _zombie_here(view: View, local: Sighting) -> bool:
    """A replica of a version that was deleted, with another time than it had then: it was written again.

    With its former time it is the former object, brought back by a user who removed a delete marker.
    """
    if not local.replica or not view.deletions_travel:
        return False
    return any(
        d.identity == local.identity and d.local.modified not in (None, local.seen.modified) for d in view.entry.dead
    )


def _zombie_there(view: View, remote: Sighting) -> bool:
    """The same at the peer, told by the time of the deletion: what is older was brought back by a user."""
    if not remote.replica or not view.deletions_travel:
        return False
    if remote.identity.origin is view.side and remote.identity.shown[0] == view.spent:
        return True
    if remote.identity == view.wrote and view.local is None and view.entry.agreed is None:
        return view.entry.expired is None and remote.identity.modified < view.entry.died
    return view.entry.is_dead(remote.identity) and remote.seen.modified >= view.entry.died
