"""Test the connection pool: idle connections, and those that turn out to be dead."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from typing import Any

import pytest

from dualsync.runtime.aws.http import pool as pools
from dualsync.runtime.aws.http.client import ServiceClient
from dualsync.runtime.aws.http.connection import SILENCE_SECONDS
from dualsync.runtime.aws.http.pool import IDLE_SECONDS, LIFETIME_SECONDS, SPARE_SECONDS, Endpoint, Pool
from tests.support.scripted_server import KEY, answer, client_of, read_head, scripted, serving


async def get(client: ServiceClient) -> bytes:
    return bytes((await client.call("GetObject", "b/k", "GET", "/b/k")).body or b"")


async def test_dead_idle_connections_together_cost_one_silence_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A NAT instance or firewall that dropped them sends neither FIN nor RST."""
    dead = False
    silent = asyncio.Event()
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        old = not dead
        while True:
            await read_head(reader)
            if dead and old:
                silent.set()
                await reader.read()
            writer.write(answer(200, b"x"))

    async with serving(serve) as url:
        client = client_of(url)
        await asyncio.gather(*(get(client) for _ in range(8)))
        assert client.pool.open == 8
        dead = True
        asking = asyncio.create_task(get(client))
        await silent.wait()
        (busy,) = client.pool._busy
        # The kernel may count a late acknowledgement of the request as movement.
        monkeypatch.setattr(busy, "_transfer_progress", lambda: (busy._moved, False))
        busy.progress -= SILENCE_SECONDS + 1
        client.pool._sweep()
        assert await asking == b"x"
        assert connections == 9
        assert client.pool.open == 1


async def test_connections_idle_beyond_the_limit_are_not_used() -> None:
    async with scripted(answer(200, b"x")) as script:
        client = script.caller()
        await get(client)
        client.pool._idle[0].idle_since -= IDLE_SECONDS + 1
        await get(client)
        assert script.connections == 2
        client.pool._idle[0].idle_since -= IDLE_SECONDS + 1
        client.pool._sweep()
        assert client.pool.open == 0


async def test_connection_is_replaced_after_its_lifetime() -> None:
    """A service's addresses change, and a connection in constant use would never follow."""
    async with scripted(answer(200, b"x")) as script:
        client = script.caller()
        await get(client)
        client.pool._idle[0].opened -= LIFETIME_SECONDS - 1
        await get(client)
        assert script.connections == 1
        client.pool._idle[0].opened -= 2
        await get(client)
        assert script.connections == 2


async def test_unused_pool_stops_sweeping_and_is_collected() -> None:
    """A client is made per check of the peer's credential; nothing of it may stay."""
    async with scripted(answer(200, b"x")) as script:
        client = script.caller()
        await get(client)
        pool = client.pool
        pool._idle[0].idle_since -= IDLE_SECONDS + 1
        pool._sweep()
        assert pool._sweeping is None
        gone = weakref.ref(pool)
        del client, pool
        for _ in range(5):
            gc.collect()
            await asyncio.sleep(0)
        assert gone() is None


async def test_closed_client_holds_no_connection_and_can_be_used_again() -> None:
    async with scripted(answer(200, b"x")) as script:
        client = script.caller()
        await get(client)
        client.close()
        assert client.pool.open == 0
        assert await get(client) == b"x"


async def test_spare_connections_are_not_refilled_while_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answer(200, b"x")) as script:
        client = script.caller(spare=2)
        await get(client)
        client.pool._used -= SPARE_SECONDS + 1
        client.pool.drop_idle()
        client.pool._sweep()
        assert client.pool._filling is None
        assert client.pool._sweeping is None


async def test_second_address_is_tried_while_the_first_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "EYEBALLS_SECONDS", 0.01)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer(200, b"x"))
        await writer.drain()

    async with serving(serve) as url:
        port = Endpoint.from_url(url).port
        hole = socket.socket()
        hole.bind(("127.0.0.2", port))
        hole.listen(0)  # a listener whose queue is full drops SYNs
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))

        async def two(host: str, port: int, **_: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", port)) for n in (2, 1)]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two)
        client = ServiceClient(Pool(Endpoint.from_url(f"http://two.example:{port}")), "s3", "us-west-2", KEY)
        try:
            async with asyncio.timeout(5):
                assert await get(client) == b"x"
        finally:
            for opened in (hole, *fillers):
                opened.close()


async def test_keepalive_and_user_timeout_are_set() -> None:
    async with scripted(answer(200, b"x")) as script:
        client = script.caller()
        await get(client)
        kept = client.pool._idle[0]._socket
        assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        client.close()
