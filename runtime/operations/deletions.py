"""Deletions that wait for a person: what they are, letting them go, and taking them back.

The finder holds the deletions of a run that are too many; a paused direction holds its own in its queue. Both are seen
here alike: keys that one side lacks, that the other still has, and that a ledger proves to have been on both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.finder.classify import Rules, classify
from dualsync.runtime.finder.merge import ListedPair, MergeCounters, merge
from dualsync.runtime.finder.scoped_listing import list_scope
from dualsync.runtime.model.key_filter import KeyRange
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION, Record
from dualsync.runtime.operations.audit import audited
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.settings import Events

BATCH = 100
"""Keys asked of a ledger at a time."""
AT_ONCE = 16
"""Objects written again at a time."""
ATTEMPTS = 5
APPROVAL_ID = "approval"


@dataclass(frozen=True, slots=True)
class Deletion:
    """A key that is gone at one side and still at `kept`; ETag and size are the survivor's."""

    key: str
    gone: Side
    kept: Side
    etag: str
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a side's finder holds, and whether it was approved."""

    side: Side
    record: Record
    approval: Record | None

    @property
    def count(self) -> int:
        """How many deletions the finder's last run held."""
        value = self.record.data.get("count", 0)
        return value if isinstance(value, int) else 0


async def held(context: OperatorContext) -> list[Held]:
    """The held deletions of every side."""
    found = []
    for side in context.sides.values():
        record = await _first(side, HELD_DELETION)
        if record is not None:
            found.append(Held(side, record, await _first(side, DELETION_APPROVAL)))
    return found


async def pending(context: OperatorContext, prefix: str = "") -> AsyncIterator[list[Deletion]]:
    """All deletions that have not reached the other side, from both listings and both ledgers as they are now."""
    cn, global_ = context.both()
    lonely: list[ListedPair] = []
    scope, theirs = await cn.scope(), await global_.scope()
    here, there = list_scope(scope, cn.bucket, KeyRange()), list_scope(scope, global_.bucket, KeyRange())
    async for pairs in merge(here, there, MergeCounters()):
        lonely += [
            p
            for p in pairs
            if (p.here is None or p.there is None) and p.key.startswith(prefix) and theirs.covers(p.key)
        ]
        while len(lonely) >= BATCH:
            yield await _proven(cn, global_, lonely[:BATCH])
            del lonely[:BATCH]
    if lonely:
        yield await _proven(cn, global_, lonely)


async def _proven(cn: Side, global_: Side, pairs: Sequence[ListedPair]) -> list[Deletion]:
    keys = [pair.key for pair in pairs]
    ours, theirs = await asyncio.gather(cn.ledger.get_many(keys), global_.ledger.get_many(keys))
    found = []
    for pair in pairs:
        mirrored = ListedPair(pair.key, pair.there, pair.here)
        here = classify(pair, ours.get(pair.key), _rules(cn))
        there = classify(mirrored, theirs.get(pair.key), _rules(global_))
        if any(difference is not None and difference.is_deletion for difference in (here, there)):
            row = pair.here or pair.there
            gone, kept = (global_, cn) if pair.here is not None else (cn, global_)
            if row is not None:
                found.append(Deletion(pair.key, gone, kept, row.etag, row.size, row.modified))
    return found


def _rules(side: Side) -> Rules:
    settings = side.settings
    return Rules(settings.local_expires, settings.remote_expires, settings.events is not Events.CREATE)


async def approve(context: OperatorContext, holds: Sequence[Held], up_to: int | None = None) -> int:
    """Let the finder's next run do up to so many deletions (default: as many as it held); how many are approved."""
    most = 0
    for hold in holds:
        count = hold.count if up_to is None else up_to
        async with audited(
            context, [hold.side], "deletions approve", {"direction": hold.side.direction, "up_to": count}
        ):
            data: dict[str, object] = {"up_to": count, "by": context.who}
            await hold.side.ledger.record(Record(DELETION_APPROVAL, APPROVAL_ID, context.now(), data=data))
        most = max(most, count)
    return most


@dataclass(slots=True)
class Restored:
    """How a rejection went, in keys. `changed` were written or deleted by others meanwhile."""

    kept: int = 0
    changed: int = 0


async def reject(context: OperatorContext, prefix: str, key: str, on_progress: Callable[[Restored], None]) -> Restored:
    """Take the deletions back: what still stands at one side is written there again, by you, and travels.

    First the ledger of the side that lost the object forgets what proved the deletion, so that no deletion under way
    can reach what is written again with the same content. Then the survivor is copied onto itself, as a user's new
    version. An interruption between the two leaves the deletion held; doing it again completes it.
    """
    tally = Restored()
    slots = asyncio.Semaphore(AT_ONCE)

    async def restore(deletion: Deletion) -> None:
        async with slots:
            done = await _restore(context, deletion)
        tally.kept += done
        tally.changed += not done
        on_progress(tally)

    arguments: dict[str, object] = {"prefix": prefix, "key": key}
    async with audited(context, context.sides.values(), "deletions reject", arguments) as act:
        async for batch in pending(context, key or prefix):
            chosen = [deletion for deletion in batch if key in ("", deletion.key)]
            await asyncio.gather(*(restore(deletion) for deletion in chosen))
        if not (prefix or key):
            for hold in await held(context):
                await hold.side.ledger.remove_record(hold.record)
                if hold.approval is not None:
                    await hold.side.ledger.remove_record(hold.approval)
        act.result.update(kept=tally.kept, changed=tally.changed)
    return tally


async def _restore(context: OperatorContext, deletion: Deletion) -> bool:
    try:
        await _forget(context, deletion.gone, deletion.key)
        await deletion.kept.store.write_again(deletion.key, deletion.etag, deletion.key, over=deletion.etag)
    except PreconditionFailedError:
        return False
    return True


async def _forget(context: OperatorContext, side: Side, key: str) -> None:
    """Nothing is known of the key any more but how far its events were followed. Raises `PreconditionFailedError`."""
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
