"""Connections to one host, kept for the next request."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from os import environ
from urllib.parse import urlsplit
from weakref import WeakSet

from dualsync.runtime.aws.http.connection import Connection
from dualsync.runtime.aws.http.proxy import Proxy, Tunnel, proxy_for
from dualsync.runtime.aws.http.tls import TlsLayer
from dualsync.runtime.errors import UnavailableError

CONNECT_SECONDS = 10.0
"""Longest time for a new connection, TLS and proxy included, over all addresses of the host."""

EYEBALLS_SECONDS = 0.25
"""How long one address may take before the next one is tried beside it (RFC 8305, 5: 250 ms)."""

IDLE_SECONDS = 20.0
"""Longest time that a connection is kept without a request. S3 closes idle ones after some seconds, and a NAT instance
or a border that forgets one sends nothing."""

LIFETIME_SECONDS = 600.0
"""Longest time that a connection is used, however busy it is. A service's addresses change, and only a new connection
asks for them ("Performance design patterns for Amazon S3", Amazon S3 User Guide)."""

SPARE_SECONDS = 300.0
"""How long after the last request spare connections are still opened: an idle process makes no handshakes."""

MAX_IGNORED_EXPECTS = 3
"""After this many requests whose `Expect` got no answer, from a server that never gave one, it is no longer sent."""

_SWEEP_SECONDS = 1.0
_SPARE_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a service."""

    host: str
    """Name or address."""
    port: int
    """TCP port."""
    secure: bool
    """Whether it is reached over TLS."""
    base: str = ""
    """Path that precedes every other, without a closing slash."""

    @classmethod
    def from_url(cls, url: str) -> Endpoint:
        """Return the endpoint of `https://host:port/base`."""
        parts = urlsplit(url)
        secure = parts.scheme != "http"
        return cls(parts.hostname or "", parts.port or (443 if secure else 80), secure, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Return the `Host` header's value."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.secure else 80) else f"{name}:{self.port}"


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=environ.get("AWS_CA_BUNDLE") or None)


async def _dial(protocol: asyncio.BufferedProtocol, host: str, port: int, *, secure: bool) -> asyncio.Transport:
    """Connect `protocol` and return its transport. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    layer = TlsLayer(protocol, _tls(), host) if secure else None
    # One address needs no race of addresses, which leaves its socket to the garbage collector if it is cancelled late.
    race = None if _is_address(host) else EYEBALLS_SECONDS
    transport, _ = await loop.create_connection(lambda: layer or protocol, host, port, happy_eyeballs_delay=race)
    if layer is None:
        return transport
    await layer.wait_until_secure()
    return layer


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_fresh(connection: Connection, now: float) -> bool:
    """Return whether a kept connection may be used for another request."""
    young = now - connection.opened <= LIFETIME_SECONDS
    return young and not connection.lost and now - connection.idle_since <= IDLE_SECONDS


_POOLS: WeakSet[Pool] = WeakSet()


def open_pools() -> tuple[int, int]:
    """Return the number of pools in this process that have connections, and the number of these."""
    counts = [pool.open for pool in _POOLS if pool.open]
    return len(counts), sum(counts)


class Pool:
    """Hands out connections, the one used last first.

    `spare` connections are opened ahead, so that a request after a pause does not wait for handshakes (three round
    trips of 250 ms between the partitions). An unused pool closes its connections and can be collected.
    """

    def __init__(self, endpoint: Endpoint, *, spare: int = 0) -> None:
        self.endpoint = endpoint
        self.ignored_expects = 0
        """Requests whose `Expect` got no answer; negative once one got it."""
        self._proxy = proxy_for(endpoint.host, endpoint.port) if endpoint.secure else None
        self._spare = spare
        self._used = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._filling: asyncio.Task[None] | None = None
        self._end: AsyncIterator[None] | None = None
        _POOLS.add(self)

    @property
    def open(self) -> int:
        """Return the number of connections in use or kept."""
        return len(self._busy) + sum(not connection.lost for connection in self._idle)

    @property
    def expects_continue(self) -> bool:
        """Return whether large bodies are announced to this server."""
        return self.ignored_expects < MAX_IGNORED_EXPECTS

    def stop_expecting_continue(self) -> None:
        """Announce no more bodies: this server refuses to be asked (417)."""
        self.ignored_expects = MAX_IGNORED_EXPECTS

    async def acquire(self, *, fresh: bool = False) -> tuple[Connection, bool]:
        """Return a connection (with `fresh` a new one), and whether it has been used before.

        Raises `UnavailableError`.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            await self._begin()
        self._used = loop.time()
        if self._sweeping is None:
            self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)
        while self._idle and not fresh:
            connection = self._idle.pop()
            if _is_fresh(connection, loop.time()):
                self._busy.add(connection)
                return connection, True
            connection.abort()
        connection = await self._open()
        self._busy.add(connection)
        return connection, False

    def release(self, connection: Connection) -> None:
        """Take a connection back; it is kept if it may be used again."""
        self._busy.discard(connection)
        if connection.continued is not None:
            self.ignored_expects = -1 if connection.continued else self.ignored_expects + (self.ignored_expects >= 0)
            connection.continued = None
        if connection.reusable and not connection.lost:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        elif not connection.lost:
            connection.abort()

    def drop_idle(self) -> None:
        """Close every connection that is not in use: one of them has turned out to be dead."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()

    def close(self) -> None:
        """Close everything; requests under way fail. The next request opens connections again."""
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
        """Start in this event loop.

        The loop closes its unfinished generators at its end, and with this one the connections, whether or not
        `close` is called.
        """
        self._loop = asyncio.get_running_loop()
        self._sweeping = self._filling = None
        self._idle.clear()
        self._busy.clear()
        self._end = self._until_the_end()
        await anext(self._end)

    async def _until_the_end(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.close()

    async def _open(self) -> Connection:
        e = self.endpoint
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await (self._connect() if self._proxy is None else self._connect_through(self._proxy))
        except TimeoutError:
            raise UnavailableError(f"{e.authority}: no connection within {CONNECT_SECONDS:.0f} s") from None
        except OSError as error:
            raise UnavailableError(f"{e.authority}: {type(error).__name__}: {error}") from None

    async def _connect(self) -> Connection:
        e = self.endpoint
        connection = Connection()
        await _dial(connection, e.host, e.port, secure=e.secure)
        return connection

    async def _connect_through(self, proxy: Proxy) -> Connection:
        e = self.endpoint
        tunnel, connection = Tunnel(), Connection()
        transport = await _dial(tunnel, proxy.host, proxy.port, secure=proxy.secure)
        try:
            await tunnel.open(proxy, e.host, e.port)
        except BaseException:
            transport.abort()
            raise
        layer = TlsLayer(connection, _tls(), e.host)
        transport.set_protocol(layer)
        layer.connection_made(transport)
        await layer.wait_until_secure()
        return connection

    def _sweep(self) -> None:
        """End what stalls, drop what has been idle, open spare connections; once per second while there are any."""
        loop, timer, self._sweeping = self._loop, self._sweeping, None
        if loop is None:
            return
        if timer is not None:
            timer.cancel()
        now = loop.time()
        for connection in list(self._busy):
            why = connection.stall_reason(now)
            if why:
                connection.abort(why)
                self.drop_idle()
        kept = [connection for connection in self._idle if _is_fresh(connection, now)]
        for connection in self._idle:
            if connection not in kept:
                connection.abort()
        self._idle = kept
        spare = self._spare if now - self._used < SPARE_SECONDS else 0
        if self.open < spare and (self._filling is None or self._filling.done()):
            self._filling = loop.create_task(self._fill())
        if self._idle or self._busy or spare:
            self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)

    async def _fill(self) -> None:
        with contextlib.suppress(UnavailableError):
            while self.open < self._spare:
                self._idle.insert(0, await self._open())
        await asyncio.sleep(_SPARE_PAUSE_SECONDS)
