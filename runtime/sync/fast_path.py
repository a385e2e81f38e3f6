"""Handle a user's event on a key without conflict: one GET, one conditional write, one ledger write.

What the ledger knows of the remote side is the write's condition. When it does not hold, or anything else is unusual,
a full check follows.
"""

from __future__ import annotations

from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.identify import matches_copy
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Precondition
from dualsync.runtime.settings import Events
from dualsync.runtime.sync import actions
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.event_order import EventOrder
from dualsync.runtime.sync.ledger_updates import (
    record_arrival,
    record_expiration,
    record_late_creation,
    record_user_deletion,
)


async def copy_created(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult | None:
    """Copy the object that is here now, if a user wrote it.

    Returns None if a full check is needed, as while a write over the peer's object is not recorded. Raises
    `PreconditionFailedError`, `ConcurrentWriteError`, `RetryableError`.
    """
    if entry.pending is not None:
        return None
    reader = await context.local.read(request.key)
    if reader is None:
        if (arrived := record_arrival(entry, request)) != entry:
            await context.write(entry, arrived)
        return SyncResult(Outcome.SKIPPED, "gone again: its deletion's own event will say so")
    try:
        context.wait_for_echo(reader.head, entry, request)
        local = context.observe_local(reader.head, entry, request)
        if entry.synced is not None and local.version == entry.synced.version:
            return SyncResult(Outcome.SKIPPED, "both sides hold this version already")
        if local.is_replica and not context.settings.direction.one_way:
            return SyncResult(Outcome.SKIPPED, "replaced by the peer's version since: a replica is never copied back")
        believed = entry.expected_remote
        condition = MUST_NOT_EXIST if believed is None else Precondition(believed.etag)
        await actions.push(context, request, before=entry, entry=entry, local=local, reader=reader, condition=condition)
    finally:
        await reader.close()
    return SyncResult(Outcome.COPIED, bytes=local.head.size)


async def propagate_deletion(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult | None:
    """Delete at the peer what a user deleted here, if it is still gone and the ledger proves that both sides held it.

    Returns None if a full check is needed. Raises `PreconditionFailedError`, `ConcurrentWriteError`,
    `RetryableError`.
    """
    head = await context.local.head(request.key)
    if head is not None:
        local = context.observe_local(head, entry, request)
        if entry.synced is None or local.version != entry.synced.version:
            return None
        updated = record_user_deletion(entry, request, context.now(), present=True)
        travels = context.settings.events is not Events.CREATE
        if updated.rewritten_after_deletion and travels:
            return None
        if entry.last_deletion < updated.last_deletion and travels:
            await context.write(entry, updated)
        return SyncResult(Outcome.SKIPPED, "a former version was removed: the current one is the agreed one")
    if context.settings.events is Events.CREATE:
        return SyncResult(Outcome.SKIPPED, "deletions do not travel (events=Create)")
    # What expired here is kept there until a user here deletes the key. To clear away old versions is no deletion.
    proof = entry.synced or (None if request.version_removed else entry.expired)
    if proof is None and entry.expired is not None:
        return SyncResult(Outcome.SKIPPED, "a version that had expired was removed: kept at the peer")
    if proof is None and not entry.revision:
        return None  # never heard of, or the ledger was lost: a copy of ours at the peer would be the proof
    if proof is None:
        # Nothing proves that the peer holds it. An unrecorded write under way finds this entry and checks again; a
        # late echo brings the proof.
        await context.write(entry, record_user_deletion(entry, request, context.now()))
        return SyncResult(Outcome.SKIPPED, "deleted before the peer had it, as far as is known")
    order = EventOrder(request, entry, context.settings.local_expires)
    if order.is_stale or order.is_unknown:
        return None
    await actions.delete_remote(context, request, before=entry, entry=entry, etag=proof.remote.etag, by_user=True)
    return SyncResult(Outcome.DELETED)


async def handle_expiration(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Record that a lifecycle rule removed the object here; the peer keeps its own."""
    if await context.local.head(request.key) is not None:
        return SyncResult(Outcome.SKIPPED, "written again since it expired")
    if entry.sequencer < request.sequencer or not request.sequencer:
        await context.write(entry, record_expiration(entry, request, context.now()))
    return SyncResult(Outcome.SKIPPED, "expired by a lifecycle rule: kept at the peer")


async def acknowledge_stale(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult | None:
    """Acknowledge an event older than what was acted on, after recording what it still proves.

    A deletion still proves that what had arrived before it was deleted. Returns None if a full check is needed: what is
    here is not what the ledger knows of, so that the order can not be trusted (a forged event may have raised it), or
    it was written again after that deletion.
    """
    head = await context.local.head(request.key)
    synced = entry.synced
    if head is None and (synced is not None or entry.expired is not None):
        return None
    if head is not None and (synced is None or not matches_copy(head, synced.local)):
        return None
    deletion = request.cause is Cause.REMOVED
    # A forged event may have raised the order. Then the time is new, and an older write under way must not be recorded.
    new = entry.last_deletion < request.sequencer or (head is None and entry.deleted_at < int(request.event_time))
    if deletion and new and context.settings.events is not Events.CREATE:
        updated = record_user_deletion(entry, request, context.now(), present=head is not None, here=head)
        if updated.rewritten_after_deletion:
            return None
        if updated != entry:
            await context.write(entry, updated)
    elif not deletion and (known := record_late_creation(entry, request)) != entry:
        await context.write(entry, known)
    return SyncResult(Outcome.SKIPPED, "stale: a later event of this key was acted on")
