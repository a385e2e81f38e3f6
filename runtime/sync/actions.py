"""Write and delete objects, and record it: all effects of synchronisation on the two buckets.

No other module of `sync`, `finder` or `service` writes or deletes an object (tests/unit/test_architecture.py). Each
function takes the state that the caller observed and makes its call conditional on it. The bucket comes first and the
ledger second: after a crash in between, the message is received again and finds the effect done.

`before` is the entry as it is stored, `entry` the same with what the request added to it.
"""

from __future__ import annotations

from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import MUST_NOT_EXIST, ObjectHead, Precondition
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.ports import Bucket, ObjectReader
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.sync.ledger_updates import record_synced, record_tombstone


async def push(
    context: SyncContext,
    request: SyncRequest,
    *,
    before: LedgerEntry,
    entry: LedgerEntry,
    local: ObservedVersion,
    reader: ObjectReader,
    condition: Precondition,
) -> None:
    """Write the local version, which `reader` reads, to the peer if the peer's bucket fulfils `condition`.

    Raises `PreconditionFailedError`, `ConcurrentWriteError`, `RetryableError`, and `LedgerWriteFailedError` when only
    the ledger could not be written.
    """
    stamp = context.stamp(request.key, local.version, local.head.size)
    written = await context.copier.copy(context.push_route, reader, request.key, stamp, condition)
    synced = SyncedVersion(local.version, _copy_state(local.head), CopyState(written.etag))
    await context.write_synced(before, record_synced(entry, synced, request, context.now(), here=local.head))


async def pull(
    context: SyncContext,
    request: SyncRequest,
    *,
    before: LedgerEntry,
    entry: LedgerEntry,
    local: ObservedVersion | None,
    remote: ObservedVersion,
) -> bool:
    """Write the peer's version here, over exactly the local version that was observed.

    Returns False if the peer holds another version by now. Raises as `push` does.
    """
    reader = await context.remote.read(request.key)
    if reader is None or context.observe_remote(reader.head, entry).version != remote.version:
        if reader is not None:
            await reader.close()
        return False
    condition = MUST_NOT_EXIST if local is None else Precondition(local.head.etag)
    stamp = context.stamp(request.key, remote.version, remote.head.size)
    written = await context.copier.copy(context.pull_route, reader, request.key, stamp, condition)
    synced = SyncedVersion(remote.version, CopyState(written.etag), _copy_state(remote.head))
    await context.write(before, record_synced(entry, synced, request, context.now()))
    return True


async def copy_to_new_key(
    context: SyncContext,
    key: str,
    *,
    holder: Bucket,
    target: Bucket,
    reader: ObjectReader,
    loser: OriginVersion,
    to: str,
) -> None:
    """Copy what `reader` reads at `key` to the new key `to` of `target`.

    Raises `PreconditionFailedError` if `to` exists.
    """
    stamp = context.stamp(to, loser, reader.head.size)
    await context.copier.copy(context.route(holder, target), reader, key, stamp, MUST_NOT_EXIST, to=to)


async def delete_remote(
    context: SyncContext, request: SyncRequest, *, before: LedgerEntry, entry: LedgerEntry, etag: str, by_user: bool
) -> None:
    """Delete the peer's object if it still has `etag`, and record the tombstone."""
    await context.remote.delete(request.key, Precondition(etag))
    await _record_tombstone(context, request, before, entry, by_user=by_user)


async def delete_local(
    context: SyncContext, request: SyncRequest, *, before: LedgerEntry, entry: LedgerEntry, etag: str
) -> None:
    """Delete the local object if it still has `etag`, and record the tombstone."""
    await context.local.delete(request.key, Precondition(etag))
    await _record_tombstone(context, request, before, entry, by_user=False)


async def delete_both(
    context: SyncContext,
    request: SyncRequest,
    *,
    before: LedgerEntry,
    entry: LedgerEntry,
    local_etag: str,
    remote_etag: str | None,
    by_user: bool = False,
) -> None:
    """Delete the object on both sides, and record the tombstone. `remote_etag` is None if the peer's is to stay.

    The peer's is deleted first: as long as the local object exists, it is the proof that a repetition needs.
    """
    if remote_etag is not None:
        await context.remote.delete(request.key, Precondition(remote_etag))
    await context.local.delete(request.key, Precondition(local_etag))
    await _record_tombstone(context, request, before, entry, by_user=by_user)


async def _record_tombstone(
    context: SyncContext, request: SyncRequest, before: LedgerEntry, entry: LedgerEntry, *, by_user: bool
) -> None:
    await context.write(before, record_tombstone(entry, request, context.now(), by_user=by_user))


def _copy_state(head: ObjectHead) -> CopyState:
    return CopyState(head.etag, head.modified)
