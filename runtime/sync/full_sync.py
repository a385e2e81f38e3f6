"""The careful look: see the remote side, then the local one, then decide over both, and act on exactly what was seen.

In that order: what is written is then never older than what it replaces. Every write is conditional on what was seen,
the ledger's entry on its revision; whoever loses one of these races looks again later.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.errors import Changed
from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.sync_request import Actor, Cause, Look
from dualsync.runtime.model.conflict_order import wins
from dualsync.runtime.model.ledger_entry import Agreement, Entry, Held
from dualsync.runtime.model.objects import NOTHING, Condition, Seen
from dualsync.runtime.model.origin_version import key_hash
from dualsync.runtime.model.records import CONFLICT, Record
from dualsync.runtime.ports import Reading
from dualsync.runtime.settings import Events
from dualsync.runtime.sync.conflict_copy import keep_loser
from dualsync.runtime.sync.context import Context, Result
from dualsync.runtime.sync.decision import Decision, Deed, Sighting, View, decide
from dualsync.runtime.sync.ledger_updates import agreed, arrival, brought_back, gone, removal

SETTLED_SECONDS = 3600
"""What is older is the work of no worker still alive: no message stays hidden for so long."""
ALONE_SECONDS = 900
"""How long an object without proof must have stood alone before it is copied again: the peer's finder, started at about
the same time, may hold the proof that it was deleted."""


async def careful(context: Context, look: Look, entry: Entry) -> Result:
    """Look at both sides and bring them together as far as it is this side's business.

    `entry` must have been read before the call. Raises `Changed`, `Busy`, `Retry`: look again later.
    """
    theirs = await context.remote.head(look.key)
    reading = await context.local.read(look.key)
    try:
        known = brought_back(entry, look, reading.seen) if reading is not None else entry
        local = context.sight_local(reading.seen, known, look) if reading is not None else None
        remote = context.sight_remote(theirs, known) if theirs is not None else None
        noted = arrival(_with_own_write(known, look, local), look)
        travels = context.settings.events is not Events.CREATE
        if _user_removed(look) and travels and entry.deleted < look.sequencer:
            noted = removal(noted, look, context.now(), present=_as_agreed(local, noted), here=local is not None)
        if local is not None and _as_agreed(local, noted) and noted.rewritten:
            return await _remove_both(context, look, entry, noted, local, remote)
        settings = context.settings
        view = View(
            side=context.side,
            cause=look.cause,
            attempt=look.attempt,
            permanent=look.permanent,
            unsure=look.unsure,
            entry=noted,
            local=local,
            remote=remote,
            policy=settings.conflict_policy,
            deletion=look.deletion,
            deletions_travel=travels,
            wrote=look.wrote.identity if look.wrote else None,
            spent=look.etag if _spent(look, noted) else "",
            settled=reading is not None and context.now() - reading.seen.modified >= SETTLED_SECONDS,
            stale="" < look.sequencer < (entry.landed if entry.agreed is not None else entry.sequencer),
            alone=reading is not None and entry.alone == alone(reading.seen) and _long_since(context, entry),
        )
        return await _perform(context, look, entry, view, decide(view), reading)
    finally:
        if reading is not None:
            await reading.close()


def _long_since(context: Context, entry: Entry) -> bool:
    """Since then the peer's finder had its turn."""
    return context.now() - entry.updated >= ALONE_SECONDS


def alone(seen: Seen) -> str:
    """How an entry names the object that stood alone here."""
    return f"{seen.modified};{seen.etag}"


def _as_agreed(local: Sighting | None, entry: Entry) -> bool:
    return local is not None and entry.agreed is not None and local.identity == entry.agreed.identity


def _with_own_write(entry: Entry, look: Look, local: Sighting | None) -> Entry:
    """What this look wrote before and could not record, as long as the local version is still that one."""
    if look.wrote is None or local is None:
        return entry
    wrote = look.wrote
    if local.identity != wrote.identity or (entry.agreed is not None and entry.agreed.identity == wrote.identity):
        return entry
    return agreed(entry, wrote, look, entry.updated)


async def _remove_both(
    context: Context, look: Look, before: Entry, entry: Entry, local: Sighting, remote: Sighting | None
) -> Result:
    """A user deleted this version here, and a worker that did not know it wrote it again. The peer's first: as long as
    the local one is here, it is the proof."""
    if remote is not None and remote.identity == local.identity:
        await context.remote.delete(look.key, Condition(remote.seen.etag))
    await context.local.delete(look.key, Condition(local.seen.etag))
    await context.write(before, gone(entry, look, context.now(), by_user=False))
    return Result(Outcome.REMOVED, "written again after its deletion here")


def _spent(look: Look, entry: Entry) -> bool:
    """Was the version that this event speaks of deleted here since?"""
    created = look.cause is Cause.CREATED and look.actor is Actor.USER
    return created and bool(look.etag) and look.sequencer < entry.deleted


async def _perform(
    context: Context, look: Look, before: Entry, view: View, decision: Decision, reading: Reading | None
) -> Result:
    entry, local, remote = view.entry, view.local, view.remote
    if decision.loser is not None:
        await _note_conflict(context, view, decision)
    if decision.deed is Deed.WAIT:
        if entry != before:
            await context.write(before, entry)
        raise Changed(decision.reason)
    if decision.deed is Deed.AGREE and local is not None and remote is not None:
        return await _agree(context, look, before, view, local, remote, decision)
    if decision.deed is Deed.NOTE and local is not None:
        if entry.alone != alone(local.seen):
            await context.write(before, replace(entry, alone=alone(local.seen), updated=context.now()))
        return Result(Outcome.SKIPPED, decision.reason)
    if decision.deed is Deed.BURY:
        if entry.agreed is not None or entry != before:
            await context.write(before, gone(entry, look, context.now(), by_user=_user_removed(look)))
        return Result(Outcome.SKIPPED, decision.reason)
    if decision.deed is Deed.PUSH and local is not None and reading is not None:
        return await _push(context, look, before, view, local, decision, reading)
    if decision.deed is Deed.PULL and remote is not None:
        return await _pull(context, look, before, view, remote, decision)
    if decision.deed is Deed.DELETE_REMOTE and remote is not None:
        await context.remote.delete(look.key, Condition(remote.seen.etag))
        await context.write(before, gone(entry, look, context.now(), by_user=_user_removed(look)))
        return Result(Outcome.DELETED, decision.reason)
    if decision.deed is Deed.DELETE_BOTH and local is not None and remote is not None:
        await context.remote.delete(look.key, Condition(remote.seen.etag))
        await context.local.delete(look.key, Condition(local.seen.etag))
        await context.write(before, gone(entry, look, context.now(), by_user=_user_removed(look)))
        return Result(Outcome.REMOVED, decision.reason)
    if decision.deed is Deed.DELETE_LOCAL and local is not None:
        await context.local.delete(look.key, Condition(local.seen.etag))
        await context.write(before, gone(entry, look, context.now(), by_user=False))
        return Result(Outcome.REMOVED, decision.reason)
    if entry != before:
        await context.write(before, entry)
    return Result(Outcome.SKIPPED, decision.reason, conflict=decision.loser is not None)


def _user_removed(look: Look) -> bool:
    return look.cause is Cause.REMOVED and look.actor is Actor.USER


async def _agree(
    context: Context, look: Look, before: Entry, view: View, local: Sighting, remote: Sighting, decision: Decision
) -> Result:
    """Same version, or same content: then the winner's name, so that both sides use one."""
    entry = view.entry
    identity = local.identity
    if identity != remote.identity and not _ours(view, local, remote):
        identity = remote.identity
    agreement = Agreement(
        identity, Held(local.seen.etag, local.seen.modified), Held(remote.seen.etag, remote.seen.modified)
    )
    if entry.agreed != agreement or entry.sequencer < look.sequencer or entry != before:
        await context.write(before, agreed(entry, agreement, look, context.now()))
    return Result(Outcome.AGREED, decision.reason)


def _ours(view: View, local: Sighting, remote: Sighting) -> bool:
    return wins(local.identity, remote.identity, view.policy)


async def _push(
    context: Context, look: Look, before: Entry, view: View, local: Sighting, decision: Decision, reading: Reading
) -> Result:
    entry, remote = view.entry, view.remote
    if decision.loser is not None and context.settings.keep_loser and remote is not None:
        await keep_loser(context, look.key, remote, context.remote)
    condition = NOTHING if remote is None else Condition(remote.seen.etag)
    stamp = context.stamp(look.key, local.identity, local.seen.size)
    written = await context.copier.copy(context.pushing, reading, look.key, stamp, condition)
    agreement = Agreement(local.identity, Held(local.seen.etag, local.seen.modified), Held(written.etag))
    await context.write_agreed(before, agreed(entry, agreement, look, context.now()))
    return Result(Outcome.COPIED, decision.reason, bytes=local.seen.size, conflict=decision.loser is not None)


async def _pull(
    context: Context, look: Look, before: Entry, view: View, remote: Sighting, decision: Decision
) -> Result:
    entry, local = view.entry, view.local
    if decision.loser is not None and context.settings.keep_loser and local is not None:
        await keep_loser(context, look.key, local, context.local)
    reading = await context.remote.read(look.key)
    if reading is None or context.sight_remote(reading.seen, entry).identity != remote.identity:
        if reading is not None:
            await reading.close()
        return Result(Outcome.SKIPPED, "changed at the peer while it was looked at: its own event will say so")
    condition = NOTHING if local is None else Condition(local.seen.etag)
    stamp = context.stamp(look.key, remote.identity, remote.seen.size)
    written = await context.copier.copy(context.pulling, reading, look.key, stamp, condition)
    agreement = Agreement(remote.identity, Held(written.etag), Held(remote.seen.etag, remote.seen.modified))
    await context.write(before, agreed(entry, agreement, look, context.now()))
    return Result(Outcome.PULLED, decision.reason, bytes=remote.seen.size, conflict=decision.loser is not None)


async def _note_conflict(context: Context, view: View, decision: Decision) -> None:
    """The record is durable before the loser is overwritten. The same conflict has the same id, however often seen."""
    local, remote = view.local, view.remote
    if local is None or remote is None or decision.loser is None:
        return
    winner = local.identity if decision.loser == remote.identity else remote.identity
    await context.ledger.record(
        Record(
            CONFLICT,
            id=f"{key_hash(view.entry.key)}-{winner}-{decision.loser}",
            time=context.now(),
            key=view.entry.key,
            data={
                "winner": str(winner),
                "loser": str(decision.loser),
                "policy": str(view.policy),
                "kept": context.settings.keep_loser,
            },
        )
    )
