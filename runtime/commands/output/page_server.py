"""A read-only page on loopback: GET / and GET /status.json, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from dualsync.runtime.commands.output.status_page import POLICY

LOOPBACK = "127.0.0.1"
LONGEST_HEAD_BYTES = 16 << 10
"""Bytes of a request's head that are read at most."""
REQUEST_SECONDS = 10.0
"""Time in which a request must arrive."""
Body = Callable[[], tuple[str, str]]
"""Return content type and text of a page."""


@dataclass(frozen=True, slots=True)
class PageServer:
    """Serves pages by path. The names of the host are checked, so that no web site reaches it through a browser."""

    pages: dict[str, Body]
    """Path and page."""

    async def start(self, port: int) -> asyncio.Server:
        """Listen on loopback; port 0 takes a free one."""
        return await asyncio.start_server(self._answer, LOOPBACK, port, limit=LONGEST_HEAD_BYTES)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            try:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), REQUEST_SECONDS)
                writer.write(self.respond(head.decode("latin-1")))
                await writer.drain()
            finally:
                writer.close()

    def respond(self, head: str) -> bytes:
        """Return the answer to a request's head."""
        first, *lines = head.split("\r\n")
        method, _, rest = first.partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        hosts = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("host:")]
        if len(hosts) != 1 or hosts[0].rpartition(":")[0] not in (LOOPBACK, "localhost"):
            return _response("421 Misdirected Request", "text/plain", "use http://127.0.0.1\n", method)
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", "text/plain", "the page is read-only\n", method)
        page = self.pages.get(path)
        if page is None:
            return _response("404 Not Found", "text/plain", "there are / and /status.json\n", method)
        return _response("200 OK", *page(), method)


def _response(status: str, kind: str, text: str, method: str) -> bytes:
    body = text.encode()
    head = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"Content-Security-Policy: {POLICY}; frame-ancestors 'none'",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(head).encode() + (b"" if method == "HEAD" else body)
