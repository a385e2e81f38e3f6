"""List the keys whose synchronisation is not done, as far as ledgers, dead-letter queues and logs name them.

SQS cannot list the messages of a queue, so a change that no worker has received yet has a count and no key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import Outcome
from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION, UPLOAD
from dualsync.runtime.operations.context import Depth, OperatorContext, Side
from dualsync.runtime.operations.dead_letters import letters
from dualsync.runtime.transfer import upload_record_codec

LOG_SECONDS = 2100.0
"""Seconds of logs that are read: a postponed request is tried again, and logged again, after 900 seconds at most."""
MAX_LOG_LINES = 10_000
"""Log lines that are read per direction at most."""
MAX_LETTERS = 1000
"""Dead letters that are read per direction at most."""
FINAL_OUTCOMES = tuple(
    outcome for outcome in Outcome if outcome not in (Outcome.POSTPONED, Outcome.FAILED, Outcome.CARRIED)
)


class PendingState(StrEnum):
    """Why a key is not done."""

    UPLOADING = "upload under way"
    """A multipart upload of the key is recorded."""
    HELD = "deletion held"
    """The finder waits for an operator's approval."""
    DEAD_LETTER = "dead letter"
    """It was given up; an operator decides."""
    POSTPONED = "postponed"
    """It was tried and is tried again."""


@dataclass(frozen=True, slots=True)
class PendingKey:
    """One key that is not done."""

    key: str
    """The key, relative to the prefix."""
    state: PendingState
    """Why it is not done."""
    reason: str = ""
    """What is known beyond the state."""
    since: float = 0.0
    """When it was noticed, seconds since the epoch; 0 if unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDirection:
    """What one side's workers have not done."""

    name: str
    """`cn->global`."""
    keys: list[PendingKey] = field(default_factory=list)
    """The keys that are known, by state."""
    depth: Depth | None = None
    """Messages in the queue, whose keys SQS does not list; None if not visible to this operator."""
    held: int = 0
    """Deletions that the finder holds; `keys` has a sample of them."""
    unseen: list[str] = field(default_factory=list)
    """What could not be read, or not in full."""


async def pending(context: OperatorContext) -> list[PendingDirection]:
    """Return what the workers have not done. Reads only; dead letters are hidden from others for seconds."""
    now = context.clock.now()
    return list(await asyncio.gather(*(_direction(side, now) for side in context.carriers)))


async def _direction(side: Side, now: float) -> PendingDirection:
    found = PendingDirection(name=side.direction, depth=await _depth(side))
    held = 0
    try:
        await _uploads(side, found)
        held = await _held(side, found)
    except DualSyncError as e:
        found.unseen.append(f"uploads under way and held deletions: the ledger can't be read: {e}")
    await _dead_letters(side, found)
    await _postponed(side, found, now)
    order = list(PendingState)
    found.keys.sort(key=lambda pending: (order.index(pending.state), pending.key))
    return replace(found, held=held)


async def _depth(side: Side) -> Depth | None:
    try:
        return await side.metrics.queue_depth()
    except DualSyncError:
        return None


async def _uploads(side: Side, found: PendingDirection) -> None:
    async for record in side.ledger.records(UPLOAD):
        upload = upload_record_codec.decode_or_none(record)
        if upload is None:
            found.unseen.append(f"the record of the upload of {record.key!r} is unreadable")
            continue
        progress = f"{upload.parts} of {upload.part_count} parts when last noted, {upload.size} bytes"
        found.keys.append(PendingKey(upload.target_key, PendingState.UPLOADING, progress, float(upload.started)))


async def _held(side: Side, found: PendingDirection) -> int:
    """Add the sample of the held deletions, and return their number; 0 if they are approved."""
    if [record async for record in side.ledger.records(DELETION_APPROVAL)]:
        return 0
    count = 0
    async for record in side.ledger.records(HELD_DELETION):
        sample, number = record.data.get("sample"), record.data.get("count")
        count = number if isinstance(number, int) else 0
        for line in sample if isinstance(sample, list) else ():
            reason, _, key = str(line).partition(": ")
            found.keys.append(PendingKey(key, PendingState.HELD, reason, float(record.time)))
    return count


async def _dead_letters(side: Side, found: PendingDirection) -> None:
    read = 0
    try:
        async for batch in letters(side, MAX_LETTERS):
            read += len(batch)
            for opened in batch:
                for request in opened.requests:
                    letter = opened.letter
                    found.keys.append(PendingKey(request.key, PendingState.DEAD_LETTER, opened.reason, letter.sent))
    except DualSyncError as e:
        found.unseen.append(f"dead letters: {e}")
    if read >= MAX_LETTERS:
        found.unseen.append(f"dead letters beyond the first {MAX_LETTERS}")


async def _postponed(side: Side, found: PendingDirection, now: float) -> None:
    lines = await side.history.outcomes(list(Outcome), now - LOG_SECONDS, now, MAX_LOG_LINES)
    if lines is None:
        found.unseen.append("postponed keys: the logs are not visible to you")
        return
    if len(lines) >= MAX_LOG_LINES:
        found.unseen.append(
            f"postponed keys beyond {MAX_LOG_LINES} log lines of the last {LOG_SECONDS / 60:.0f} minutes"
        )
    found.keys.extend(_latest(lines))


def _latest(lines: Iterable[Mapping[str, Any]]) -> list[PendingKey]:
    """Return the keys whose newest outcome is no end. `lines` are oldest first."""
    open_keys: dict[str, PendingKey] = {}
    for line in lines:
        key, outcome = str(line.get("key", "")), line.get("outcome")
        if outcome in FINAL_OUTCOMES:
            open_keys.pop(key, None)
        elif key:
            first = open_keys.get(key)
            since = first.since if first is not None else _seconds(line.get("time"))
            open_keys[key] = PendingKey(key, PendingState.POSTPONED, str(line.get("reason") or ""), since)
    return list(open_keys.values())


def _seconds(time: object) -> float:
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0
