"""A round trip in each direction: put an object, wait for it at the peer, delete it, wait for that.

In between, the peer's store must refuse writes whose conditions do not hold.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass

from dualsync.runtime.errors import DualSyncError, PreconditionFailedError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, Precondition
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.transfer.condition_proof import find_ignored_condition

FOLDER = "dualsync-smoke/"
POLL_SECONDS = 1.0

_UNSAFE = (
    "the store of {side} does not enforce conditions ({write} was not refused): writes of users can be lost; use S3, or"
    " a store with If-Match and If-None-Match"
)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One direction's result."""

    direction: str
    """`cn->global`."""
    key: str
    """The object's key."""
    put: float | None = None
    """Seconds until the peer had the object; None: it did not arrive in time."""
    deleted: float | None = None
    """Seconds until it was deleted there; None: it was not in time."""
    error: str = ""
    """What went wrong; empty for nothing."""

    @property
    def succeeded(self) -> bool:
        """Whether both arrived."""
        return self.put is not None and self.deleted is not None


async def run_round_trip(context: OperatorContext, here: Side, there: Side, seconds: float) -> RoundTrip:
    """Make the round trip. The object is removed from both sides afterwards, as far as possible."""
    key = f"{FOLDER}{here.name}-{secrets.token_hex(8)}"
    content = secrets.token_bytes(64)
    direction, put = here.direction, None
    try:
        start = context.clock.monotonic()
        written = await here.bucket.put(key, content, Attributes("application/octet-stream"), None, MUST_NOT_EXIST)
        if not await _wait_until(context, there, key, content, start + seconds):
            return RoundTrip(direction, key, error=f"not at {there.name} after {seconds:.0f} s")
        put = context.clock.monotonic() - start
        # The workers of this direction write there. A refused write changes nothing.
        ignored = await find_ignored_condition(there.bucket, key)
        if ignored:
            return RoundTrip(direction, key, put, error=_UNSAFE.format(side=there.name, write=ignored))
        start = context.clock.monotonic()
        await here.bucket.delete(key, Precondition(written.etag))
        if not await _wait_until(context, there, key, None, start + seconds):
            return RoundTrip(direction, key, put, error=f"deleted here, still at {there.name} after {seconds:.0f} s")
        return RoundTrip(direction, key, put, context.clock.monotonic() - start)
    except DualSyncError as e:
        return RoundTrip(direction, key, put, error=f"{type(e).__name__}: {e}")
    finally:
        for side in (here, there):
            with contextlib.suppress(DualSyncError):
                await _remove(side, key)


async def _wait_until(context: OperatorContext, side: Side, key: str, content: bytes | None, end: float) -> bool:
    while True:
        if await _content(side, key) == content:
            return True
        if context.clock.monotonic() >= end:
            return False
        await context.clock.sleep(POLL_SECONDS)


async def _content(side: Side, key: str) -> bytes | None:
    reading = await side.bucket.read(key)
    if reading is None:
        return None
    try:
        return b"".join([chunk async for chunk in reading.chunks()])
    finally:
        await reading.close()


async def _remove(side: Side, key: str) -> None:
    seen = await side.bucket.head(key)
    if seen is not None:
        with contextlib.suppress(PreconditionFailedError):
            await side.bucket.delete(key, Precondition(seen.etag))
