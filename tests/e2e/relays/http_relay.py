"""An HTTP relay that reads every request whole and calls a function that decides on the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.e2e.relays.background import BUFFER_BYTES, Background

BODILESS = (204, 304)


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    """Its method."""

    target: str
    """Path and query, as they were sent."""

    headers: dict[str, str]
    """Header values by lower-case name."""

    raw: bytes
    """The whole request as it is forwarded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer."""

    status: int
    """HTTP status."""

    headers: dict[str, str]
    """Header values by lower-case name."""

    raw: bytes
    """The whole answer as it is forwarded."""

    @classmethod
    def of(cls, status: str, body: bytes, kind: str) -> Answer:
        """Make an answer of a status line, a body, and its content type."""
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        return cls(int(status[:3]), {}, head.encode() + body)


Send = Callable[[], Awaitable[Answer]]
"""Forwards the request and returns the answer; each call forwards it once."""

Decide = Callable[[Request, Send], Awaitable[bytes]]
"""Returns what the client receives. With fewer bytes than an answer has, the connection is closed after them."""


class HttpRelay:
    """Relays HTTP to one target; connections are kept open."""

    def __init__(self, endpoint: str, decide: Decide) -> None:
        parts = urlsplit(endpoint)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._decide = decide
        self._server = Background(self._serve)
        self.endpoint = f"http://127.0.0.1:{self._server.port}"
        """Address for clients."""

    def stop(self) -> None:
        """Close every connection and stop listening."""
        self._server.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = Upstream(self._target)
        try:
            while (request := await read_request(reader, writer)) is not None:
                whole = 0

                async def send(request: Request = request) -> Answer:
                    nonlocal whole
                    answer = await upstream.exchange(request)
                    whole = len(answer.raw)
                    return answer

                sent = await self._decide(request, send)
                writer.write(sent)
                await writer.drain()
                if len(sent) < whole or not sent:
                    return
        finally:
            upstream.close()


class Upstream:
    """One connection to the target, opened again when it has ended."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, request: Request) -> Answer:
        """Send a request and return its answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._target, limit=BUFFER_BYTES)
        reader, writer = self._streams
        try:
            writer.write(request.raw)
            await writer.drain()
            return await _read_answer(reader, request.method)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].transport.abort()
            self._streams = None


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """Read a request whole, and send 100 Continue if the client waits for it; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, headers = _parse(head)
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        lines = head.split(b"\r\n")
        head = b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ", 2)
    return Request(method, target, headers, head + body)


async def _read_answer(reader: asyncio.StreamReader, method: str) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, headers = _parse(head)
    status = int(first.split(" ", 2)[1])
    bodiless = method == "HEAD" or status in BODILESS
    body = b"" if bodiless else await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(status, headers, head + body)


def _parse(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
