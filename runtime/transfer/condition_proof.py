"""Prove that a store enforces conditional writes, by writes that must be refused.

A store may accept `If-Match` and `If-None-Match` and ignore them. Then two writers overwrite each other, and no answer
shows it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from dualsync.runtime.errors import (
    ConcurrentWriteError,
    CredentialRejectedError,
    DualSyncError,
    PreconditionFailedError,
    ThrottledError,
    UnavailableError,
)
from dualsync.runtime.log import Log
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, Precondition, PutResult
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.ports import Clock

NO_ETAG = "0" * 32
"""ETag that no object has."""

PROBE_PREFIX = "dualsync-probe-"
"""Start of the keys of writes that must be refused, because no object has the key."""

POLL_SECONDS = 60.0
"""Seconds until a store is asked again that did not answer."""

_PLAIN = Attributes("application/octet-stream")


class Writable(Protocol):
    """The conditional writes of a bucket (`dualsync.runtime.ports.Bucket`)."""

    async def put(
        self, key: str, body: bytes, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        """Write an object if the condition holds."""

    async def delete(self, key: str, condition: Precondition) -> None:
        """Delete an object if the condition holds."""


async def find_ignored_condition(bucket: Writable, key: str) -> str:
    """Return the first write that the store made against its condition; empty if it refused all. `key` must exist."""
    no_match = Precondition(NO_ETAG)
    writes: tuple[tuple[str, Callable[[], Awaitable[object]]], ...] = (
        ("PutObject with If-None-Match", lambda: bucket.put(key, b"", _PLAIN, None, MUST_NOT_EXIST)),
        ("PutObject with If-Match", lambda: bucket.put(key, b"", _PLAIN, None, no_match)),
        ("DeleteObject with If-Match", lambda: bucket.delete(key, no_match)),
    )
    for name, write in writes:
        try:
            await write()
        except (PreconditionFailedError, ConcurrentWriteError):
            continue
        return name
    return ""


async def warn_of_ignored_conditions(stores: Mapping[str, Writable], clock: Clock, log: Log) -> None:
    """Try one write per store that must be refused, and log the stores that make it. Ask until each has answered.

    If-Match on a key without an object writes nothing (S3 User Guide, "Add preconditions to S3 operations with
    conditional requests": 404).
    """
    waiting = dict(stores)
    while waiting:
        for name, store in list(waiting.items()):
            key = PROBE_PREFIX + secrets.token_hex(8)
            try:
                written = await store.put(key, b"", _PLAIN, None, Precondition(NO_ETAG))
                log.line(
                    "WARNING",
                    "store",
                    store=name,
                    reason="accepts conditional writes and does not enforce them: a write of another program can be"
                    " lost at any time; use a store with If-Match and If-None-Match (Limits: stores that are not S3)",
                )
                await store.delete(key, Precondition(written.etag))
            except (UnavailableError, ThrottledError, CredentialRejectedError):
                continue
            except DualSyncError:
                # Refused, by the condition or before it. A store that may not be written to loses no write.
                pass
            del waiting[name]
        if waiting:
            await clock.sleep(POLL_SECONDS)
