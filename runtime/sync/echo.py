"""Handle echoes: events of a worker's writes, the peer's (dedicated user) or ours (own role). They cause no copy.

An echo says what both sides held at its time, even when it is read late: a deletion may wait for that proof.
"""

from __future__ import annotations

from dataclasses import replace

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.log import ECHO_LINE, Outcome
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.arrival import is_in_parts
from dualsync.runtime.model.identify import is_unchanged, is_valid_stamp, matches_copy
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import Events
from dualsync.runtime.sync import actions
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.sync.late_echo import (
    LateEcho,
    LateEchoState,
    classify_late_echo,
    is_gone_since,
    is_rewrite_candidate,
    is_superseded,
    synced_at_echo,
)
from dualsync.runtime.sync.ledger_updates import (
    record_arrival,
    record_earlier_version,
    record_expiration,
    record_first_arrival,
    record_synced,
    record_tombstone,
    record_unlearnt_echo,
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
    """Handle an echo of a deletion. What is here now came later; only what surely arrived before is deleted."""
    stale = entry.sequencer >= request.sequencer
    later = head is not None and (
        entry.synced is None or matches_copy(head, entry.synced.local) or not "" < entry.first_event < request.sequencer
    )
    if not stale and not later and not await _is_known_version_at_peer(context, request, entry):
        await context.write(entry, record_tombstone(entry, request, context.now(), by_user=False))
    return _echo_result("the peer's deletion")


async def _is_known_version_at_peer(context: SyncContext, request: SyncRequest, entry: LedgerEntry) -> bool:
    """Return True if the peer still holds the synced version, or the one that expired here.

    Then its worker has not deleted it here for good, and a deletion by a user that is read later must find it known.
    """
    known = entry.synced or entry.expired
    if known is None:
        return False
    remote = await context.remote.head(request.key)
    return remote is not None and context.observe_remote(remote, entry).version == known.version


def _echo_result(reason: str) -> SyncResult:
    return SyncResult(Outcome.CANCELLED, f"{ECHO_LINE} {reason}")


def _is_stamped(context: SyncContext, request: SyncRequest, head: ObjectHead) -> bool:
    return head.stamp is not None and is_valid_stamp(head.stamp, context.settings.pair, request.key, head.size)


def _names(head: ObjectHead, version: OriginVersion) -> bool:
    return head.stamp is not None and head.stamp.version == version


async def _handle_arrival(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, head: ObjectHead
) -> SyncResult:
    """Handle an echo whose version is the current one here."""
    assert head.stamp is not None  # noqa: S101 - the caller checked
    version = head.stamp.version
    second = await _is_second_copy(context, request, head, version)
    deleted = "" < entry.last_deletion < request.sequencer and request.actor is Actor.ECHO
    if deleted and entry.was_rewritten(version, head.modified):
        # A user deleted this version here, and the peer's worker wrote it again without knowing: the ledger has the
        # time of the copy that was deleted, and this is another copy.
        await actions.delete_local(context, request, before=entry, entry=entry, etag=head.etag)
        return SyncResult(Outcome.REMOVED, "a copy that arrived after its deletion")
    local = CopyState(head.etag, head.modified)
    if entry.synced is not None and entry.synced.version == version:
        synced = SyncedVersion(version, local, entry.synced.remote)
        updated = record_synced(entry, synced, request, entry.updated, here=head)
        updated = replace(updated, second_copy=updated.second_copy or second)
        if updated.rewritten_after_deletion:
            return await _delete_both(context, request, entry, head, version)
        if updated != entry:
            await context.write(entry, replace(updated, updated=context.now()))
        if updated.pending is not None:
            check = _check_request(request, "a write over what both sides held may have ended")
            return replace(_echo_result("known"), follow_up=check)
        return _echo_result("known")
    if entry.sequencer > request.sequencer and entry.synced is not None:
        updated = record_unlearnt_echo(entry, head)
        if was_current_in_between(entry, request.sequencer) and version.origin is context.side.peer:
            former = SyncedVersion(version, local, CopyState(*version.etag_and_modified))
            updated = record_earlier_version(updated, former, request)
        await _write_if_new(context, entry, updated)
        # What is here is not what the ledger knows, whatever the order of events says: the buckets decide.
        return replace(
            _echo_result("older than what was agreed since"),
            follow_up=_check_request(request, "not the synced version"),
        )
    remote = await _remote_copy(context, request, entry, version)
    if remote is None:
        await _write_if_new(context, entry, record_unlearnt_echo(entry, head))
        return _echo_result("the peer holds another version by now")
    updated = record_synced(entry, SyncedVersion(version, local, remote), request, context.now(), here=head)
    updated = replace(updated, second_copy=updated.second_copy or second)
    if updated.rewritten_after_deletion:
        return await _delete_both(context, request, entry, head, version)
    await context.write(entry, updated)
    return _echo_result("learnt")


async def _is_second_copy(context: SyncContext, request: SyncRequest, head: ObjectHead, version: OriginVersion) -> bool:
    """Return True if the echo is of another copy of the version that is here, and the bucket still shows that copy."""
    if not head.version_id or request.version_id in ("", head.version_id):
        return False
    former = await _former_head(context, request)
    return former is not None and _names(former, version)


async def _delete_both(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, head: ObjectHead, version: OriginVersion
) -> SyncResult:
    """Delete a version that a user deleted here and that a worker without that knowledge wrote again."""
    remote = await context.remote.head(request.key)
    same = remote is not None and context.observe_remote(remote, entry).version == version
    remote_etag = remote.etag if remote is not None and same else None
    await actions.delete_both(
        context, request, before=entry, entry=entry, local_etag=head.etag, remote_etag=remote_etag
    )
    return SyncResult(Outcome.REMOVED, "written again after its deletion here")


async def _remote_copy(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, version: OriginVersion
) -> CopyState | None:
    """Return what the peer held of this version when it wrote it here: for its own versions the stamp says it."""
    if version.origin is context.side.peer:
        return CopyState(*version.etag_and_modified)
    head = await context.remote.head(request.key)
    if head is None or context.observe_remote(head, entry).version != version:
        return None
    return CopyState(head.etag, head.modified)


async def _former_head(context: SyncContext, request: SyncRequest) -> ObjectHead | None:
    """Return the echo's version, if the bucket keeps versions and still has it, and showed it when it was written.

    On a bucket with suspended versioning the id is `null`, and names whatever was written last: the ETag tells. An
    upload in parts is no proof: it may have been completed below what was written or deleted after its start
    ("Concurrent multipart upload operations", Amazon S3 User Guide).
    """
    if not request.version_id or is_in_parts(request.etag):
        return None
    head = await context.local.head(request.key, request.version_id)
    return head if head is not None and head.etag == request.etag and _is_stamped(context, request, head) else None


async def _handle_late_arrival(
    context: SyncContext, request: SyncRequest, entry: LedgerEntry, local: ObjectHead | None
) -> SyncResult:
    """Handle an echo whose version was deleted or replaced: observe what the classification needs, then act on it."""
    if is_rewrite_candidate(entry, request, local) and local is not None and entry.synced is not None:
        former = await _former_head(context, request)
        version = entry.synced.version
        if former is not None and _names(former, version):
            first = record_first_arrival(entry, request, former, local)
            current = _is_stamped(context, request, local) and _names(local, version)
            if current and first.rewritten_after_deletion:
                return await _delete_both(context, request, first, local, version)
            if first != entry:
                await context.write(entry, first)
    superseded = is_superseded(entry, request, local)
    former = None
    if not superseded or is_gone_since(entry, request, local):
        former = await _former_head(context, request)
    if former is not None and not _is_same_head(await context.local.head(request.key), local):
        raise PreconditionFailedError("the key was written while the echo's version was read")
    remote = None if superseded or former is None else await context.remote.head(request.key)
    state = LateEchoState(
        entry,
        request,
        local,
        former,
        context.observe_remote(remote, entry) if remote is not None else None,
        context.settings.events is not Events.CREATE,
    )
    return await _HANDLERS[classify_late_echo(state)](context, state)


def _is_same_head(now: ObjectHead | None, before: ObjectHead | None) -> bool:
    """Return True if the bucket still shows what it showed before the former version was read.

    A suspended bucket's id `null` names the current version, which may have arrived in between.
    """
    return now is before if now is None or before is None else is_unchanged(now, before)


def _synced_at_echo(state: LateEchoState) -> SyncedVersion:
    """Return what both sides held, in the cases that a former version and the peer's object prove."""
    if state.former is None or state.former.stamp is None or state.remote is None:
        raise ValueError("this case needs a former version and the peer's object")
    return synced_at_echo(state.former.stamp.version, state.former, state.remote)


async def _handle_former_version(context: SyncContext, state: LateEchoState) -> SyncResult:
    entry, former = state.entry, state.former
    if former is not None and former.stamp is not None:
        deleted = SyncedVersion(former.stamp.version, CopyState(former.etag, former.modified), CopyState(""))
        await _write_if_new(context, entry, replace(entry, deleted_versions=entry.with_deleted(deleted)))
    return _echo_result("late: a later event was acted on")


async def _handle_unproven(context: SyncContext, state: LateEchoState) -> SyncResult:
    if state.local is not None and state.local.etag == state.request.etag:
        # It is here, but without a stamp: there was no room for one. The two buckets decide what it is.
        return replace(
            _echo_result("a copy without a stamp"), follow_up=_check_request(state.request, "a copy without a stamp")
        )
    if state.local is None:
        await _write_if_new(context, state.entry, record_arrival(state.entry, state.request))
    return _echo_result("late: nothing here shows its version any more")


async def _handle_superseded(context: SyncContext, state: LateEchoState) -> SyncResult:
    return _echo_result("late: a later event was acted on")


async def _handle_gone_at_peer(context: SyncContext, state: LateEchoState) -> SyncResult:
    return _echo_result("late: gone on the other side as well")


async def _handle_replaced_at_peer(context: SyncContext, state: LateEchoState) -> SyncResult:
    return _echo_result("late: the peer holds another version by now")


async def _handle_copy_of_synced(context: SyncContext, state: LateEchoState) -> SyncResult:
    await _write_if_new(context, state.entry, _first_arrival(state))
    return _echo_result("late: one of its copies")


async def _handle_rewritten(context: SyncContext, state: LateEchoState) -> SyncResult:
    entry, local = state.entry, state.local
    if local is None or entry.synced is None:
        raise ValueError("a rewritten version is the current and the synced one")
    return await _delete_both(context, state.request, _first_arrival(state), local, entry.synced.version)


def _first_arrival(state: LateEchoState) -> LedgerEntry:
    if state.former is None:
        raise ValueError("an earlier copy is one that the bucket still shows")
    return record_first_arrival(state.entry, state.request, state.former, state.local)


async def _handle_before_synced(context: SyncContext, state: LateEchoState) -> SyncResult:
    await context.write(state.entry, record_earlier_version(state.entry, _synced_at_echo(state), state.request))
    return _echo_result("late: it came before what was agreed since")


async def _handle_deleted_before_echo(context: SyncContext, state: LateEchoState) -> SyncResult:
    then = _synced_at_echo(state)
    proven = replace(state.entry, synced=then)
    await actions.delete_remote(
        context, state.request, before=state.entry, entry=proven, etag=then.remote.etag, by_user=False
    )
    return SyncResult(Outcome.DELETED, "deleted here before its echo came")


async def _handle_expired_since(context: SyncContext, state: LateEchoState) -> SyncResult:
    learnt = _record_new_version(context, state)
    await context.write(state.entry, record_expiration(learnt, state.request, context.now()))
    return _echo_result("learnt late")


async def _handle_learnt(context: SyncContext, state: LateEchoState) -> SyncResult:
    await context.write(state.entry, _record_new_version(context, state))
    return _echo_result("learnt late")


async def _handle_learnt_replaced(context: SyncContext, state: LateEchoState) -> SyncResult:
    await context.write(state.entry, _record_new_version(context, state))
    return replace(_echo_result("learnt late"), follow_up=_check_request(state.request, "learnt late"))


def _check_request(request: SyncRequest, reason: str) -> SyncRequest:
    return SyncRequest(request.key, Cause.FINDER, first_sent=request.first_sent, full_check=True, reason=reason)


_HANDLERS = {
    LateEcho.SUPERSEDED: _handle_superseded,
    LateEcho.FORMER_VERSION: _handle_former_version,
    LateEcho.UNPROVEN: _handle_unproven,
    LateEcho.GONE_AT_PEER: _handle_gone_at_peer,
    LateEcho.REPLACED_AT_PEER: _handle_replaced_at_peer,
    LateEcho.COPY_OF_SYNCED: _handle_copy_of_synced,
    LateEcho.REWRITTEN: _handle_rewritten,
    LateEcho.BEFORE_SYNCED: _handle_before_synced,
    LateEcho.DELETED_BEFORE_ECHO: _handle_deleted_before_echo,
    LateEcho.EXPIRED_SINCE: _handle_expired_since,
    LateEcho.LEARNT: _handle_learnt,
    LateEcho.LEARNT_REPLACED: _handle_learnt_replaced,
}


def _record_new_version(context: SyncContext, state: LateEchoState) -> LedgerEntry:
    """Return the entry with the echo's version as the synced one, and as deleted if a user deleted it since."""
    synced = _synced_at_echo(state)
    learnt = record_synced(state.entry, synced, state.request, context.now())
    if state.request.sequencer < state.entry.last_deletion:
        return replace(learnt, deleted_versions=learnt.with_deleted(synced))
    return learnt


async def _write_if_new(context: SyncContext, before: LedgerEntry, after: LedgerEntry) -> None:
    if after != before:
        await context.write(before, after)
