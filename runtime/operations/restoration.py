"""Restore what was deleted on both sides, from a bucket's versions.

A deletion that has travelled leaves the object on neither side, so `deletions reject` has nothing to write again. A
versioned bucket still has what its delete markers cover.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from dualsync.runtime.errors import PermanentError, PreconditionFailedError, RetryableError
from dualsync.runtime.operations.audit import audit_act
from dualsync.runtime.operations.context import DeletedObject, OperatorContext, Side

AT_ONCE = 16
"""Objects asked for, or written, at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSelection:
    """Which deletions are to be undone."""

    since: float
    """Deleted at this time or later, seconds since the epoch."""
    until: float = math.inf
    """Deleted before this time."""
    prefix: str = ""
    """Keys that start with this."""


@dataclass(frozen=True, slots=True)
class RestorableObject:
    """A key on neither side."""

    side: Side
    """The side that has its last version."""
    deleted: DeletedObject
    """The key and that version."""


@dataclass(slots=True)
class RestoreResult:
    """The result, in keys."""

    restored: int = 0
    """Written again."""
    changed: int = 0
    """Written by others meanwhile, or their version is gone."""
    failed: dict[str, str] = field(default_factory=dict)
    """Keys that could not be written again, and why."""


async def restorable_objects(
    context: OperatorContext, wanted: RestoreSelection
) -> AsyncIterator[list[RestorableObject]]:
    """Yield keys on neither side now that a versioned bucket can restore.

    Raises `PermanentError` when neither keeps versions. In a one-way pair only the source's versions count, as nothing
    travels back to it.
    """
    context.both()
    keeping = [side for side in context.carriers if await side.store.keeps_versions()]
    if not keeping:
        who = "the source's bucket keeps no versions" if context.one_way else "neither bucket keeps versions"
        raise PermanentError(who, "what is deleted on both sides can't be brought back")
    named: set[str] = set()
    for side in keeping:
        async for batch in side.store.deleted_objects(wanted.prefix, wanted.since, wanted.until):
            there = await _existing_keys(context.sides[side.name.peer], batch)
            found = [RestorableObject(side, one) for one in batch if one.key not in there | named]
            named |= {one.deleted.key for one in found}
            if found:
                yield found


async def _existing_keys(side: Side, batch: Sequence[DeletedObject]) -> frozenset[str]:
    """Return those that the other side still has: a deletion under way, or an object on its way back."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> str | None:
        async with slots:
            return key if await side.bucket.head(key) is not None else None

    found = await asyncio.gather(*(one(gone.key) for gone in batch))
    return frozenset(key for key in found if key is not None)


async def restore(
    context: OperatorContext, wanted: RestoreSelection, on_progress: Callable[[RestoreResult], None]
) -> RestoreResult:
    """Write the last version of each again, as the operator. It travels like any write."""
    tally, slots = RestoreResult(), asyncio.Semaphore(AT_ONCE)

    async def one(lost: RestorableObject) -> None:
        async with slots:
            try:
                gone = lost.deleted
                await lost.side.store.rewrite_as_user(gone.key, gone.etag, gone.key, version_id=gone.version_id)
                tally.restored += 1
            except PreconditionFailedError:
                tally.changed += 1
            except (RetryableError, PermanentError) as e:
                tally.failed[lost.deleted.key] = str(e)
        on_progress(tally)

    arguments: dict[str, object] = {"since": int(wanted.since), "prefix": wanted.prefix}
    if wanted.until < math.inf:
        arguments["until"] = int(wanted.until)
    async with audit_act(context, context.sides.values(), "deletions restore", arguments) as act:
        async for batch in restorable_objects(context, wanted):
            await asyncio.gather(*(one(each) for each in batch))
        act.result.update(restored=tally.restored, changed=tally.changed, failed=len(tally.failed))
    return tally
