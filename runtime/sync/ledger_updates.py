"""What the ledger learns: each function takes an entry and gives the next one. Pure; revisions are not theirs."""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.sequencer import latest


def record_synced(entry: LedgerEntry, agreement: SyncedVersion, look: SyncRequest, now: int) -> LedgerEntry:
    """Both sides hold this version."""
    known = entry.synced is not None and entry.synced.version == agreement.version
    first, last, until = (entry.first_event, entry.last_event, entry.interval_end) if known else ("", "", "")
    if not known and entry.previous is not None and entry.previous.version == agreement.version and entry.first_event:
        first, until = entry.previous_last_event, _next_arrival(entry, entry.previous_last_event)  # here once more
    if look.cause is Cause.CREATED and look.etag == agreement.local.etag:
        first, last = min(first or look.sequencer, look.sequencer), latest(last, look.sequencer)
    return replace(
        entry,
        synced=agreement,
        expired=None,
        previous=entry.previous if known else entry.synced,
        previous_last_event=entry.previous_last_event if known else entry.last_event,
        deleted_versions=tuple(d for d in entry.deleted_versions if d.version != agreement.version),
        sequencer=latest(entry.sequencer, look.sequencer),
        first_event=first,
        last_event=last,
        interval_end=until,
        updated=now,
    )


def record_tombstone(entry: LedgerEntry, look: SyncRequest, now: int, *, by_user: bool) -> LedgerEntry:
    """Neither side holds the key: a tombstone that names what was deleted. `by_user`: deleted here, by a user."""
    return replace(
        entry,
        synced=None,
        expired=None,
        deleted_versions=entry.with_deleted(entry.synced or entry.expired),
        sequencer=latest(entry.sequencer, look.sequencer),
        last_deletion=latest(entry.last_deletion, look.sequencer) if by_user else entry.last_deletion,
        deleted_at=max(entry.deleted_at, int(look.event_time) or now),
        updated=now,
    )


def record_user_deletion(
    entry: LedgerEntry, look: SyncRequest, now: int, *, present: bool = False, here: bool = False
) -> LedgerEntry:
    """A user deleted something here; what the peer holds is not decided yet, or a later version is here.

    The agreed version, had it arrived before and is not `present`, is what was deleted. It stays the belief of what the
    peer holds. While anything is `here`, the permanent removal of one version says nothing of the others.
    """
    hit = None
    if not present and "" < entry.first_event <= entry.last_event < look.sequencer:
        hit = entry.synced
    elif "" < entry.previous_last_event < look.sequencer:
        hit = entry.previous
    return replace(
        entry,
        deleted_versions=entry.with_deleted(hit),
        sequencer=latest(entry.sequencer, look.sequencer),
        last_deletion=entry.last_deletion
        if look.version_removed and (here or present)
        else latest(entry.last_deletion, look.sequencer),
        deleted_at=max(entry.deleted_at, int(look.event_time)),
        updated=now,
    )


def record_late_creation(entry: LedgerEntry, look: SyncRequest) -> LedgerEntry:
    """What a user's creation tells late: when the version before the agreed one had come, and so whether a later
    deletion here was its."""
    former, mark = entry.previous, look.sequencer
    if (
        look.cause is not Cause.CREATED
        or former is None
        or entry.previous_last_event
        or look.etag != former.local.etag
        or not mark
    ):
        return entry
    if entry.first_event and entry.first_event <= mark:
        return entry
    hit = (
        former
        if mark < entry.last_deletion and (not entry.first_event or entry.last_deletion < entry.first_event)
        else None
    )
    return replace(entry, previous_last_event=mark, deleted_versions=entry.with_deleted(hit))


def was_current_in_between(entry: LedgerEntry, mark: str) -> bool:
    """Was what arrived at `mark` here before the agreed version came (last), and after all else that is known?"""
    return mark < entry.last_event and (entry.previous is None or entry.previous_last_event < mark)


def record_earlier_version(entry: LedgerEntry, agreement: SyncedVersion, look: SyncRequest) -> LedgerEntry:
    """A late echo: this version was here before the agreed one. Should it come again, a deletion in between was its."""
    dead = look.sequencer < entry.last_deletion < _next_arrival(entry, look.sequencer)
    noted = replace(entry, previous=agreement, previous_last_event=look.sequencer)
    return replace(noted, deleted_versions=noted.with_deleted(agreement)) if dead else noted


def _next_arrival(entry: LedgerEntry, mark: str) -> str:
    """When the agreed version came after what was here at `mark`: its first arrival, or its last."""
    return entry.first_event if mark < entry.first_event else entry.last_event


def record_undelete(entry: LedgerEntry, look: SyncRequest, here: ObjectHead) -> LedgerEntry:
    """A user removed the delete marker, or the version, over an older one that is `here` now: had it gone before, then
    it was dead. Its echo may not have been read yet: then only the times say so."""
    user = look.actor is Actor.USER and look.cause is Cause.REMOVED and look.version_removed
    if not user or here.stamp is None or not here.modified < entry.deleted_at:
        return entry
    held = CopyState(here.etag, here.modified)
    if any(d.local == held for d in entry.deleted_versions) or (
        entry.synced is not None and entry.synced.local == held
    ):
        return entry
    return replace(entry, deleted_versions=entry.with_deleted(SyncedVersion(here.stamp.version, held, CopyState(""))))


def record_expiration(entry: LedgerEntry, look: SyncRequest, now: int) -> LedgerEntry:
    """A lifecycle rule took the object from here; the peer keeps its own."""
    return replace(
        entry,
        synced=None,
        expired=entry.synced or entry.expired,
        sequencer=latest(entry.sequencer, look.sequencer),
        updated=now,
    )
