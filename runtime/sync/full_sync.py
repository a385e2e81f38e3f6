"""Check a key in full: observe the remote side, then the local one, decide over both, and act on what was observed.

The order matters: what is written is never older than what it replaces. Every write is conditional on the observation,
and the ledger's entry on its revision; a check that loses one of these races is repeated later.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.log import Outcome
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.conflict_order import wins
from dualsync.runtime.model.identify import is_unchanged, object_mark
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Precondition
from dualsync.runtime.model.origin_version import key_hash
from dualsync.runtime.model.records import CONFLICT, Record
from dualsync.runtime.ports import ObjectReader
from dualsync.runtime.settings import Events
from dualsync.runtime.sync import actions
from dualsync.runtime.sync.conflict_copy import keep_loser
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.decision import (
    WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN,
    Action,
    Decision,
    KeyState,
    ObservedVersion,
    names_other,
)
from dualsync.runtime.sync.event_order import EventOrder
from dualsync.runtime.sync.first_contact import holds_same_content
from dualsync.runtime.sync.ledger_updates import (
    record_late_creation,
    record_pending,
    record_synced,
    record_tombstone,
    record_undelete,
    record_user_deletion,
)
from dualsync.runtime.sync.one_way import decide_for

SETTLED_SECONDS = 3600
"""Seconds after which an object can not be the work of a worker under way: no message stays hidden for so long."""
UNMATCHED_SECONDS = 900
"""Seconds that an object without proof must have been unmatched before it is copied again: the peer's finder, started
at about the same time, may hold the proof that it was deleted."""


async def full_check(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Check both sides and bring them together as far as it is this side's task.

    `entry` must have been read before the call. Raises `PreconditionFailedError`, `ConcurrentWriteError`,
    `RetryableError`: check again later.
    """
    remote_head = await context.remote.head(request.key)
    reader = await context.local.read(request.key)
    try:
        known = replace(entry, unreadable="")
        if reader is not None:
            known = record_undelete(known, request, reader.head)
            context.wait_for_echo(reader.head, known, request)
        local = context.observe_local(reader.head, known, request) if reader is not None else None
        remote = context.observe_remote(remote_head, known) if remote_head is not None else None
        updated = record_late_creation(_with_own_write(known, request, local), request)
        travels = context.settings.events is not Events.CREATE
        if _is_user_deletion(request) and travels and entry.last_deletion < request.sequencer:
            updated = record_user_deletion(
                updated,
                request,
                context.now(),
                present=_is_synced_version(local, updated),
                here=local.head if local is not None else None,
            )
        settings = context.settings
        order = EventOrder(request, entry, settings.local_expires)
        rewritten = updated.rewritten_after_deletion and not settings.direction.one_way
        if local is not None and _is_synced_version(local, updated) and rewritten:
            return await _remove_both(context, request, entry, updated, local, remote)
        state = KeyState(
            side=context.side,
            cause=request.cause,
            attempt=request.attempt,
            version_removed=request.version_removed,
            may_have_written=request.may_have_written,
            entry=updated,
            local=local,
            remote=remote,
            policy=settings.conflict_policy,
            first_contact=settings.first_contact,
            include_metadata=settings.include_metadata,
            may_delete=request.may_delete,
            deletions_travel=travels,
            unrecorded=request.unrecorded.version if request.unrecorded else None,
            superseded_etag=request.etag if _was_deleted_since(request, updated) else "",
            settled=reader is not None and context.now() - reader.head.modified >= SETTLED_SECONDS,
            stale=order.is_stale,
            order_unknown=order.is_unknown,
            expires=settings.local_expires,
            unmatched=reader is not None
            and entry.unmatched == object_mark(reader.head)
            and _has_peer_finder_run(context, entry),
        )
        decision = decide_for(settings, state)
        if decision.action is Action.COMPARE and reader is not None and local is not None and remote is not None:
            await reader.close()  # its memory and its connection are free while the content is read
            same = await holds_same_content(context, request.key, local.head, remote.head)
            state = replace(state, same_content=same)
            decision = decide_for(settings, state)
            reader = await context.local.read(request.key) if decision.action is Action.PUSH else None
            if decision.action is Action.PUSH and (reader is None or not is_unchanged(reader.head, local.head)):
                raise PreconditionFailedError(f"{request.key!r} changed while it was compared")
        return await _perform(context, request, entry, state, decision, reader)
    finally:
        if reader is not None:
            await reader.close()


def _has_peer_finder_run(context: SyncContext, entry: LedgerEntry) -> bool:
    """Return True if the peer's finder has run since the object was marked."""
    return context.now() - entry.updated >= UNMATCHED_SECONDS


def _is_synced_version(observed: ObservedVersion | None, entry: LedgerEntry) -> bool:
    return observed is not None and entry.synced is not None and observed.version == entry.synced.version


def _with_own_write(entry: LedgerEntry, request: SyncRequest, local: ObservedVersion | None) -> LedgerEntry:
    """Add what this request wrote before and could not record, as long as the local version is still that one."""
    if request.unrecorded is None or local is None:
        return entry
    wrote = request.unrecorded
    if local.version != wrote.version or (entry.synced is not None and entry.synced.version == wrote.version):
        return entry
    return record_synced(entry, wrote, request, entry.updated)


async def _remove_both(
    context: SyncContext,
    request: SyncRequest,
    before: LedgerEntry,
    entry: LedgerEntry,
    local: ObservedVersion,
    remote: ObservedVersion | None,
) -> SyncResult:
    """Delete a version that a user deleted here and that a worker without that knowledge wrote again."""
    same = remote is not None and remote.version == local.version
    remote_etag = remote.head.etag if remote is not None and same else None
    await actions.delete_both(
        context, request, before=before, entry=entry, local_etag=local.head.etag, remote_etag=remote_etag
    )
    return SyncResult(Outcome.REMOVED, "written again after its deletion here")


def _was_deleted_since(request: SyncRequest, entry: LedgerEntry) -> bool:
    """Return True if the version that this event created was deleted here since."""
    created = request.cause is Cause.CREATED and request.actor is Actor.USER
    return created and bool(request.etag) and request.sequencer < entry.last_deletion


async def _perform(
    context: SyncContext,
    request: SyncRequest,
    before: LedgerEntry,
    state: KeyState,
    decision: Decision,
    reader: ObjectReader | None,
) -> SyncResult:
    entry, local, remote = state.entry, state.local, state.remote
    if decision.loser is not None:
        await _record_conflict(context, state, decision)
    if decision.action is Action.WAIT:
        if entry != before:
            await context.write(before, entry)
        raise PreconditionFailedError(decision.reason)
    if decision.action is Action.RECORD_SYNCED and local is not None and remote is not None:
        return await _record_same_version(context, request, before, state, local, remote, decision)
    if decision.action is Action.MARK_UNMATCHED and local is not None:
        if entry.unmatched != object_mark(local.head):
            await context.write(before, replace(entry, unmatched=object_mark(local.head), updated=context.now()))
        return SyncResult(Outcome.SKIPPED, decision.reason)
    if decision.action is Action.RECORD_TOMBSTONE:
        if entry.synced is not None or entry != before:
            await context.write(
                before, record_tombstone(entry, request, context.now(), by_user=_is_user_deletion(request))
            )
        return SyncResult(Outcome.SKIPPED, decision.reason)
    if decision.action is Action.PUSH and local is not None and reader is not None:
        return await _push(context, request, before, state, local, decision, reader)
    if decision.action is Action.PULL and remote is not None:
        return await _pull(context, request, before, state, remote, decision)
    if decision.action is Action.DELETE_REMOTE and remote is not None:
        await actions.delete_remote(
            context, request, before=before, entry=entry, etag=remote.head.etag, by_user=_is_user_deletion(request)
        )
        return SyncResult(Outcome.DELETED, decision.reason)
    if decision.action is Action.DELETE_BOTH and local is not None and remote is not None:
        await actions.delete_both(
            context,
            request,
            before=before,
            entry=entry,
            local_etag=local.head.etag,
            remote_etag=remote.head.etag,
            by_user=_is_user_deletion(request),
        )
        return SyncResult(Outcome.REMOVED, decision.reason)
    if decision.action is Action.DELETE_LOCAL and local is not None:
        await actions.delete_local(context, request, before=before, entry=entry, etag=local.head.etag)
        return SyncResult(Outcome.REMOVED, decision.reason)
    if entry != before:
        await context.write(before, entry)
    return SyncResult(Outcome.SKIPPED, decision.reason, conflict=decision.loser is not None)


def _is_user_deletion(request: SyncRequest) -> bool:
    return request.cause is Cause.REMOVED and request.actor is Actor.USER


async def _record_same_version(
    context: SyncContext,
    request: SyncRequest,
    before: LedgerEntry,
    state: KeyState,
    local: ObservedVersion,
    remote: ObservedVersion,
    decision: Decision,
) -> SyncResult:
    """Record the same version, or the same content under the winner's name, so that both sides use one name."""
    entry = state.entry
    ours = wins(local.version, remote.version, state.policy)
    version = names_other(state.side, local, remote) or (local if ours else remote).version
    synced = SyncedVersion(
        version, CopyState(local.head.etag, local.head.modified), CopyState(remote.head.etag, remote.head.modified)
    )
    updated = record_synced(entry, synced, request, context.now(), here=local.head)
    if entry.synced != synced or entry.sequencer < request.sequencer or entry != before:
        await context.write(before, updated)
    if updated.pending is None or request.attempt >= WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN:
        return SyncResult(Outcome.AGREED, decision.reason)
    # A worker whose message came back may still write over it.
    again = request.retry_after_conflict("a write over what both sides hold may be under way")
    return SyncResult(Outcome.AGREED, decision.reason, follow_up=again, delay=context.delay_after(request.attempt))


async def _push(
    context: SyncContext,
    request: SyncRequest,
    before: LedgerEntry,
    state: KeyState,
    local: ObservedVersion,
    decision: Decision,
    reader: ObjectReader,
) -> SyncResult:
    entry, remote = state.entry, state.remote
    if decision.loser is not None and context.settings.keep_loser and remote is not None:
        await keep_loser(context, request.key, remote, context.remote)
    if _is_to_be_announced(context, entry, remote):
        before = entry = await _announce(context, before, entry, local, remote)
    condition = MUST_NOT_EXIST if remote is None else Precondition(remote.head.etag)
    await actions.push(context, request, before=before, entry=entry, local=local, reader=reader, condition=condition)
    return SyncResult(Outcome.COPIED, decision.reason, bytes=local.head.size, conflict=decision.loser is not None)


def _is_to_be_announced(context: SyncContext, entry: LedgerEntry, remote: ObservedVersion | None) -> bool:
    """Return True for a write over a version that this ledger does not name, and for every write after such a one."""
    if context.settings.direction.one_way:
        return False
    return entry.pending is not None or (remote is not None and not _is_synced_version(remote, entry))


async def _announce(
    context: SyncContext,
    before: LedgerEntry,
    entry: LedgerEntry,
    local: ObservedVersion,
    remote: ObservedVersion | None,
) -> LedgerEntry:
    """Record what is about to be written over what, and return the entry as stored.

    If the version is deleted here on its way, its copy replaces an object that nothing else names any more.
    """
    updated = record_pending(entry, local.version, remote.version if remote is not None else None)
    if updated == before:
        return before
    await context.write(before, updated)
    return replace(updated, revision=before.revision + 1)


async def _pull(
    context: SyncContext,
    request: SyncRequest,
    before: LedgerEntry,
    state: KeyState,
    remote: ObservedVersion,
    decision: Decision,
) -> SyncResult:
    entry, local = state.entry, state.local
    if decision.loser is not None and context.settings.keep_loser and local is not None:
        await keep_loser(context, request.key, local, context.local)
    if not await actions.pull(context, request, before=before, entry=entry, local=local, remote=remote):
        return SyncResult(Outcome.SKIPPED, "changed at the peer during the check: its own event will say so")
    return SyncResult(Outcome.PULLED, decision.reason, bytes=remote.head.size, conflict=decision.loser is not None)


async def _record_conflict(context: SyncContext, state: KeyState, decision: Decision) -> None:
    """Record a conflict before its loser is overwritten. Repetitions of the same conflict have the same id."""
    local, remote = state.local, state.remote
    if local is None or remote is None or decision.loser is None:
        return
    winner = local.version if decision.loser == remote.version else remote.version
    await context.ledger.record(
        Record(
            CONFLICT,
            id=f"{key_hash(state.entry.key)}-{winner}-{decision.loser}",
            time=context.now(),
            key=state.entry.key,
            data={
                "winner": str(winner),
                "loser": str(decision.loser),
                "policy": str(state.policy),
                "kept": context.settings.keep_loser,
            },
        )
    )
