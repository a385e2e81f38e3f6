"""A proxy on loopback that adds a round trip's time and counts requests.

`python -m bench.harness.servers.proxy PORT TO MS [CERTIFICATE [CA]]`. Each direction delays every byte by half of the
time and holds none back, so that only distance is added, not a narrower path.

With a certificate it ends TLS and counts what passes; it begins TLS again if a CA is given. With `-` instead of a
certificate all bytes pass as they are, and nothing is counted: a handshake takes its round trips, too. The first line
on its standard output after SIGUSR1 is a JSON object with the number of requests so far, by operation.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

from bench.harness.authority import server_context
from bench.harness.servers.requests import Reader


class _Half(asyncio.Protocol):
    """One side of a connection, which sends received bytes out at the other side after the delay."""

    def __init__(self, proxy: Proxy, other: _Half | None = None) -> None:
        self.proxy = proxy
        self.other = other
        self.reader = Reader(proxy.requests) if other is None and proxy.counts else None
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if self.other is None:
            # A handshake takes a round trip before the first byte.
            self.proxy.later(self._connect, 2)
            return
        self.other.other = self
        for data in self.other.early:
            self.proxy.later(partial(self.send, data))
        self.other.early.clear()

    def data_received(self, data: bytes) -> None:
        if self.reader is not None:
            self.reader.feed(data)
        if self.other is None:
            self.early.append(data)
        else:
            self.proxy.later(partial(self.other.send, data))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.proxy.later(self.other.close)

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _connect(self) -> None:
        self.proxy.keep(asyncio.create_task(self._open()))

    async def _open(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(
                lambda: _Half(self.proxy, self), "127.0.0.1", self.proxy.to, ssl=self.proxy.onward
            )
        except OSError:
            self.close()


class Proxy:
    """Counts requests and delays bytes."""

    def __init__(self, to: int, round_trip_ms: float, certificate: str = "", ca: str = "") -> None:
        self.to = to
        self.delay = round_trip_ms / 2000
        self.requests: Counter[str] = Counter()
        self.port = 0
        """Its port once it listens."""
        self.onward = ssl.create_default_context(cafile=ca) if ca else None
        """How it reaches the server; None for plain TCP, or TLS that passes as it is."""
        self.counts = certificate != "-"
        self._inward = server_context(certificate) if certificate and self.counts else None
        self._tasks: set[asyncio.Task[None]] = set()

    def later(self, act: Callable[[], None], ways: int = 1) -> None:
        """Call `act` after the time of `ways` ways to the other end; at once where there is no distance."""
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay * ways, act)
        else:
            act()

    def keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def serve(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(self.requests), flush=True))
        server = await loop.create_server(lambda: _Half(self), "127.0.0.1", port, backlog=1024, ssl=self._inward)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(Proxy(int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:]).serve(int(sys.argv[1])))
