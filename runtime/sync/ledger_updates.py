"""Update a ledger entry: each function takes an entry and returns the next one. Pure; revisions are left alone."""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.arrival import latest_arrival
from dualsync.runtime.model.carried_attributes import digest
from dualsync.runtime.model.identify import matches_copy, object_mark
from dualsync.runtime.model.ledger_entry import AnnouncedWrite, CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.sequencer import earliest, latest


def record_synced(
    entry: LedgerEntry, synced: SyncedVersion, request: SyncRequest, now: int, *, here: ObjectHead | None = None
) -> LedgerEntry:
    """Record that both sides hold this version; `here` is the local copy, if it was read."""
    current = entry.synced or entry.expired
    former = next((v for v in (current, entry.previous) if v is not None and v.version == synced.version), None)
    known = former is not None and former is current
    pending = entry.pending  # a worker may still be at a write over what both sides hold by now
    first, last, until = (entry.first_event, entry.last_event, entry.interval_end) if known else ("", "", "")
    if not known and former is not None and entry.first_event:
        first, until = entry.previous_last_event, _next_arrival(entry, entry.previous_last_event)  # here once more
    earlier = [
        entry.first_modified if known else None,
        former.local.modified if former else None,
        synced.local.modified,
    ]
    first_modified = min((time for time in earlier if time is not None), default=None)
    if request.cause is Cause.CREATED and request.etag == synced.local.etag:
        first, last = earliest(first, request.sequencer), latest(last, request.sequencer)
    return replace(
        entry,
        synced=synced,
        expired=None,
        pending=pending if pending is not None and pending.replaced == synced.version else None,
        overwrite=pending if pending is not None and pending.version == synced.version else entry.overwrite,
        echoed="",
        previous=entry.previous if known else entry.synced,
        previous_last_event=entry.previous_last_event if known else entry.last_event,
        deleted_versions=tuple(d for d in entry.deleted_versions if d.version != synced.version),
        sequencer=latest(entry.sequencer, request.sequencer),
        first_event=first,
        last_event=last,
        first_modified=first_modified,
        second_copy=(known and entry.second_copy) or (former is not None and _is_other_copy(former.local, here)),
        interval_end=until,
        attributes=digest(here.attributes) if here is not None else entry.attributes if known else "",
        updated=now,
    )


def _is_other_copy(recorded: CopyState, here: ObjectHead | None) -> bool:
    """Return True if what is here is another copy of its version than the recorded one. It may bear an earlier time."""
    return here is not None and not matches_copy(here, recorded)


def record_pending(entry: LedgerEntry, version: OriginVersion, replaced: OriginVersion | None) -> LedgerEntry:
    """Record that `version` is about to be written over the peer's `replaced`. None means that nothing is there.

    Another worker may still be at an earlier attempt. So what was there is only certain if all of them met the same.
    """
    former = entry.pending
    if former is not None and former.version == version and former.replaced != replaced:
        replaced = None
    return replace(entry, pending=AnnouncedWrite(version, replaced))


def record_tombstone(entry: LedgerEntry, request: SyncRequest, now: int, *, by_user: bool) -> LedgerEntry:
    """Record that neither side holds the key: a tombstone that names what was deleted.

    `by_user` is True if a user deleted it here.
    """
    return replace(
        entry,
        synced=None,
        expired=None,
        pending=None,
        overwrite=None,
        echoed="",
        attributes="",
        deleted_versions=entry.with_deleted(entry.synced or entry.expired),
        sequencer=latest(entry.sequencer, request.sequencer),
        last_deletion=latest(entry.last_deletion, request.sequencer) if by_user else entry.last_deletion,
        deleted_at=max(entry.deleted_at, int(request.event_time) or now),
        updated=now,
    )


def record_user_deletion(
    entry: LedgerEntry, request: SyncRequest, now: int, *, present: bool = False, here: ObjectHead | None = None
) -> LedgerEntry:
    """Record that a user deleted something here; what the peer holds is not decided yet, or a later version is here.

    The synced version is what was deleted, if it arrived before and is not `present`. It remains what the peer is
    believed to hold. While any object is `here`, the permanent removal of one version does not concern the others.
    """
    hit, synced, previous = None, entry.synced, entry.previous
    shown = present or here is not None
    after = here.modified if here is not None else None
    ordered = "" < entry.first_event <= entry.last_event < request.sequencer
    if not present and (ordered or (not entry.last_event and _is_between(request, synced, after))):
        hit = synced
    elif "" < entry.previous_last_event < request.sequencer or (
        synced is not None and not entry.previous_last_event and _is_between(request, previous, synced.local.modified)
    ):
        hit = previous
    return replace(
        entry,
        deleted_versions=entry.with_deleted(hit),
        sequencer=latest(entry.sequencer, request.sequencer),
        last_deletion=entry.last_deletion
        if request.version_removed and shown
        else latest(entry.last_deletion, request.sequencer),
        # Only an absence that this bucket confirms makes the event's time that of a deletion: an event can be forged.
        deleted_at=entry.deleted_at if shown else max(entry.deleted_at, int(request.event_time)),
        updated=now,
    )


def _is_between(request: SyncRequest, version: SyncedVersion | None, after: int | None) -> bool:
    """Return True if times prove a deletion of this version or of what replaced it, before something else arrived.

    Its events may be missing, since a request that acted on an earlier one may have written it. The removal of a
    version by its id may be of an older one.
    """
    if version is None or version.local.modified is None or after is None or request.version_removed:
        return False
    return latest_arrival(version.local.etag, version.local.modified) < int(request.event_time) < after


def record_late_creation(entry: LedgerEntry, request: SyncRequest) -> LedgerEntry:
    """Record what the late event of a user's creation proves.

    It tells when the version before the synced one arrived, and so whether a later deletion here was of that version.
    """
    former, mark = entry.previous, request.sequencer
    if (
        request.cause is not Cause.CREATED
        or former is None
        or entry.previous_last_event
        or request.etag != former.local.etag
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


def record_arrival(entry: LedgerEntry, request: SyncRequest) -> LedgerEntry:
    """Record when the synced version arrived, by its event, when it is not here any more.

    That orders the deletions of the key. It counts as the version's first arrival if this bucket has shown the copy,
    which an event alone does not prove.
    """
    synced = entry.synced
    if synced is None or entry.last_event or not request.sequencer or request.etag != synced.local.etag:
        return entry
    shown = synced.local.modified is not None
    first = earliest(entry.first_event, request.sequencer) if shown else entry.first_event
    return replace(entry, first_event=first, last_event=request.sequencer)


def record_unlearnt_echo(entry: LedgerEntry, here: ObjectHead) -> LedgerEntry:
    """Record that an echo said of what is `here` that a worker wrote it, where the ledger learns no version from it.

    Then an event that says that a user wrote the very same is forged, or of an earlier object.
    """
    return replace(entry, echoed=object_mark(here))


def was_current_in_between(entry: LedgerEntry, mark: str) -> bool:
    """Return True if what arrived at `mark` was here before the synced version arrived, and after all else known."""
    return mark < entry.last_event and (entry.previous is None or entry.previous_last_event < mark)


def record_earlier_version(entry: LedgerEntry, synced: SyncedVersion, request: SyncRequest) -> LedgerEntry:
    """Record a late echo: this version was here before the synced one. A deletion in between was of it."""
    dead = request.sequencer < entry.last_deletion < _next_arrival(entry, request.sequencer)
    updated = replace(entry, previous=synced, previous_last_event=request.sequencer)
    return replace(updated, deleted_versions=updated.with_deleted(synced)) if dead else updated


def record_first_arrival(
    entry: LedgerEntry, request: SyncRequest, former: ObjectHead, here: ObjectHead | None
) -> LedgerEntry:
    """Record an echo of the synced version that is older than those known: the version arrived here earlier.

    `former` is that copy, which the bucket still shows under its version id, and `here` is what is current. If that is
    the synced copy under another id, both are proven.
    """
    current = here is not None and entry.synced is not None and matches_copy(here, entry.synced.local)
    second = current and here is not None and here.version_id not in ("", former.version_id)
    first = entry.first_modified
    return replace(
        entry,
        first_event=earliest(entry.first_event, request.sequencer),
        first_modified=former.modified if first is None else min(first, former.modified),
        second_copy=entry.second_copy or second,
    )


def _next_arrival(entry: LedgerEntry, mark: str) -> str:
    """Return when the synced version arrived after what was here at `mark`: its first arrival, or its last."""
    return entry.first_event if mark < entry.first_event else entry.last_event


def record_undelete(entry: LedgerEntry, request: SyncRequest, here: ObjectHead) -> LedgerEntry:
    """Record that a user removed the delete marker, or the version, over an older one that is `here` now.

    If the older one had been deleted before, it is recorded as such. Its echo may not have been read yet; then only the
    times prove it.
    """
    user = request.actor is Actor.USER and request.cause is Cause.REMOVED and request.version_removed
    if not user or here.stamp is None or not latest_arrival(here.etag, here.modified) < entry.deleted_at:
        return entry
    held = CopyState(here.etag, here.modified)
    if any(d.local == held for d in entry.deleted_versions) or (
        entry.synced is not None and entry.synced.local == held
    ):
        return entry
    return replace(entry, deleted_versions=entry.with_deleted(SyncedVersion(here.stamp.version, held, CopyState(""))))


def record_expiration(entry: LedgerEntry, request: SyncRequest, now: int) -> LedgerEntry:
    """Record that a lifecycle rule removed the object here; the peer keeps its own."""
    return replace(
        entry,
        synced=None,
        attributes="",
        expired=entry.synced or entry.expired,
        sequencer=latest(entry.sequencer, request.sequencer),
        updated=now,
    )
