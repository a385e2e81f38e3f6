"""The prefix-list file: an object of the side's own bucket with the synchronised prefixes, one per line.

Without a readable list nothing is synchronised, and no missing key counts as deleted.
"""

from __future__ import annotations

import asyncio

from dualsync.runtime.errors import AccessDeniedError, DualSyncError, FatalError, PermanentError
from dualsync.runtime.log import Log, State
from dualsync.runtime.model.key_filter import EVERYTHING, KeyFilter
from dualsync.runtime.ports import Bucket, Clock

PREFIX_LIST_POLL_SECONDS = 120.0
"""Seconds until a worker uses a changed file."""
MISSING_LIST_POLL_SECONDS = 15.0
"""Seconds until a worker without a list reads again."""
MAX_LIST_BYTES = 1 << 20
"""Most bytes of a file: thousands of prefixes, each of which costs the finder a listing."""


def parse(text: bytes) -> KeyFilter:
    """Return the prefixes of a UTF-8 file, unchanged; empty lines are ignored. Raises ValueError."""
    try:
        lines = text.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    prefixes = [line.removesuffix("\r") for line in lines]
    scope = KeyFilter.from_prefixes([prefix for prefix in prefixes if prefix])
    if not scope.prefixes:
        raise ValueError("names no prefix")
    return scope


class PrefixList:
    """The file at `key` of the side's bucket. An empty `key` means no list: all keys are synchronised.

    `bucket` is the side's bucket without its prefix.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self.key = key
        self._etag = ""
        self._scope = EVERYTHING

    async def read(self) -> KeyFilter:
        """Return the present list. An unchanged file is not read again.

        Raises `FatalError` when there is no readable list, `RetryableError` and `CredentialRejectedError` when that is
        unknown.
        """
        if not self.key:
            return EVERYTHING
        try:
            seen = await self._bucket.head(self.key)
            if seen is None:
                raise self._no_list("is not in the bucket")
            if not self._etag or seen.etag != self._etag:
                if seen.size > MAX_LIST_BYTES:
                    raise self._no_list(f"has {seen.size} bytes, more than {MAX_LIST_BYTES}")
                await self._load()
        except (AccessDeniedError, PermanentError) as e:
            raise self._no_list(f"can't be read ({e})") from None
        return self._scope

    async def _load(self) -> None:
        reading = await self._bucket.read(self.key)
        if reading is None:
            raise self._no_list("is not in the bucket")
        try:
            text = b"".join([chunk async for chunk in reading.chunks()])
        finally:
            await reading.close()
        try:
            self._scope = parse(text)
        except ValueError as e:
            raise self._no_list(str(e)) from None
        self._etag = reading.head.etag

    def _no_list(self, why: str) -> FatalError:
        self._etag = ""
        return FatalError(
            f"DUALSYNC_PREFIX_LIST_FILE={self.key!r} {why}: put a text file there with one prefix per line; nothing is"
            " synchronised until then"
        )


class PrefixListWatcher:
    """A worker's copy of the list. It is a receive gate, closed while there is no list."""

    def __init__(self, file: PrefixList, clock: Clock, log: Log) -> None:
        self._file = file
        self._clock = clock
        self._log = log
        self._open = asyncio.Event()
        self.scope = EVERYTHING
        self.reason = "the prefix-list file was not read yet"

    @property
    def closed(self) -> bool:
        """True while the synchronised prefixes are unknown."""
        return not self._open.is_set()

    @property
    def state(self) -> State:
        """State of a worker without a list."""
        return State.WAITING_FOR_LIST

    async def wait_until_open(self) -> None:
        """Wait until there is a list."""
        await self._open.wait()

    def covers(self, key: str) -> bool:
        """Return True if this key is synchronised."""
        return self.scope.covers(key)

    async def poll(self) -> None:
        """Read once. While the bucket does not answer, the last known list holds."""
        try:
            scope = await self._file.read()
        except FatalError as e:
            self.reason = str(e)
            self._open.clear()
            return
        except DualSyncError as e:
            self._log.line("WARNING", "prefix-list", reason=f"{type(e).__name__}: {e}")
            return
        if scope != self.scope:
            self._log.line("INFO", "prefix-list", prefixes=len(scope.prefixes), scope=scope.name)
        self.scope = scope
        self._open.set()

    async def watch(self) -> None:
        """Read for ever. Return at once where no file is configured."""
        while self._file.key:
            await self._clock.sleep(MISSING_LIST_POLL_SECONDS if self.closed else PREFIX_LIST_POLL_SECONDS)
            await self.poll()
