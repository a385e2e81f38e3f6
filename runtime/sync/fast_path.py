"""The quiet path: a user's event on a key that nobody contests: one GET, one conditional write, one ledger write.

What the ledger believes of the remote side is the write's condition; when it does not hold, or anything else is
unusual, the answer is a careful look, later.
"""

from __future__ import annotations

from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Precondition
from dualsync.runtime.settings import Events
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.ledger_updates import (
    record_expiration,
    record_late_creation,
    record_synced,
    record_tombstone,
    record_user_deletion,
)


async def copy_created(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """A user wrote: the object that is there now travels, if it is a user's. Raises `PreconditionFailedError`,
    `ConcurrentWriteError`, `RetryableError`."""
    reading = await context.local.read(look.key)
    if reading is None:
        return SyncResult(Outcome.SKIPPED, "gone again: its deletion's own event will say so")
    try:
        local = context.observe_local(reading.head, entry, look)
        if entry.synced is not None and local.version == entry.synced.version:
            return SyncResult(Outcome.SKIPPED, "both sides hold this version already")
        if local.is_replica:
            return SyncResult(Outcome.SKIPPED, "replaced by the peer's version since: a replica is never copied back")
        believed = entry.expected_remote
        condition = MUST_NOT_EXIST if believed is None else Precondition(believed.etag)
        stamp = context.stamp(look.key, local.version, local.head.size)
        written = await context.copier.copy(context.push_route, reading, look.key, stamp, condition)
    finally:
        await reading.close()
    agreement = SyncedVersion(local.version, CopyState(local.head.etag, local.head.modified), CopyState(written.etag))
    await context.write_synced(entry, record_synced(entry, agreement, look, context.now()))
    return SyncResult(Outcome.COPIED, bytes=local.head.size)


async def propagate_deletion(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult | None:
    """A user deleted: applied at the peer only if the object is still gone and the ledger proves that both held it.


    None means: not quiet, look carefully now. Raises `PreconditionFailedError`, `ConcurrentWriteError`,
    `RetryableError`.
    """
    seen = await context.local.head(look.key)
    if seen is not None:
        local = context.observe_local(seen, entry, look)
        if entry.synced is None or local.version != entry.synced.version:
            return None
        noted = record_user_deletion(entry, look, context.now(), present=True)
        travels = context.settings.events is not Events.CREATE
        if noted.rewritten_after_deletion and travels:
            return None
        if entry.last_deletion < noted.last_deletion and travels:
            await context.write(entry, noted)
        return SyncResult(Outcome.SKIPPED, "a former version was removed: the current one is the agreed one")
    if context.settings.events is Events.CREATE:
        return SyncResult(Outcome.SKIPPED, "deletions do not travel (events=Create)")
    # What expired here is kept there until a user here deletes the key. To clear away old versions is no deletion.
    proof = entry.synced or (None if look.version_removed else entry.expired)
    if proof is None and entry.expired is not None:
        return SyncResult(Outcome.SKIPPED, "a version that had expired was removed: kept at the peer")
    if proof is None and not entry.revision:
        return None  # never heard of, or the ledger was lost: a copy of ours at the peer would be the proof
    if proof is None:
        # Nothing says that the peer holds it. An unrecorded write under way will find this note and look again; a
        # late echo will bring the proof.
        await context.write(entry, record_user_deletion(entry, look, context.now()))
        return SyncResult(Outcome.SKIPPED, "deleted before the peer had it, as far as is known")
    await context.remote.delete(look.key, Precondition(proof.remote.etag))
    await context.write(entry, record_tombstone(entry, look, context.now(), by_user=True))
    return SyncResult(Outcome.DELETED)


async def handle_expiration(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """A lifecycle rule took the object and the peer keeps its own."""
    if await context.local.head(look.key) is not None:
        return SyncResult(Outcome.SKIPPED, "written again since it expired")
    if entry.sequencer < look.sequencer or not look.sequencer:
        await context.write(entry, record_expiration(entry, look, context.now()))
    return SyncResult(Outcome.SKIPPED, "expired by a lifecycle rule: kept at the peer")


async def acknowledge_stale(
    context: SyncContext, look: SyncRequest, entry: LedgerEntry, *, deletion: bool
) -> SyncResult | None:
    """An event older than what was acted on. A deletion still says that what had arrived before it was deleted.

    None means: look carefully, what is here now was written again after that deletion.
    """
    if deletion and entry.last_deletion < look.sequencer and context.settings.events is not Events.CREATE:
        noted = record_user_deletion(entry, look, context.now(), here=True)
        if noted.rewritten_after_deletion:
            return None
        if noted != entry:
            await context.write(entry, noted)
    elif not deletion and (known := record_late_creation(entry, look)) != entry:
        await context.write(entry, known)
    return SyncResult(Outcome.SKIPPED, "stale: a later event of this key was acted on")
