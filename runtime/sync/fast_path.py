"""The quiet path: a user's event on a key that nobody contests: one GET, one conditional write, one ledger write.

What the ledger believes of the remote side is the write's condition; when it does not hold, or anything else is
unusual, the answer is a careful look, later.
"""

from __future__ import annotations

from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.sync_request import Look
from dualsync.runtime.model.ledger_entry import Agreement, Entry, Held
from dualsync.runtime.model.objects import NOTHING, Condition
from dualsync.runtime.settings import Events
from dualsync.runtime.sync.context import Context, Result
from dualsync.runtime.sync.ledger_updates import agreed, arrival, expired, gone, removal


async def created(context: Context, look: Look, entry: Entry) -> Result:
    """A user wrote: the object that is there now travels, if it is a user's. Raises `Changed`, `Busy`, `Retry`."""
    reading = await context.local.read(look.key)
    if reading is None:
        return Result(Outcome.SKIPPED, "gone again: its deletion's own event will say so")
    try:
        local = context.sight_local(reading.seen, entry, look)
        if entry.agreed is not None and local.identity == entry.agreed.identity:
            return Result(Outcome.SKIPPED, "both sides hold this version already")
        if local.replica:
            return Result(Outcome.SKIPPED, "replaced by the peer's version since: a replica is never copied back")
        believed = entry.believed
        condition = NOTHING if believed is None else Condition(believed.etag)
        stamp = context.stamp(look.key, local.identity, local.seen.size)
        written = await context.copier.copy(context.pushing, reading, look.key, stamp, condition)
    finally:
        await reading.close()
    agreement = Agreement(local.identity, Held(local.seen.etag, local.seen.modified), Held(written.etag))
    await context.write_agreed(entry, agreed(entry, agreement, look, context.now()))
    return Result(Outcome.COPIED, bytes=local.seen.size)


async def removed(context: Context, look: Look, entry: Entry) -> Result | None:
    """A user deleted: applied at the peer only if the object is still gone and the ledger proves that both held it.

    None means: not quiet, look carefully now. Raises `Changed`, `Busy`, `Retry`.
    """
    seen = await context.local.head(look.key)
    if seen is not None:
        local = context.sight_local(seen, entry, look)
        if entry.agreed is None or local.identity != entry.agreed.identity:
            return None
        noted = removal(entry, look, context.now(), present=True)
        travels = context.settings.events is not Events.CREATE
        if noted.rewritten and travels:
            return None
        if entry.deleted < noted.deleted and travels:
            await context.write(entry, noted)
        return Result(Outcome.SKIPPED, "a former version was removed: the current one is the agreed one")
    if context.settings.events is Events.CREATE:
        return Result(Outcome.SKIPPED, "deletions do not travel (events=Create)")
    # What expired here is kept there until a user here deletes the key. To clear away old versions is no deletion.
    proof = entry.agreed or (None if look.permanent else entry.expired)
    if proof is None and entry.expired is not None:
        return Result(Outcome.SKIPPED, "a version that had expired was removed: kept at the peer")
    if proof is None and not entry.revision:
        return None  # never heard of, or the ledger was lost: a copy of ours at the peer would be the proof
    if proof is None:
        # Nothing says that the peer holds it. An unrecorded write under way will find this note and look again; a
        # late echo will bring the proof.
        await context.write(entry, removal(entry, look, context.now()))
        return Result(Outcome.SKIPPED, "deleted before the peer had it, as far as is known")
    await context.remote.delete(look.key, Condition(proof.remote.etag))
    await context.write(entry, gone(entry, look, context.now(), by_user=True))
    return Result(Outcome.DELETED)


async def lifecycle(context: Context, look: Look, entry: Entry) -> Result:
    """A lifecycle rule took the object and the peer keeps its own."""
    if await context.local.head(look.key) is not None:
        return Result(Outcome.SKIPPED, "written again since it expired")
    if entry.sequencer < look.sequencer or not look.sequencer:
        await context.write(entry, expired(entry, look, context.now()))
    return Result(Outcome.SKIPPED, "expired by a lifecycle rule: kept at the peer")


async def stale(context: Context, look: Look, entry: Entry, *, deletion: bool) -> Result | None:
    """An event older than what was acted on. A deletion still says that what had arrived before it was deleted.

    None means: look carefully, what is here now was written again after that deletion.
    """
    if deletion and entry.deleted < look.sequencer and context.settings.events is not Events.CREATE:
        noted = removal(entry, look, context.now(), here=True)
        if noted.rewritten:
            return None
        if noted != entry:
            await context.write(entry, noted)
    elif not deletion and (known := arrival(entry, look)) != entry:
        await context.write(entry, known)
    return Result(Outcome.SKIPPED, "stale: a later event of this key was acted on")
