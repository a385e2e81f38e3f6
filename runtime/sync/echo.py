"""Echoes: events of a worker's writes, the peer's (dedicated user) or ours (own role). They teach, and cause no copy.

An echo says what both sides held at that moment, even when it comes late: a deletion may wait for that proof.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.log import ECHO_LINE, Outcome
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.identify import is_valid_stamp, matches_copy
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead, Precondition
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import Events, SideName
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.sync.ledger_updates import (
    record_earlier_version,
    record_expiration,
    record_synced,
    record_tombstone,
    was_current_in_between,
)


async def handle_echo(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Let the ledger know what an echo tells. Raises `PreconditionFailedError`, `ConcurrentWriteError`,
    `RetryableError`: learn again later."""
    seen = await context.local.head(look.key)
    if look.cause is Cause.CREATED:
        if seen is not None and seen.etag == look.etag and _stamped(context, look, seen):
            return await _arrived(context, look, entry, seen)
        return await _arrived_late(context, look, entry, seen)
    return await _departed(context, look, entry, seen)


async def _departed(context: SyncContext, look: SyncRequest, entry: LedgerEntry, seen: ObjectHead | None) -> SyncResult:
    """A worker deleted. What is here by now came after that; only what had surely arrived before is dead."""
    stale = entry.sequencer >= look.sequencer
    later = seen is not None and (
        entry.synced is None or matches_copy(seen, entry.synced.local) or not "" < entry.first_event < look.sequencer
    )
    if not stale and not later:
        await context.write(entry, record_tombstone(entry, look, context.now(), by_user=False))
    return _echo("the peer's deletion")


def _echo(reason: str) -> SyncResult:
    return SyncResult(Outcome.CANCELLED, f"{ECHO_LINE} {reason}")


def _stamped(context: SyncContext, look: SyncRequest, seen: ObjectHead) -> bool:
    return seen.stamp is not None and is_valid_stamp(seen.stamp, context.settings.pair, look.key, seen.size)


async def _arrived(context: SyncContext, look: SyncRequest, entry: LedgerEntry, seen: ObjectHead) -> SyncResult:
    assert seen.stamp is not None  # noqa: S101 - the caller checked
    identity = seen.stamp.version
    if _returned(look, entry, seen, identity):
        return await _remove_both(context, look, entry, seen, identity)
    if entry.was_deleted(identity) and "" < entry.last_deletion < look.sequencer and look.actor is Actor.ECHO:
        await context.local.delete(look.key, Precondition(seen.etag))
        await context.write(entry, record_tombstone(entry, look, context.now(), by_user=False))
        return SyncResult(Outcome.REMOVED, "a copy that arrived after its deletion")
    here = CopyState(seen.etag, seen.modified)
    if entry.synced is not None and entry.synced.version == identity:
        known = record_synced(entry, SyncedVersion(identity, here, entry.synced.remote), look, entry.updated)
        if known.rewritten_after_deletion:
            return await _remove_both(context, look, entry, seen, identity)
        if known != entry:
            await context.write(entry, replace(known, updated=context.now()))
        return _echo("known")
    if entry.sequencer > look.sequencer and entry.synced is not None:
        if was_current_in_between(entry, look.sequencer) and identity.origin is context.side.peer:
            before = SyncedVersion(identity, here, CopyState(*identity.shown))
            await context.write(entry, record_earlier_version(entry, before, look))
        return _echo("older than what was agreed since")
    there = await _held_there(context, look, entry, identity)
    if there is None:
        return _echo("the peer holds another version by now")
    known = record_synced(entry, SyncedVersion(identity, here, there), look, context.now())
    if known.rewritten_after_deletion:
        return await _remove_both(context, look, entry, seen, identity)
    await context.write(entry, known)
    return _echo("learnt")


def _returned(look: SyncRequest, entry: LedgerEntry, seen: ObjectHead, identity: OriginVersion) -> bool:
    """Is this a second arrival of a version that a user deleted here before the first one could be named?

    Either this is the first arrival's echo, come after the deletion, or the ETag of the first one was kept. What was
    written at the peer after the deletion is another version, with the same bytes perhaps; what bears a time before
    the deletion was brought back by a user.
    """
    if not entry.last_deletion or not identity.modified < entry.deleted_at <= seen.modified:
        return False
    return look.sequencer < entry.last_deletion or _unnamed(identity.origin, seen.etag) in entry.deleted_versions


async def _remove_both(
    context: SyncContext, look: SyncRequest, entry: LedgerEntry, seen: ObjectHead, identity: OriginVersion
) -> SyncResult:
    """The peer's first: as long as the local one is here, it is the proof."""
    theirs = await context.remote.head(look.key)
    if theirs is not None and context.observe_remote(theirs, entry).version == identity:
        await context.remote.delete(look.key, Precondition(theirs.etag))
    await context.local.delete(look.key, Precondition(seen.etag))
    await context.write(entry, record_tombstone(entry, look, context.now(), by_user=False))
    return SyncResult(Outcome.REMOVED, "written again after its deletion here")


def _unnamed(origin: SideName, etag: str) -> SyncedVersion:
    """A version of which only the ETag here is known: it was gone before anyone could ask for its stamp."""
    return SyncedVersion(OriginVersion(origin, 0, ""), CopyState(etag), CopyState(""))


def _is_version(there: ObservedVersion, known: OriginVersion) -> bool:
    """Is what the peer holds the version of that name? A restored one bears its old time there, and no stamp."""
    if there.version == known:
        return True
    seen = there.head
    return not there.is_replica and there.version.origin is known.origin and (seen.etag, seen.modified) == known.shown


async def _held_there(
    context: SyncContext, look: SyncRequest, entry: LedgerEntry, identity: OriginVersion
) -> CopyState | None:
    """What the peer held of this version when it wrote it here: for its own versions the stamp says it."""
    if identity.origin is context.side.peer:
        return CopyState(*identity.shown)
    seen = await context.remote.head(look.key)
    if seen is None or context.observe_remote(seen, entry).version != identity:
        return None
    return CopyState(seen.etag, seen.modified)


async def _first_arrival(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> LedgerEntry:
    """is this the late echo of the agreed version's first copy? Each copy has another ETag where it is no digest."""
    version = await context.local.head(look.key, look.version_id) if look.version_id else None
    if version is None or version.etag != look.etag or not _stamped(context, look, version):
        return entry
    known = version.stamp is not None and entry.synced is not None and version.stamp.version == entry.synced.version
    return replace(entry, first_event=min(entry.first_event or look.sequencer, look.sequencer)) if known else entry


async def _arrived_late(
    context: SyncContext, look: SyncRequest, entry: LedgerEntry, now_here: ObjectHead | None
) -> SyncResult:
    """The echo's version has gone or was replaced. Which one was it, and was it a user who deleted it?"""
    later = entry.sequencer > look.sequencer
    since = entry.synced is not None and not "" < entry.last_event < look.sequencer
    if later and since and now_here is not None and now_here.opaque and entry.synced is not None:
        first = await _first_arrival(context, look, entry)
        if first.rewritten_after_deletion:
            return await _remove_both(context, look, first, now_here, entry.synced.version)
        if first != entry:
            await context.write(entry, first)
    gone_since = later and now_here is None and entry.last_deletion < look.sequencer
    unknown_before = since and was_current_in_between(entry, look.sequencer)
    dead_since = gone_since and entry.deleted_at >= max(1, int(look.event_time))  # what died before that was another
    over = later and (since or dead_since) and not unknown_before
    if over and not (gone_since and look.version_id):
        return _echo("late: a later event was acted on")
    version = await context.local.head(look.key, look.version_id) if look.version_id else None
    # On a suspended bucket the id is `null`, and names whatever was written last.
    stamped = version is not None and version.etag == look.etag and _stamped(context, look, version)
    if over:
        if version is not None and stamped and version.stamp is not None:
            # A former version now: should a user bring it back, it is known as the one that was deleted.
            was = SyncedVersion(version.stamp.version, CopyState(version.etag, version.modified), CopyState(""))
            if (note := replace(entry, deleted_versions=entry.with_deleted(was))) != entry:
                await context.write(entry, note)
        return _echo("late: a later event was acted on")
    theirs = await context.remote.head(look.key)
    if theirs is None:
        return _echo("late: gone on the other side as well")
    there = context.observe_remote(theirs, entry)
    known = version.stamp.version if stamped and version is not None and version.stamp is not None else None
    matches = _is_version(there, known) if known is not None else not there.is_replica and theirs.etag == look.etag
    if not matches:
        if now_here is None and known is None and look.sequencer < entry.last_deletion:
            note = replace(entry, deleted_versions=entry.with_deleted(_unnamed(context.side.peer, look.etag)))
            if note != entry:
                await context.write(entry, note)
        return _echo("late: the peer holds another version by now")
    agreement = SyncedVersion(known or there.version, CopyState(look.etag), CopyState(theirs.etag, theirs.modified))
    if later and since:
        # It was here before the agreed version. Should it come again, a deletion in between was its.
        if entry.synced is not None and agreement.version == entry.synced.version:
            first = replace(entry, first_event=min(entry.first_event or look.sequencer, look.sequencer))
            if first.rewritten_after_deletion and now_here is not None and matches_copy(now_here, entry.synced.local):
                return await _remove_both(context, look, first, now_here, agreement.version)
            if first != entry:
                await context.write(entry, first)
            return _echo("late: one of its copies")
        await context.write(entry, record_earlier_version(entry, agreement, look))
        return _echo("late: it came before what was agreed since")
    if now_here is None and look.sequencer < entry.last_deletion and context.settings.events is not Events.CREATE:
        # A user here deleted it, and that deletion was waiting for this proof.
        await context.remote.delete(look.key, Precondition(theirs.etag))
        await context.ledger.put(
            record_tombstone(replace(entry, synced=agreement), look, context.now(), by_user=False), entry.revision
        )
        return SyncResult(Outcome.DELETED, "deleted here before its echo came")
    note = record_synced(entry, agreement, look, context.now())
    if gone_since:  # and no deletion is known: a lifecycle rule took what was here
        note = record_expiration(note, look, context.now())
    if look.sequencer < entry.last_deletion:
        note = replace(note, deleted_versions=note.with_deleted(agreement))
    await context.write(entry, note)
    if now_here is None or not later:
        return _echo("learnt late")
    # What is here was written over it, and may have been taken for a conflict.
    again = SyncRequest(look.key, Cause.FINDER, first_sent=look.first_sent, full_check=True, reason="learnt late")
    return replace(_echo("learnt late"), follow_up=again)
