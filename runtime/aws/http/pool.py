"""Connections to one host, kept for the next request."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from os import environ
from urllib.parse import urlsplit

from dualsync.runtime.aws.http.connection import Connection
from dualsync.runtime.errors import UnavailableError

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
"""Longest time in which nothing may move, a long poll (20 s) included."""

_SWEEP_SECONDS = 1.0
_SPARE_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a service is. `base` is a path that precedes every other, without a closing slash."""

    host: str
    port: int
    secure: bool
    base: str = ""

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """The endpoint of `https://host:port/base`."""
        parts = urlsplit(url)
        secure = parts.scheme != "http"
        return cls(parts.hostname or "", parts.port or (443 if secure else 80), secure, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """The `Host` header's value."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.secure else 80) else f"{name}:{self.port}"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=environ.get("AWS_CA_BUNDLE") or None)


class Pool:
    """Hands out connections, the one used last first. `spare` so many are opened ahead and kept open, so that a
    request after a pause does not wait for handshakes (three round trips of 250 ms between the partitions)."""

    def __init__(self, endpoint: Endpoint, *, spare: int = 0) -> None:
        self.endpoint = endpoint
        self._spare = spare
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._filling: asyncio.Task[None] | None = None
        self._end: AsyncIterator[None] | None = None

    @property
    def open(self) -> int:
        """Connections in use or kept."""
        return len(self._busy) + sum(not connection.lost for connection in self._idle)

    async def take(self) -> tuple[Connection, bool]:
        """A connection, and whether it has been used before. Raises `UnavailableError`."""
        if self._loop is not asyncio.get_running_loop():
            await self._begin()
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost:
                self._busy.add(connection)
                return connection, True
        connection = await self._open()
        self._busy.add(connection)
        return connection, False

    def give(self, connection: Connection) -> None:
        """Take a connection back; it is kept if it may be used again."""
        self._busy.discard(connection)
        if connection.reusable and not connection.lost:
            self._idle.append(connection)
        elif not connection.lost:
            connection.abort()

    def close(self) -> None:
        """Close everything; requests under way fail."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        if self._filling is not None:
            self._filling.cancel()
            self._filling = None
        for connection in (*self._idle, *self._busy):
            if not connection.lost:
                connection.abort()
        self._idle.clear()
        self._busy.clear()

    async def _begin(self) -> None:
        """First use in this event loop. The loop closes its unfinished generators at its end, and so these
        connections, whether or not anybody thinks of `close`."""
        self._loop = asyncio.get_running_loop()
        self._idle.clear()
        self._busy.clear()
        self._end = self._until_the_end()
        await anext(self._end)
        self._sweep()

    async def _until_the_end(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.close()

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        e = self.endpoint
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    Connection, e.host, e.port, ssl=_tls() if e.secure else None
                )
        except TimeoutError:
            raise UnavailableError(f"{e.authority}: no connection within {CONNECT_SECONDS:.0f} s") from None
        except OSError as error:
            raise UnavailableError(f"{e.authority}: {type(error).__name__}: {error}") from None
        connection.progress = loop.time()
        return connection

    def _sweep(self) -> None:
        """Once a second: give up what has been silent for too long, and fill up the spare ones."""
        loop = self._loop
        if loop is None:
            return
        now = loop.time()
        for connection in [c for c in self._busy if now - c.progress > SILENCE_SECONDS]:
            connection.abort()
        self._idle = [connection for connection in self._idle if not connection.lost]
        if len(self._idle) + len(self._busy) < self._spare and (self._filling is None or self._filling.done()):
            self._filling = loop.create_task(self._fill())
        self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def _fill(self) -> None:
        with contextlib.suppress(UnavailableError):
            while len(self._idle) + len(self._busy) < self._spare:
                self._idle.insert(0, await self._open())
        await asyncio.sleep(_SPARE_PAUSE_SECONDS)
