"""Test streamed parts: parts too long for memory are sent while they are read."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from base64 import b64encode
from typing import cast

import pytest

from dualsync.runtime.aws.http.answer import Answer
from dualsync.runtime.aws.http.body_memory import HAS_PRIORITY, Admission
from dualsync.runtime.aws.http.client import ATTEMPTS, STREAMS
from dualsync.runtime.aws.http.connection import Connection
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.errors import PreconditionFailedError, UnavailableError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, Part
from dualsync.runtime.model.streamed_body import PIECE_BYTES, StreamedBody
from tests.support.scripted_server import CLOSE, ReceivedRequest, Script, answer, error, scripted

SIZE = 2 * PIECE_BYTES + 5


class Source:
    """Bytes that name the piece they are from; a read at or after byte `fails` raises the error."""

    def __init__(self, fails: int = SIZE, error: Exception | None = None) -> None:
        self.read_from: list[int] = []
        self._fails = fails
        self._error = error

    async def read(self, start: int, end: int) -> bytes:
        if start >= self._fails and self._error is not None:
            raise self._error
        self.read_from.append(start)
        return bytes([65 + start // PIECE_BYTES]) * (end - start)

    def pieces(self) -> StreamedBody:
        return StreamedBody(self.read, 0, SIZE)


WHOLE = b"A" * PIECE_BYTES + b"B" * PIECE_BYTES + b"C" * 5


def bucket(script: Script) -> S3Bucket:
    return S3Bucket(script.caller(), "b", path_style=True)


async def test_long_part_is_sent_whole() -> None:
    source = Source()
    assert len(source.pieces()) == SIZE
    async with scripted(answer(200, ETag='"e"')) as script:
        b = bucket(script)
        assert await b.put_part("k", "u", 7, source.pieces()) == Part(7, "e")
        (request,) = script.requests
        assert request.body == WHOLE
        assert request.headers["content-length"] == str(SIZE)
        assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
        assert source.read_from == [0, PIECE_BYTES, 2 * PIECE_BYTES]
        assert b.client.pool.open == 1


@pytest.mark.parametrize("first", [error(503, "SlowDown"), error(500, "InternalError"), CLOSE])
async def test_retried_part_is_read_again(first: bytes) -> None:
    source = Source()
    async with scripted(first, answer(200, ETag='"e"')) as script:
        await bucket(script).put_part("k", "u", 7, source.pieces())
        assert script.requests[-1].body == WHOLE
        assert source.read_from[-3:] == [0, PIECE_BYTES, 2 * PIECE_BYTES]


@pytest.mark.parametrize("error", [PreconditionFailedError("replaced"), UnavailableError("reset")], ids=repr)
async def test_failed_source_closes_the_connection(error: Exception) -> None:
    answered: list[ReceivedRequest] = []

    def serve(request: ReceivedRequest) -> bytes:
        answered.append(request)
        return answer(200, ETag='"e"')

    async with scripted(serve) as script:
        b = bucket(script)
        with pytest.raises(type(error)):
            await b.put_part("k", "u", 7, Source(PIECE_BYTES, error).pieces())
        assert b.client.pool.open == 0
        assert answered == [], "half a part is not stored"
        await b.put_part("k", "u", 7, Source().pieces())
        assert len(answered) == 1


async def test_refusal_ends_the_sending_of_the_part() -> None:
    async with scripted(error(403, "AccessDenied")) as script:
        with pytest.raises(Exception, match="AccessDenied"):
            await bucket(script).put_part("k", "u", 7, Source().pieces())


async def test_piece_is_released_before_the_next_is_read() -> None:
    """Otherwise many parts, each holding one piece, would deadlock on the memory bound."""
    admission = Admission(PIECE_BYTES)

    async def read(start: int, end: int) -> bytes:
        return cast(bytes, await admission.body(end - start))

    async with scripted(answer(200, ETag='"e"')) as script:
        b = bucket(script)
        parts = (b.put_part("k", "u", n, StreamedBody(read, 0, SIZE)) for n in (1, 2))
        await asyncio.wait_for(asyncio.gather(*parts), 60)
        assert admission.held_bytes == 0


async def test_part_is_read_twice_if_its_md5_is_required_in_advance() -> None:
    wants = error(400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests")
    source = Source()
    async with scripted(wants, answer(200, ETag='"e"')) as script:
        await bucket(script).put_part("k", "u", 7, source.pieces())
        expected = b64encode(hashlib.md5(WHOLE, usedforsecurity=False).digest()).decode()
        assert script.requests[-1].headers["content-md5"] == expected
        assert script.requests[-1].body == WHOLE
        assert source.read_from[-6:] == [0, PIECE_BYTES, 2 * PIECE_BYTES] * 2


async def test_refusal_between_two_pieces_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server would read the next request as the rest of the content."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(PIECE_BYTES)
            writer.write(error(403, "AccessDenied"))
            await reader.read()
        writer.close()
        ended.set()

    ended = asyncio.Event()
    send = Connection._send

    async def send_and_be_answered(self: Connection, body: memoryview, waiter: asyncio.Future[Answer]) -> None:
        await send(self, body, waiter)
        await asyncio.wait({waiter})

    monkeypatch.setattr(Connection, "_send", send_and_be_answered)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    b = bucket(Script([], url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    try:
        with pytest.raises(Exception, match="AccessDenied"):
            await b.put_part("k", "u", 7, Source().pieces())
        assert b.client.pool.open == 0
        await ended.wait()
    finally:
        server.close()


async def test_failed_source_is_not_retried_on_each_idle_connection() -> None:
    source = Source(0, UnavailableError("silent"))
    tries = 0

    async def read(start: int, end: int) -> bytes:
        nonlocal tries
        tries += 1
        return await source.read(start, end)

    async with scripted(answer(200, ETag='"e"')) as script:
        b = bucket(script)
        await asyncio.gather(*[b.put("k", b"x", Attributes(), None, MUST_NOT_EXIST) for _ in range(8)])
        assert b.client.pool.open == 8
        with pytest.raises(UnavailableError, match="silent"):
            await b.put_part("k", "u", 7, StreamedBody(read, 0, SIZE))
        assert tries == ATTEMPTS
        await b.put("k", b"x", Attributes(), None, MUST_NOT_EXIST)


async def test_number_of_streams_at_a_time_is_limited() -> None:
    """S3 ends a request on which nothing moves, so a stream starts only when it has a slot."""
    begun: set[int] = set()
    proceed = asyncio.Event()
    full = asyncio.Event()

    def pieces(number: int) -> StreamedBody:
        async def read(start: int, end: int) -> bytes:
            begun.add(number)
            assert HAS_PRIORITY.get()
            if len(begun) == STREAMS:
                full.set()
            await proceed.wait()
            return b"x" * (end - start)

        return StreamedBody(read, 0, 5)

    async with scripted(answer(200, ETag='"e"')) as script:
        b = bucket(script)
        parts = [asyncio.create_task(b.put_part("k", "u", n, pieces(n))) for n in range(STREAMS + 3)]
        await full.wait()
        small = asyncio.create_task(b.put("k", b"x", Attributes(), None, MUST_NOT_EXIST))
        await small
        assert len(begun) == STREAMS, "a small write does not wait, and no other stream starts"
        proceed.set()
        await asyncio.gather(*parts)
        assert len(begun) == STREAMS + 3
        assert not HAS_PRIORITY.get()
