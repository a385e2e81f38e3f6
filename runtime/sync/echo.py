"""Handle echoes: events of a worker's writes, the peer's (dedicated user) or ours (own role). They cause no copy.

An echo says what both sides held at its time, even when it is read late: a deletion may wait for that proof.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.log import ECHO_LINE, Outcome
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.identify import is_valid_stamp, matches_copy
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import Events, SideName
from dualsync.runtime.sync import actions
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.sync.late_echo import (
    LateEcho,
    LateEchoState,
    classify_late_echo,
    gone_since,
    is_rewrite_candidate,
    is_superseded,
    synced_then,
)
from dualsync.runtime.sync.ledger_updates import (
    record_earlier_version,
    record_expiration,
    record_first_arrival,
    record_synced,
    record_tombstone,
    was_current_in_between,
)


async def handle_echo(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> SyncResult:
    """Record in the ledger what an echo proves.

    Raises `PreconditionFailedError`, `ConcurrentWriteError`, `RetryableError`: handle it again later.
    """
    head = await context.local.head(request.key)
    if request.cause is not Cause.CREATED:
        return await _handle_deletion(context, request, entry, head)
    if head is not None and head.etag == request.etag and _is_stamped(context, request, head):
        return await _handle_arrival(context, request, entry, head)
    return await _handle_late_arrival(context, request, entry, head)


async def _handle_deletion(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, head: ObjectHead | None
) -> SyncResult:
    """A worker deleted. What is here by now came later; only what had surely arrived before is deleted."""
    stale = entry.sequencer >= request.sequencer
    later = head is not None and (
        entry.synced is None or matches_copy(head, entry.synced.local) or not "" < entry.first_event < request.sequencer
    )
    if not stale and not later:
        await context.write(entry, record_tombstone(entry, request, context.now(), by_user=False))
    return _echo("the peer's deletion")


def _echo(reason: str) -> SyncResult:
    return SyncResult(Outcome.CANCELLED, f"{ECHO_LINE} {reason}")


def _is_stamped(context: SyncContext, request: SyncRequest, head: ObjectHead) -> bool:
    return head.stamp is not None and is_valid_stamp(head.stamp, context.settings.pair, request.key, head.size)


async def _handle_arrival(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, head: ObjectHead
) -> SyncResult:
    """The echo's version is the current one here."""
    assert head.stamp is not None  # noqa: S101 - the caller checked
    version = head.stamp.version
    if _is_second_arrival(request, entry, head, version):
        return await _delete_both(context, request, entry, head, version)
    if entry.was_deleted(version) and "" < entry.last_deletion < request.sequencer and request.actor is Actor.ECHO:
        # A user deleted this version here, and the peer's worker wrote it again without knowing.
        await actions.delete_local(context, request, before=entry, entry=entry, etag=head.etag)
        return SyncResult(Outcome.REMOVED, "a copy that arrived after its deletion")
    local = CopyState(head.etag, head.modified)
    if entry.synced is not None and entry.synced.version == version:
        synced = SyncedVersion(version, local, entry.synced.remote)
        updated = record_synced(entry, synced, request, entry.updated, here=head)
        if updated.rewritten_after_deletion:
            return await _delete_both(context, request, entry, head, version)
        if updated != entry:
            await context.write(entry, replace(updated, updated=context.now()))
        return _echo("known")
    if entry.sequencer > request.sequencer and entry.synced is not None:
        if was_current_in_between(entry, request.sequencer) and version.origin is context.side.peer:
            former = SyncedVersion(version, local, CopyState(*version.shown))
            await context.write(entry, record_earlier_version(entry, former, request))
        return _echo("older than what was agreed since")
    remote = await _remote_copy(context, request, entry, version)
    if remote is None:
        return _echo("the peer holds another version by now")
    updated = record_synced(entry, SyncedVersion(version, local, remote), request, context.now(), here=head)
    if updated.rewritten_after_deletion:
        return await _delete_both(context, request, entry, head, version)
    await context.write(entry, updated)
    return _echo("learnt")


def _is_second_arrival(request: SyncRequest, entry: LedgerEntry, head: ObjectHead, version: OriginVersion) -> bool:
    """Return True for a second arrival of a version that a user deleted here before the first one could be named.

    Either this is the first arrival's echo, read after the deletion, or the ETag of the first one was kept. What was
    written at the peer after the deletion is another version, perhaps with the same bytes; what bears a time before
    the deletion was brought back by a user.
    """
    if not entry.last_deletion or not version.modified < entry.deleted_at <= head.modified:
        return False
    return request.sequencer < entry.last_deletion or _unnamed(version.origin, head.etag) in entry.deleted_versions


async def _delete_both(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, head: ObjectHead, version: OriginVersion
) -> SyncResult:
    """A user deleted this version here, and a worker that did not know it wrote it again."""
    remote = await context.remote.head(request.key)
    same = remote is not None and context.observe_remote(remote, entry).version == version
    remote_etag = remote.etag if remote is not None and same else None
    await actions.delete_both(
        context, request, before=entry, entry=entry, local_etag=head.etag, remote_etag=remote_etag
    )
    return SyncResult(Outcome.REMOVED, "written again after its deletion here")


def _unnamed(origin: SideName, etag: str) -> SyncedVersion:
    """A version of which only the ETag here is known: it was gone before its stamp could be read."""
    return SyncedVersion(OriginVersion(origin, 0, ""), CopyState(etag), CopyState(""))


async def _remote_copy(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, version: OriginVersion
) -> CopyState | None:
    """Return what the peer held of this version when it wrote it here: for its own versions the stamp says it."""
    if version.origin is context.side.peer:
        return CopyState(*version.shown)
    head = await context.remote.head(request.key)
    if head is None or context.observe_remote(head, entry).version != version:
        return None
    return CopyState(head.etag, head.modified)


async def _former_head(context: SyncContext, request: SyncRequest) -> ObjectHead | None:
    """Return the echo's version, if the bucket keeps versions and still has it.

    On a bucket with suspended versioning the id is `null`, and names whatever was written last: the ETag tells.
    """
    head = await context.local.head(request.key, request.version_id) if request.version_id else None
    return head if head is not None and head.etag == request.etag and _is_stamped(context, request, head) else None


async def _handle_late_arrival(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, local: ObjectHead | None
) -> SyncResult:
    """The echo's version was deleted or replaced. Observe what the classification needs, and handle the case."""
    if is_rewrite_candidate(entry, request, local) and local is not None and entry.synced is not None:
        former = await _former_head(context, request)
        if former is not None and former.stamp is not None and former.stamp.version == entry.synced.version:
            first = record_first_arrival(entry, request)
            if first.rewritten_after_deletion:
                return await _delete_both(context, request, first, local, entry.synced.version)
            if first != entry:
                await context.write(entry, first)
    superseded = is_superseded(entry, request, local)
    former = None
    if not superseded or gone_since(entry, request, local):
        former = await _former_head(context, request)
    remote = None if superseded else await context.remote.head(request.key)
    state = LateEchoState(
        entry,
        request,
        local,
        former.stamp.version if former is not None and former.stamp is not None else None,
        context.observe_remote(remote, entry) if remote is not None else None,
        context.settings.events is not Events.CREATE,
    )
    case = classify_late_echo(state)
    if case is LateEcho.FORMER_VERSION and former is not None:
        return await _handle_former_version(context, state, former)
    return await _HANDLERS[case](context, state)


async def _handle_former_version(context: SyncContext, state: LateEchoState, former: ObjectHead) -> SyncResult:
    entry = state.entry
    if state.known is not None:
        deleted = SyncedVersion(state.known, CopyState(former.etag, former.modified), CopyState(""))
        await _write_if_new(context, entry, replace(entry, deleted_versions=entry.with_deleted(deleted)))
    return _echo("late: a later event was acted on")


async def _handle_superseded(context: SyncContext, state: LateEchoState) -> SyncResult:
    return _echo("late: a later event was acted on")


async def _handle_gone_at_peer(context: SyncContext, state: LateEchoState) -> SyncResult:
    return _echo("late: gone on the other side as well")


async def _handle_replaced_at_peer(context: SyncContext, state: LateEchoState) -> SyncResult:
    return _echo("late: the peer holds another version by now")


async def _handle_deleted_unnamed(context: SyncContext, state: LateEchoState) -> SyncResult:
    entry = state.entry
    deleted = entry.with_deleted(_unnamed(context.side.peer, state.request.etag))
    await _write_if_new(context, entry, replace(entry, deleted_versions=deleted))
    return _echo("late: the peer holds another version by now")


async def _handle_copy_of_synced(context: SyncContext, state: LateEchoState) -> SyncResult:
    await _write_if_new(context, state.entry, record_first_arrival(state.entry, state.request))
    return _echo("late: one of its copies")


async def _handle_rewritten(context: SyncContext, state: LateEchoState) -> SyncResult:
    entry, local = state.entry, state.local
    if local is None or entry.synced is None:
        raise ValueError("a rewritten version is the current and the synced one")
    first = record_first_arrival(entry, state.request)
    return await _delete_both(context, state.request, first, local, entry.synced.version)


async def _handle_before_synced(context: SyncContext, state: LateEchoState) -> SyncResult:
    former = synced_then(state, _remote(state))
    await context.write(state.entry, record_earlier_version(state.entry, former, state.request))
    return _echo("late: it came before what was agreed since")


async def _handle_deleted_before_echo(context: SyncContext, state: LateEchoState) -> SyncResult:
    remote = _remote(state)
    proven = replace(state.entry, synced=synced_then(state, remote))
    await actions.delete_remote(
        context, state.request, before=state.entry, entry=proven, etag=remote.head.etag, by_user=False
    )
    return SyncResult(Outcome.DELETED, "deleted here before its echo came")


async def _handle_expired_since(context: SyncContext, state: LateEchoState) -> SyncResult:
    learnt = _learn(context, state)
    await context.write(state.entry, record_expiration(learnt, state.request, context.now()))
    return _echo("learnt late")


async def _handle_learnt(context: SyncContext, state: LateEchoState) -> SyncResult:
    await context.write(state.entry, _learn(context, state))
    return _echo("learnt late")


async def _handle_learnt_replaced(context: SyncContext, state: LateEchoState) -> SyncResult:
    await context.write(state.entry, _learn(context, state))
    request = state.request
    check = SyncRequest(request.key, Cause.FINDER, first_sent=request.first_sent, full_check=True, reason="learnt late")
    return replace(_echo("learnt late"), follow_up=check)


_HANDLERS = {
    LateEcho.SUPERSEDED: _handle_superseded,
    LateEcho.FORMER_VERSION: _handle_superseded,
    LateEcho.GONE_AT_PEER: _handle_gone_at_peer,
    LateEcho.REPLACED_AT_PEER: _handle_replaced_at_peer,
    LateEcho.DELETED_UNNAMED: _handle_deleted_unnamed,
    LateEcho.COPY_OF_SYNCED: _handle_copy_of_synced,
    LateEcho.REWRITTEN: _handle_rewritten,
    LateEcho.BEFORE_SYNCED: _handle_before_synced,
    LateEcho.DELETED_BEFORE_ECHO: _handle_deleted_before_echo,
    LateEcho.EXPIRED_SINCE: _handle_expired_since,
    LateEcho.LEARNT: _handle_learnt,
    LateEcho.LEARNT_REPLACED: _handle_learnt_replaced,
}


def _learn(context: SyncContext, state: LateEchoState) -> LedgerEntry:
    """Return the entry with the echo's version as the synced one, and as deleted if a user deleted it since."""
    synced = synced_then(state, _remote(state))
    learnt = record_synced(state.entry, synced, state.request, context.now())
    if state.request.sequencer < state.entry.last_deletion:
        return replace(learnt, deleted_versions=learnt.with_deleted(synced))
    return learnt


def _remote(state: LateEchoState) -> ObservedVersion:
    if state.remote is None:
        raise ValueError("the case needs the peer's object")
    return state.remote


async def _write_if_new(context: SyncContext, before: LedgerEntry, after: LedgerEntry) -> None:
    if after != before:
        await context.write(before, after)
