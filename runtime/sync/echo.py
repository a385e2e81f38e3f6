"""Echoes: events of a worker's writes, the peer's (dedicated user) or ours (own role). They teach, and cause no copy.

An echo says what both sides held at that moment, even when it comes late: a deletion may wait for that proof.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.log import ECHO_LINE, Outcome
from dualsync.runtime.messages.sync_request import Actor, Cause, Look
from dualsync.runtime.model.identify import same, valid
from dualsync.runtime.model.ledger_entry import Agreement, Entry, Held
from dualsync.runtime.model.objects import Condition, Seen
from dualsync.runtime.model.origin_version import Identity
from dualsync.runtime.settings import Events, SideName
from dualsync.runtime.sync.context import Context, Result
from dualsync.runtime.sync.decision import Sighting
from dualsync.runtime.sync.ledger_updates import agreed, came_before, expired, gone, was_in_between


async def learn(context: Context, look: Look, entry: Entry) -> Result:
    """Let the ledger know what an echo tells. Raises `Changed`, `Busy`, `Retry`: learn again later."""
    seen = await context.local.head(look.key)
    if look.cause is Cause.CREATED:
        if seen is not None and seen.etag == look.etag and _stamped(context, look, seen):
            return await _arrived(context, look, entry, seen)
        return await _arrived_late(context, look, entry, seen)
    return await _departed(context, look, entry, seen)


async def _departed(context: Context, look: Look, entry: Entry, seen: Seen | None) -> Result:
    """A worker deleted. What is here by now came after that; only what had surely arrived before is dead."""
    stale = entry.sequencer >= look.sequencer
    later = seen is not None and (
        entry.agreed is None or same(seen, entry.agreed.local) or not "" < entry.arrived < look.sequencer
    )
    if not stale and not later:
        await context.write(entry, gone(entry, look, context.now(), by_user=False))
    return _echo("the peer's deletion")


def _echo(reason: str) -> Result:
    return Result(Outcome.CANCELLED, f"{ECHO_LINE} {reason}")


def _stamped(context: Context, look: Look, seen: Seen) -> bool:
    return seen.stamp is not None and valid(seen.stamp, context.settings.pair, look.key, seen.size)


async def _arrived(context: Context, look: Look, entry: Entry, seen: Seen) -> Result:
    assert seen.stamp is not None  # noqa: S101 - the caller checked
    identity = seen.stamp.identity
    if _returned(look, entry, seen, identity):
        return await _remove_both(context, look, entry, seen, identity)
    if entry.is_dead(identity) and "" < entry.deleted < look.sequencer and look.actor is Actor.ECHO:
        await context.local.delete(look.key, Condition(seen.etag))
        await context.write(entry, gone(entry, look, context.now(), by_user=False))
        return Result(Outcome.REMOVED, "a copy that arrived after its deletion")
    here = Held(seen.etag, seen.modified)
    if entry.agreed is not None and entry.agreed.identity == identity:
        known = agreed(entry, Agreement(identity, here, entry.agreed.remote), look, entry.updated)
        if known.rewritten:
            return await _remove_both(context, look, entry, seen, identity)
        if known != entry:
            await context.write(entry, replace(known, updated=context.now()))
        return _echo("known")
    if entry.sequencer > look.sequencer and entry.agreed is not None:
        if was_in_between(entry, look.sequencer) and identity.origin is context.side.peer:
            before = Agreement(identity, here, Held(*identity.shown))
            await context.write(entry, came_before(entry, before, look))
        return _echo("older than what was agreed since")
    there = await _held_there(context, look, entry, identity)
    if there is None:
        return _echo("the peer holds another version by now")
    known = agreed(entry, Agreement(identity, here, there), look, context.now())
    if known.rewritten:
        return await _remove_both(context, look, entry, seen, identity)
    await context.write(entry, known)
    return _echo("learnt")


def _returned(look: Look, entry: Entry, seen: Seen, identity: Identity) -> bool:
    """Is this a second arrival of a version that a user deleted here before the first one could be named?

    Either this is the first arrival's echo, come after the deletion, or the ETag of the first one was kept. What was
    written at the peer after the deletion is another version, with the same bytes perhaps; what bears a time before
    the deletion was brought back by a user.
    """
    if not entry.deleted or not identity.modified < entry.died <= seen.modified:
        return False
    return look.sequencer < entry.deleted or _unnamed(identity.origin, seen.etag) in entry.dead


async def _remove_both(context: Context, look: Look, entry: Entry, seen: Seen, identity: Identity) -> Result:
    """The peer's first: as long as the local one is here, it is the proof."""
    theirs = await context.remote.head(look.key)
    if theirs is not None and context.sight_remote(theirs, entry).identity == identity:
        await context.remote.delete(look.key, Condition(theirs.etag))
    await context.local.delete(look.key, Condition(seen.etag))
    await context.write(entry, gone(entry, look, context.now(), by_user=False))
    return Result(Outcome.REMOVED, "written again after its deletion here")


def _unnamed(origin: SideName, etag: str) -> Agreement:
    """A version of which only the ETag here is known: it was gone before anyone could ask for its stamp."""
    return Agreement(Identity(origin, 0, ""), Held(etag), Held(""))


def _is_version(there: Sighting, known: Identity) -> bool:
    """Is what the peer holds the version of that name? A restored one bears its old time there, and no stamp."""
    if there.identity == known:
        return True
    seen = there.seen
    return not there.replica and there.identity.origin is known.origin and (seen.etag, seen.modified) == known.shown


async def _held_there(context: Context, look: Look, entry: Entry, identity: Identity) -> Held | None:
    """What the peer held of this version when it wrote it here: for its own versions the stamp says it."""
    if identity.origin is context.side.peer:
        return Held(*identity.shown)
    seen = await context.remote.head(look.key)
    if seen is None or context.sight_remote(seen, entry).identity != identity:
        return None
    return Held(seen.etag, seen.modified)


async def _first_arrival(context: Context, look: Look, entry: Entry) -> Entry:
    """is this the late echo of the agreed version's first copy? Each copy has another ETag where it is no digest."""
    version = await context.local.head(look.key, look.version_id) if look.version_id else None
    if version is None or version.etag != look.etag or not _stamped(context, look, version):
        return entry
    known = version.stamp is not None and entry.agreed is not None and version.stamp.identity == entry.agreed.identity
    return replace(entry, arrived=min(entry.arrived or look.sequencer, look.sequencer)) if known else entry


async def _arrived_late(context: Context, look: Look, entry: Entry, now_here: Seen | None) -> Result:
    """The echo's version has gone or was replaced. Which one was it, and was it a user who deleted it?"""
    later = entry.sequencer > look.sequencer
    since = entry.agreed is not None and not "" < entry.landed < look.sequencer
    if later and since and now_here is not None and now_here.opaque and entry.agreed is not None:
        first = await _first_arrival(context, look, entry)
        if first.rewritten:
            return await _remove_both(context, look, first, now_here, entry.agreed.identity)
        if first != entry:
            await context.write(entry, first)
    gone_since = later and now_here is None and entry.deleted < look.sequencer
    unknown_before = since and was_in_between(entry, look.sequencer)
    dead_since = gone_since and entry.died >= max(1, int(look.time))  # what died before that was another
    over = later and (since or dead_since) and not unknown_before
    if over and not (gone_since and look.version_id):
        return _echo("late: a later event was acted on")
    version = await context.local.head(look.key, look.version_id) if look.version_id else None
    # On a suspended bucket the id is `null`, and names whatever was written last.
    stamped = version is not None and version.etag == look.etag and _stamped(context, look, version)
    if over:
        if version is not None and stamped and version.stamp is not None:
            # A former version now: should a user bring it back, it is known as the one that was deleted.
            was = Agreement(version.stamp.identity, Held(version.etag, version.modified), Held(""))
            if (note := replace(entry, dead=entry.buried(was))) != entry:
                await context.write(entry, note)
        return _echo("late: a later event was acted on")
    theirs = await context.remote.head(look.key)
    if theirs is None:
        return _echo("late: gone on the other side as well")
    there = context.sight_remote(theirs, entry)
    known = version.stamp.identity if stamped and version is not None and version.stamp is not None else None
    matches = _is_version(there, known) if known is not None else not there.replica and theirs.etag == look.etag
    if not matches:
        if now_here is None and known is None and look.sequencer < entry.deleted:
            note = replace(entry, dead=entry.buried(_unnamed(context.side.peer, look.etag)))
            if note != entry:
                await context.write(entry, note)
        return _echo("late: the peer holds another version by now")
    agreement = Agreement(known or there.identity, Held(look.etag), Held(theirs.etag, theirs.modified))
    if later and since:
        # It was here before the agreed version. Should it come again, a deletion in between was its.
        if entry.agreed is not None and agreement.identity == entry.agreed.identity:
            first = replace(entry, arrived=min(entry.arrived or look.sequencer, look.sequencer))
            if first.rewritten and now_here is not None and same(now_here, entry.agreed.local):
                return await _remove_both(context, look, first, now_here, agreement.identity)
            if first != entry:
                await context.write(entry, first)
            return _echo("late: one of its copies")
        await context.write(entry, came_before(entry, agreement, look))
        return _echo("late: it came before what was agreed since")
    if now_here is None and look.sequencer < entry.deleted and context.settings.events is not Events.CREATE:
        # A user here deleted it, and that deletion was waiting for this proof.
        await context.remote.delete(look.key, Condition(theirs.etag))
        await context.ledger.put(
            gone(replace(entry, agreed=agreement), look, context.now(), by_user=False), entry.revision
        )
        return Result(Outcome.DELETED, "deleted here before its echo came")
    note = agreed(entry, agreement, look, context.now())
    if gone_since:  # and no deletion is known: a lifecycle rule took what was here
        note = expired(note, look, context.now())
    if look.sequencer < entry.deleted:
        note = replace(note, dead=note.buried(agreement))
    await context.write(entry, note)
    if now_here is None or not later:
        return _echo("learnt late")
    # What is here was written over it, and may have been taken for a conflict.
    again = Look(look.key, Cause.FINDING, since=look.since, careful=True, reason="learnt late")
    return replace(_echo("learnt late"), again=again)
