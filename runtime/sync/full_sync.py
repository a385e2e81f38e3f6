"""The careful look: see the remote side, then the local one, then decide over both, and act on exactly what was seen.

In that order: what is written is then never older than what it replaces. Every write is conditional on what was seen,
the ledger's entry on its revision; whoever loses one of these races looks again later.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.conflict_order import wins
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import MUST_NOT_EXIST, ObjectHead, Precondition
from dualsync.runtime.model.origin_version import key_hash
from dualsync.runtime.model.records import CONFLICT, Record
from dualsync.runtime.ports import ObjectReader
from dualsync.runtime.settings import Events
from dualsync.runtime.sync.conflict_copy import keep_loser
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.decision import Action, Decision, KeyState, ObservedVersion, decide
from dualsync.runtime.sync.ledger_updates import (
    record_late_creation,
    record_synced,
    record_tombstone,
    record_undelete,
    record_user_deletion,
)

SETTLED_SECONDS = 3600
"""What is older is the work of no worker still alive: no message stays hidden for so long."""
ALONE_SECONDS = 900
"""How long an object without proof must have stood alone before it is copied again: the peer's finder, started at about
the same time, may hold the proof that it was deleted."""


async def full_check(context: SyncContext, look: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Look at both sides and bring them together as far as it is this side's business.

    `entry` must have been read before the call. Raises `PreconditionFailedError`, `ConcurrentWriteError`,
    `RetryableError`: look again later.
    """
    theirs = await context.remote.head(look.key)
    reading = await context.local.read(look.key)
    try:
        known = record_undelete(entry, look, reading.head) if reading is not None else entry
        local = context.observe_local(reading.head, known, look) if reading is not None else None
        remote = context.observe_remote(theirs, known) if theirs is not None else None
        noted = record_late_creation(_with_own_write(known, look, local), look)
        travels = context.settings.events is not Events.CREATE
        if _user_removed(look) and travels and entry.last_deletion < look.sequencer:
            noted = record_user_deletion(
                noted, look, context.now(), present=_as_agreed(local, noted), here=local is not None
            )
        if local is not None and _as_agreed(local, noted) and noted.rewritten_after_deletion:
            return await _remove_both(context, look, entry, noted, local, remote)
        settings = context.settings
        view = KeyState(
            side=context.side,
            cause=look.cause,
            attempt=look.attempt,
            version_removed=look.version_removed,
            may_have_written=look.may_have_written,
            entry=noted,
            local=local,
            remote=remote,
            policy=settings.conflict_policy,
            may_delete=look.may_delete,
            deletions_travel=travels,
            unrecorded=look.unrecorded.version if look.unrecorded else None,
            superseded_etag=look.etag if _spent(look, noted) else "",
            settled=reading is not None and context.now() - reading.head.modified >= SETTLED_SECONDS,
            stale="" < look.sequencer < (entry.last_event if entry.synced is not None else entry.sequencer),
            unmatched=reading is not None
            and entry.unmatched == unmatched_mark(reading.head)
            and _long_since(context, entry),
        )
        return await _perform(context, look, entry, view, decide(view), reading)
    finally:
        if reading is not None:
            await reading.close()


def _long_since(context: SyncContext, entry: LedgerEntry) -> bool:
    """Since then the peer's finder had its turn."""
    return context.now() - entry.updated >= ALONE_SECONDS


def unmatched_mark(seen: ObjectHead) -> str:
    """How an entry names the object that stood alone here."""
    return f"{seen.modified};{seen.etag}"


def _as_agreed(local: ObservedVersion | None, entry: LedgerEntry) -> bool:
    return local is not None and entry.synced is not None and local.version == entry.synced.version


def _with_own_write(entry: LedgerEntry, look: SyncRequest, local: ObservedVersion | None) -> LedgerEntry:
    """What this look wrote before and could not record, as long as the local version is still that one."""
    if look.unrecorded is None or local is None:
        return entry
    wrote = look.unrecorded
    if local.version != wrote.version or (entry.synced is not None and entry.synced.version == wrote.version):
        return entry
    return record_synced(entry, wrote, look, entry.updated)


async def _remove_both(
    context: SyncContext,
    look: SyncRequest,
    before: LedgerEntry,
    entry: LedgerEntry,
    local: ObservedVersion,
    remote: ObservedVersion | None,
) -> SyncResult:
    """A user deleted this version here, and a worker that did not know it wrote it again. The peer's first: as long as
    the local one is here, it is the proof."""
    if remote is not None and remote.version == local.version:
        await context.remote.delete(look.key, Precondition(remote.head.etag))
    await context.local.delete(look.key, Precondition(local.head.etag))
    await context.write(before, record_tombstone(entry, look, context.now(), by_user=False))
    return SyncResult(Outcome.REMOVED, "written again after its deletion here")


def _spent(look: SyncRequest, entry: LedgerEntry) -> bool:
    """Was the version that this event speaks of deleted here since?"""
    created = look.cause is Cause.CREATED and look.actor is Actor.USER
    return created and bool(look.etag) and look.sequencer < entry.last_deletion


async def _perform(
    context: SyncContext,
    look: SyncRequest,
    before: LedgerEntry,
    view: KeyState,
    decision: Decision,
    reading: ObjectReader | None,
) -> SyncResult:
    entry, local, remote = view.entry, view.local, view.remote
    if decision.loser is not None:
        await _note_conflict(context, view, decision)
    if decision.action is Action.WAIT:
        if entry != before:
            await context.write(before, entry)
        raise PreconditionFailedError(decision.reason)
    if decision.action is Action.RECORD_SYNCED and local is not None and remote is not None:
        return await _agree(context, look, before, view, local, remote, decision)
    if decision.action is Action.MARK_UNMATCHED and local is not None:
        if entry.unmatched != unmatched_mark(local.head):
            await context.write(before, replace(entry, unmatched=unmatched_mark(local.head), updated=context.now()))
        return SyncResult(Outcome.SKIPPED, decision.reason)
    if decision.action is Action.RECORD_TOMBSTONE:
        if entry.synced is not None or entry != before:
            await context.write(before, record_tombstone(entry, look, context.now(), by_user=_user_removed(look)))
        return SyncResult(Outcome.SKIPPED, decision.reason)
    if decision.action is Action.PUSH and local is not None and reading is not None:
        return await _push(context, look, before, view, local, decision, reading)
    if decision.action is Action.PULL and remote is not None:
        return await _pull(context, look, before, view, remote, decision)
    if decision.action is Action.DELETE_REMOTE and remote is not None:
        await context.remote.delete(look.key, Precondition(remote.head.etag))
        await context.write(before, record_tombstone(entry, look, context.now(), by_user=_user_removed(look)))
        return SyncResult(Outcome.DELETED, decision.reason)
    if decision.action is Action.DELETE_BOTH and local is not None and remote is not None:
        await context.remote.delete(look.key, Precondition(remote.head.etag))
        await context.local.delete(look.key, Precondition(local.head.etag))
        await context.write(before, record_tombstone(entry, look, context.now(), by_user=_user_removed(look)))
        return SyncResult(Outcome.REMOVED, decision.reason)
    if decision.action is Action.DELETE_LOCAL and local is not None:
        await context.local.delete(look.key, Precondition(local.head.etag))
        await context.write(before, record_tombstone(entry, look, context.now(), by_user=False))
        return SyncResult(Outcome.REMOVED, decision.reason)
    if entry != before:
        await context.write(before, entry)
    return SyncResult(Outcome.SKIPPED, decision.reason, conflict=decision.loser is not None)


def _user_removed(look: SyncRequest) -> bool:
    return look.cause is Cause.REMOVED and look.actor is Actor.USER


async def _agree(
    context: SyncContext,
    look: SyncRequest,
    before: LedgerEntry,
    view: KeyState,
    local: ObservedVersion,
    remote: ObservedVersion,
    decision: Decision,
) -> SyncResult:
    """Same version, or same content: then the winner's name, so that both sides use one."""
    entry = view.entry
    identity = local.version
    if identity != remote.version and not _ours(view, local, remote):
        identity = remote.version
    agreement = SyncedVersion(
        identity, CopyState(local.head.etag, local.head.modified), CopyState(remote.head.etag, remote.head.modified)
    )
    if entry.synced != agreement or entry.sequencer < look.sequencer or entry != before:
        await context.write(before, record_synced(entry, agreement, look, context.now()))
    return SyncResult(Outcome.AGREED, decision.reason)


def _ours(view: KeyState, local: ObservedVersion, remote: ObservedVersion) -> bool:
    return wins(local.version, remote.version, view.policy)


async def _push(
    context: SyncContext,
    look: SyncRequest,
    before: LedgerEntry,
    view: KeyState,
    local: ObservedVersion,
    decision: Decision,
    reading: ObjectReader,
) -> SyncResult:
    entry, remote = view.entry, view.remote
    if decision.loser is not None and context.settings.keep_loser and remote is not None:
        await keep_loser(context, look.key, remote, context.remote)
    condition = MUST_NOT_EXIST if remote is None else Precondition(remote.head.etag)
    stamp = context.stamp(look.key, local.version, local.head.size)
    written = await context.copier.copy(context.push_route, reading, look.key, stamp, condition)
    agreement = SyncedVersion(local.version, CopyState(local.head.etag, local.head.modified), CopyState(written.etag))
    await context.write_synced(before, record_synced(entry, agreement, look, context.now()))
    return SyncResult(Outcome.COPIED, decision.reason, bytes=local.head.size, conflict=decision.loser is not None)


async def _pull(
    context: SyncContext,
    look: SyncRequest,
    before: LedgerEntry,
    view: KeyState,
    remote: ObservedVersion,
    decision: Decision,
) -> SyncResult:
    entry, local = view.entry, view.local
    if decision.loser is not None and context.settings.keep_loser and local is not None:
        await keep_loser(context, look.key, local, context.local)
    reading = await context.remote.read(look.key)
    if reading is None or context.observe_remote(reading.head, entry).version != remote.version:
        if reading is not None:
            await reading.close()
        return SyncResult(Outcome.SKIPPED, "changed at the peer while it was looked at: its own event will say so")
    condition = MUST_NOT_EXIST if local is None else Precondition(local.head.etag)
    stamp = context.stamp(look.key, remote.version, remote.head.size)
    written = await context.copier.copy(context.pull_route, reading, look.key, stamp, condition)
    agreement = SyncedVersion(
        remote.version, CopyState(written.etag), CopyState(remote.head.etag, remote.head.modified)
    )
    await context.write(before, record_synced(entry, agreement, look, context.now()))
    return SyncResult(Outcome.PULLED, decision.reason, bytes=remote.head.size, conflict=decision.loser is not None)


async def _note_conflict(context: SyncContext, view: KeyState, decision: Decision) -> None:
    """The record is durable before the loser is overwritten. The same conflict has the same id, however often seen."""
    local, remote = view.local, view.remote
    if local is None or remote is None or decision.loser is None:
        return
    winner = local.version if decision.loser == remote.version else remote.version
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
