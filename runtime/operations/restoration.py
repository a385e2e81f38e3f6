"""What was deleted on both sides, back from a bucket's versions.

Deletions that travelled as events are on neither side any more, so `deletions reject` has nothing to write again. A
versioned bucket still has what its delete markers cover.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from dualsync.runtime.errors import PermanentError, PreconditionFailedError
from dualsync.runtime.operations.audit import audited
from dualsync.runtime.operations.context import DeletedObject, OperatorContext, Side

AT_ONCE = 16
"""Objects asked for, or written, at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Keys that start with `prefix` and were deleted from `since` up to, not including, `until` (seconds)."""

    since: float
    until: float = math.inf
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """A key on neither side, and the side that has its last version."""

    side: Side
    gone: DeletedObject


@dataclass(slots=True)
class Restored:
    """How it went, in keys. `changed` were written by others meanwhile, or their version is gone."""

    restored: int = 0
    changed: int = 0


async def lost(context: OperatorContext, wanted: Wanted) -> AsyncIterator[list[Lost]]:
    """Keys on neither side now that a versioned bucket can give back. Raises `PermanentError` when neither keeps
    versions."""
    keeping = [side for side in context.both() if await side.store.versioned()]
    if not keeping:
        raise PermanentError("neither bucket keeps versions", "what is deleted on both sides can't be brought back")
    named: set[str] = set()
    for side in keeping:
        async for batch in side.store.gone(wanted.prefix, wanted.since, wanted.until):
            there = await _exist(context.sides[side.name.peer], batch)
            found = [Lost(side, one) for one in batch if one.key not in there | named]
            named |= {one.gone.key for one in found}
            if found:
                yield found


async def _exist(side: Side, batch: Sequence[DeletedObject]) -> frozenset[str]:
    """Those that the other side still has: they are a deletion under way, or on their way back."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(key: str) -> str | None:
        async with slots:
            return key if await side.bucket.head(key) is not None else None

    found = await asyncio.gather(*(one(gone.key) for gone in batch))
    return frozenset(key for key in found if key is not None)


async def restore(context: OperatorContext, wanted: Wanted, on_progress: Callable[[Restored], None]) -> Restored:
    """Write the last version of each again, as you: it travels like any write, and no deletion under way reaches it."""
    tally, slots = Restored(), asyncio.Semaphore(AT_ONCE)

    async def one(lost: Lost) -> None:
        async with slots:
            try:
                gone = lost.gone
                await lost.side.store.write_again(gone.key, gone.etag, gone.key, version_id=gone.version_id)
                tally.restored += 1
            except PreconditionFailedError:
                tally.changed += 1
        on_progress(tally)

    arguments: dict[str, object] = {"since": int(wanted.since), "prefix": wanted.prefix}
    if wanted.until < math.inf:
        arguments["until"] = int(wanted.until)
    async with audited(context, context.sides.values(), "deletions restore", arguments) as act:
        async for batch in lost(context, wanted):
            await asyncio.gather(*(one(each) for each in batch))
        act.result.update(restored=tally.restored, changed=tally.changed)
    return tally
