"""Deletions that wait for an operator: which they are, approving them, and taking them back.

The finder holds the deletions of a run that are too many. A paused direction holds its own in its queue. Both appear
here alike: keys that one side lacks, that the other still has, and that a ledger proves to have been on both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from dualsync.runtime.errors import PermanentError, PreconditionFailedError, RetryableError
from dualsync.runtime.finder.classify import Rules, classify
from dualsync.runtime.finder.merge import ListedPair, MergeCounters, merge
from dualsync.runtime.finder.scoped_listing import list_scope
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.key_filter import KeyRange
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION, Record
from dualsync.runtime.operations.audit import audit_act
from dualsync.runtime.operations.context import OperatorContext, Side

BATCH = 100
"""Keys asked of a ledger at a time."""
AT_ONCE = 16
"""Objects written again at a time."""
ATTEMPTS = 5
APPROVAL_ID = "approval"


@dataclass(frozen=True, slots=True)
class PendingDeletion:
    """A key that is gone at one side and still at the other."""

    key: str
    """The key, relative to the prefix."""
    deleted_side: Side
    """The side without it."""
    remaining_side: Side
    """The side that still has it."""
    etag: str
    """The survivor's ETag."""
    size: int
    """The survivor's bytes."""
    modified: int
    """When the survivor was written, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class HeldDeletions:
    """Deletions that a side's finder holds."""

    side: Side
    """The side."""
    record: Record
    """The finder's record: count, reason and a sample."""
    approval: Record | None
    """The operator's approval, if there is one."""

    @property
    def count(self) -> int:
        """The number of deletions that the finder's last run held."""
        value = self.record.data.get("count", 0)
        return value if isinstance(value, int) else 0


async def held_deletions(context: OperatorContext) -> list[HeldDeletions]:
    """Return the held deletions of every side."""
    found = []
    for side in context.sides.values():
        record = await _first(side, HELD_DELETION)
        if record is not None:
            found.append(HeldDeletions(side, record, await _first(side, DELETION_APPROVAL)))
    return found


async def pending_deletions(context: OperatorContext, prefix: str = "") -> AsyncIterator[list[PendingDeletion]]:
    """Yield all deletions that have not reached the other side, from both listings and both ledgers as they are now."""
    cn, global_ = context.both()
    lonely: list[ListedPair] = []
    scopes = [await side.scope() for side in context.carriers]
    scope, theirs = scopes[0], scopes[-1]
    here, there = list_scope(scope, cn.bucket, KeyRange()), list_scope(scope, global_.bucket, KeyRange())
    async for pairs in merge(here, there, MergeCounters()):
        lonely += [
            p
            for p in pairs
            if (p.here is None or p.there is None) and p.key.startswith(prefix) and theirs.covers(p.key)
        ]
        while len(lonely) >= BATCH:
            yield await _proven_deletions(cn, global_, lonely[:BATCH])
            del lonely[:BATCH]
    if lonely:
        yield await _proven_deletions(cn, global_, lonely)


async def _proven_deletions(cn: Side, global_: Side, pairs: Sequence[ListedPair]) -> list[PendingDeletion]:
    keys = [pair.key for pair in pairs]
    ours, theirs = await asyncio.gather(cn.ledger.get_many(keys), global_.ledger.get_many(keys))
    found = []
    for pair in pairs:
        mirrored = ListedPair(pair.key, pair.there, pair.here)
        here = classify(pair, ours.get(pair.key), Rules.from_settings(cn.settings))
        there = classify(mirrored, theirs.get(pair.key), Rules.from_settings(global_.settings))
        if any(difference is not None and difference.is_deletion for difference in (here, there)):
            row = pair.here or pair.there
            gone, kept = (global_, cn) if pair.here is not None else (cn, global_)
            if row is not None:
                found.append(PendingDeletion(pair.key, gone, kept, row.etag, row.size, row.modified))
    return found


async def approve(context: OperatorContext, holds: Sequence[HeldDeletions], up_to: int | None = None) -> int:
    """Let the finder's next run do up to N deletions (default: as many as it held); return how many are approved."""
    most = 0
    for hold in holds:
        count = hold.count if up_to is None else up_to
        async with audit_act(
            context, [hold.side], "deletions approve", {"direction": hold.side.direction, "up_to": count}
        ):
            data: dict[str, object] = {"up_to": count, "by": context.operator_arns}
            await hold.side.ledger.record(Record(DELETION_APPROVAL, APPROVAL_ID, context.now(), data=data))
        most = max(most, count)
    return most


async def queue_pending(
    context: OperatorContext, prefix: str, direction: str, up_to: int | None, on_progress: Callable[[int], None]
) -> int:
    """Queue the pending deletions below a prefix or of one direction now; return how many.

    Each goes to the side that lost the object. Its worker proves the deletion again, and deletes the other side's
    object only if it is still the version that the ledger knows. What the finder holds besides stays held.
    """
    queued = 0
    names = {side.name for side in context.carriers if direction in ("all", side.name, side.direction)}
    arguments: dict[str, object] = {"prefix": prefix, "direction": direction, "up_to": up_to}
    concerned = [side for side in context.sides.values() if side.name in names]
    async with audit_act(context, concerned, "deletions approve", arguments) as act:
        async for batch in pending_deletions(context, prefix):
            for side in concerned:
                chosen = [d for d in batch if d.deleted_side.name == side.name]
                if up_to is not None:
                    chosen = chosen[: up_to - queued]
                await side.queue.send([_request(context, d.key) for d in chosen])
                queued += len(chosen)
            on_progress(len(batch))
        act.result["queued"] = queued
    return queued


def _request(context: OperatorContext, key: str) -> str:
    request = SyncRequest(
        key,
        Cause.FINDER,
        first_sent=float(context.now()),
        full_check=True,
        may_delete=True,
        reason="deletion approved by an operator",
    )
    return sync_request_codec.encode(request)


@dataclass(slots=True)
class RejectResult:
    """The result of a rejection, in keys."""

    kept: int = 0
    """Written again."""
    changed: int = 0
    """Written or deleted by others meanwhile."""
    failed: dict[str, str] = field(default_factory=dict)
    """Keys that could not be written again, and why."""


async def reject(
    context: OperatorContext, prefix: str, key: str, on_progress: Callable[[RejectResult], None]
) -> RejectResult:
    """Take the deletions back: write each survivor again, as the operator, so that it travels.

    First the proof of the deletion is removed from the ledger of the side that lost the object, so that no deletion
    under way can reach what is written again with the same content. Then the survivor is copied onto itself, as a
    user's new version. An interruption between the two leaves the deletion held; a repetition completes it. An object
    that fails stops no other. In a one-way pair only the proof is removed: the survivor stays at the destination.
    """
    tally = RejectResult()
    slots = asyncio.Semaphore(AT_ONCE)

    async def restore(deletion: PendingDeletion) -> None:
        async with slots:
            try:
                await _forget(context, deletion.deleted_side, deletion.key)
                store = deletion.remaining_side.store
                if context.one_way:
                    # Written there, it would not travel back. Without its proof it is the destination's own.
                    tally.kept += 1
                    return
                await store.rewrite_as_user(deletion.key, deletion.etag, deletion.key, over=deletion.etag)
                tally.kept += 1
            except PreconditionFailedError:
                tally.changed += 1
            except (RetryableError, PermanentError) as e:
                tally.failed[deletion.key] = str(e)
        on_progress(tally)

    arguments: dict[str, object] = {"prefix": prefix, "key": key}
    async with audit_act(context, context.sides.values(), "deletions reject", arguments) as act:
        async for batch in pending_deletions(context, key or prefix):
            chosen = [deletion for deletion in batch if key in ("", deletion.key)]
            await asyncio.gather(*(restore(deletion) for deletion in chosen))
        if not (prefix or key or tally.failed):
            for hold in await held_deletions(context):
                await hold.side.ledger.remove_record(hold.record)
                if hold.approval is not None:
                    await hold.side.ledger.remove_record(hold.approval)
        act.result.update(kept=tally.kept, changed=tally.changed, failed=len(tally.failed))
    return tally


async def _forget(context: OperatorContext, side: Side, key: str) -> None:
    """Remove all but the sequencer from the key's ledger entry. Raises `PreconditionFailedError`."""
    for attempt in range(ATTEMPTS):
        entry = await side.ledger.get(key)
        if entry is None:
            return
        blank = LedgerEntry(key, entry.revision + 1, sequencer=entry.sequencer, updated=context.now())
        try:
            await side.ledger.put(blank, entry.revision)
            return
        except PreconditionFailedError:
            if attempt == ATTEMPTS - 1:
                raise


async def _first(side: Side, kind: str) -> Record | None:
    async for record in side.ledger.records(kind):
        return record
    return None
