"""Test one connection on a network that misbehaves."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from dualsync.runtime.aws.http import connection as wire
from dualsync.runtime.aws.http import pool
from dualsync.runtime.aws.http.answer import decode_chunked
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.aws.http.connection import (
    EXPECT_BYTES,
    FLOOR_SECONDS,
    SILENCE_SECONDS,
    Connection,
)
from dualsync.runtime.errors import UnavailableError
from tests.support.scripted_server import Last, answer, chunked, client_of, error, read_head, scripted, serving
from tests.support.tls import make_authority

LARGE = bytes(8 << 20)
DENIED = error(403, "AccessDenied")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


@pytest.fixture(params=["plain", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext | None:
    """Return the server's TLS context, whose authority this test trusts, or None."""
    if request.param == "plain":
        return None
    authority, context = make_authority(tmp_path)
    monkeypatch.setattr(pool, "_tls", lambda: ssl.create_default_context(cafile=authority))
    return context


async def put(client: ServiceClient, body: bytes = LARGE) -> None:
    await client.call("PutObject", "b/k", "PUT", "/b/k", "", {}, body)


async def get(client: ServiceClient) -> bytes:
    return bytes((await client.call("GetObject", "b/k", "GET", "/b/k")).body or b"")


async def test_refusal_after_the_head_keeps_its_code_and_no_body_is_sent(tls: ssl.SSLContext | None) -> None:
    """S3 refuses many writes after their head, and closes without reading the body."""
    requests, received = 0, 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests, received
        await read_head(reader)
        requests += 1
        writer.write(DENIED)
        await writer.drain()
        received += len(reader._buffer)  # type: ignore[attr-defined]

    async with serving(refuse, tls) as url:
        client = client_of(url)
        for _ in range(3):
            with pytest.raises(ServiceError, match="AccessDenied"):
                await put(client)
    assert (requests, received) == (3, 0)
    assert client.pool.open == 0, "the server may read the next request as the body"


async def test_refusal_within_the_body_keeps_its_code(tls: ssl.SSLContext | None) -> None:
    """asyncio stops reading when a write fails; the refusal is in the socket."""
    requests = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await read_head(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readexactly(1 << 16)
        writer.write(DENIED)
        await writer.drain()

    async with serving(refuse, tls) as url:
        client = client_of(url)
        for _ in range(3):
            with pytest.raises(ServiceError, match="AccessDenied"):
                await put(client)
    assert requests == 3


async def test_large_body_is_sent_after_100_continue(tls: ssl.SSLContext | None) -> None:
    arrived = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_head(reader)
            assert request.headers["expect"] == "100-continue"
            assert "expect" not in request.headers["authorization"]
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            arrived.append(await reader.readexactly(int(request.headers["content-length"])))
            writer.write(answer(200))

    async with serving(take, tls) as url:
        client = client_of(url)
        for _ in range(2):
            await put(client, LARGE[:EXPECT_BYTES])
        assert client.pool.open == 1
    assert [len(body) for body in arrived] == [EXPECT_BYTES] * 2


async def test_expect_is_dropped_after_a_server_has_ignored_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire, "CONTINUE_SECONDS", 0.01)
    expected = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_head(reader)
            expected.append("expect" in request.headers)
            await reader.readexactly(int(request.headers["content-length"]))
            writer.write(answer(200))

    async with serving(take) as url:
        client = client_of(url)
        for _ in range(pool.MAX_IGNORED_EXPECTS + 2):
            await put(client, LARGE[:EXPECT_BYTES])
    assert expected == [True] * pool.MAX_IGNORED_EXPECTS + [False] * 2


async def test_small_body_is_sent_without_expect() -> None:
    async with scripted(answer(200)) as script:
        await put(script.caller(), LARGE[: EXPECT_BYTES - 1])
        assert "expect" not in script.requests[0].headers


async def test_success_before_the_body_was_sent_is_a_retryable_error() -> None:
    async def confused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer(200))
        await writer.drain()

    async with serving(confused) as url:
        with pytest.raises(UnavailableError, match="before the request's body was sent"):
            await put(client_of(url))


def counters(connection: Connection, monkeypatch: pytest.MonkeyPatch, rate: float, *, sending: bool) -> list[float]:
    """Let the kernel's counters move at `rate` bytes per second, and return a list that holds the time."""
    now = [connection.progress]
    start = now[0]
    monkeypatch.setattr(connection, "_transfer_progress", lambda: (int((now[0] - start) * rate), sending))
    return now


async def connected(client: ServiceClient) -> Connection:
    connection, _ = await client.pool.acquire()
    return connection


@pytest.mark.parametrize("rate", [24 << 10, 2 << 10])
async def test_slow_transfer_is_not_ended(rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answer(200)) as script:
        client = script.caller()
        connection = await connected(client)
        now = counters(connection, monkeypatch, rate, sending=True)
        for _ in range(600):
            now[0] += 1
            assert connection.stall_reason(now[0]) == ""
        client.close()


async def test_transfer_below_the_minimum_rate_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answer(200)) as script:
        client = script.caller()
        connection = await connected(client)
        now = counters(connection, monkeypatch, 100, sending=True)
        reasons = []
        for _ in range(int(FLOOR_SECONDS) + 1):
            now[0] += 1
            reasons.append(connection.stall_reason(now[0]))
        assert not any(reasons[: int(FLOOR_SECONDS) - 1])
        assert "only 3" in next(reason for reason in reasons if reason)
        client.close()


async def test_wait_for_an_answer_ends_only_after_the_silence_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long poll takes 20 s; a completion of many parts takes minutes and sends white space."""
    async with scripted(answer(200)) as script:
        client = script.caller()
        connection = await connected(client)
        now = counters(connection, monkeypatch, 0, sending=False)
        start = now[0]
        while now[0] - start < SILENCE_SECONDS:
            now[0] += 1
            assert connection.stall_reason(now[0]) == ""
        assert "nothing moved" in connection.stall_reason(now[0] + 1)
        client.close()


async def test_white_space_before_a_completion_is_not_judged_as_a_slow_transfer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S3 sends white space for minutes while it completes an upload; the answer itself must keep the minimum rate."""
    sent = asyncio.Event()
    content = asyncio.Event()
    release = asyncio.Event()

    async def complete(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n26\r\n<?xml version='1.0' encoding='UTF-8'?>\r\n"
        )
        writer.write(b"1\r\n \r\n" * 30)
        await writer.drain()
        sent.set()
        await content.wait()
        writer.write(b"3\r\n<Re\r\n")
        await writer.drain()
        await release.wait()

    async with serving(complete) as url:
        client = client_of(url)
        connection = await connected(client)
        asking = asyncio.create_task(connection.send_request(b"POST / HTTP/1.1\r\n\r\n", b"", headless=False))
        await sent.wait()
        while not (connection._rest or b"").endswith(b"1\r\n \r\n"):  # noqa: ASYNC110
            await asyncio.sleep(0)
        now = counters(connection, monkeypatch, 3, sending=False)
        for _ in range(int(FLOOR_SECONDS) * 10):
            now[0] += 1
            assert connection.stall_reason(now[0]) == ""
        content.set()
        while b"<Re" not in (connection._rest or b""):  # noqa: ASYNC110
            await asyncio.sleep(0)
        reasons = []
        for _ in range(int(FLOOR_SECONDS) + 1):
            now[0] += 1
            reasons.append(connection.stall_reason(now[0]))
        assert "bytes moved" in next(reason for reason in reasons if reason)
        client.close()
        release.set()
        with pytest.raises(UnavailableError):
            await asking


async def test_request_is_repeated_without_expect_after_417() -> None:
    """RFC 9110, 15.5.18: old proxies answer 417, and the client repeats the request without the header."""
    seen = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await read_head(reader)
            seen.append("expect" in request.headers)
            if "expect" in request.headers:
                writer.write(answer(417))
                return
            await reader.readexactly(int(request.headers["content-length"]))
            writer.write(answer(200))
            await writer.drain()

    async with serving(serve) as url:
        client = client_of(url)
        await put(client)
        await put(client)
        client.close()
    assert seen == [True, False, False]


async def test_kernel_counters_count_bytes_that_left_the_send_buffer() -> None:
    """Bytes in a buffer have not moved. Bytes that the peer took have, even if the buffer is as full as before."""
    read = asyncio.Event()
    taken = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await read.wait()
        await reader.readexactly(len(LARGE))
        taken.set()
        writer.write(answer(200))

    async with serving(take) as url:
        client = client_of(url)
        connection = await connected(client)
        head = f"PUT / HTTP/1.1\r\ncontent-length: {len(LARGE)}\r\n\r\n".encode()
        sending = asyncio.create_task(connection.send_request(head, LARGE, headless=False))
        while not connection._transport.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(0)
        before, busy = connection._transfer_progress()
        assert busy
        assert before < len(LARGE)
        read.set()
        await taken.wait()
        await sending
        after, busy = connection._transfer_progress()
        assert (after >= len(LARGE), busy) == (True, False)
        client.close()


async def test_answer_below_the_minimum_rate_is_read_again_over_another_connection() -> None:
    """The sweep ends the slow connection, and the client repeats the request."""
    request_received = asyncio.Event()
    connections = 0

    async def creep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_head(reader)
        if connections > 1:
            writer.write(answer(200, b"x" * 1000))
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        await writer.drain()
        request_received.set()
        await reader.read()

    async with serving(creep) as url:
        client = client_of(url)
        reading = asyncio.create_task(get(client))
        await request_received.wait()
        (busy,) = client.pool._busy
        while busy._body is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        since, moved = busy._interval
        busy._interval = (since - FLOOR_SECONDS - 1, moved)
        client.pool._sweep()
        assert await reading == b"x" * 1000
    assert connections == 2


@pytest.mark.parametrize(
    "malformed",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n",
        chunked(b"hello")[:-3],
    ],
)
async def test_malformed_length_is_a_retryable_error(malformed: bytes) -> None:
    async with scripted(Last(malformed)) as script:
        with pytest.raises(UnavailableError, match="s3 GetObject b/k"):
            await get(script.caller())


async def test_excess_bytes_are_neither_body_nor_the_next_answer() -> None:
    async with scripted(answer(200, b"hello") + b"HTTP/1.1 200 OK\r\n", answer(200, b"world")) as script:
        client = script.caller()
        assert await get(client) == b"hello"
        assert client.pool.open == 0
        assert await get(client) == b"world"
    assert script.connections == 2


def test_chunk_extensions_are_allowed() -> None:
    assert bytes(decode_chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n") or b"") == b"hello"
    assert decode_chunked(b"5\r\nhel") is None
