"""A forward proxy that opens tunnels by CONNECT, and a TLS front that only it can reach."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from urllib.parse import urlsplit

from tests.e2e.relays.background import Background, join


class TlsFront:
    """TLS in front of a plain HTTP server."""

    def __init__(self, endpoint: str, context: ssl.SSLContext) -> None:
        parts = urlsplit(endpoint)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._server = Background(self._serve, context)
        self.port = self._server.port
        """The port on loopback."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await join((reader, writer), await asyncio.open_connection(*self._target))

    def stop(self) -> None:
        """Close every connection and stop listening."""
        self._server.stop()


class ConnectProxy:
    """A proxy with a user and a password, which opens tunnels to one host only."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        """Create the proxy. `host` is a name that only the proxy resolves: to `port` on loopback."""
        self._host, self._to = host, port
        self._wanted = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        self.tunnels = 0
        """Tunnels that were opened."""
        self.refused: list[str] = []
        """First lines of the refused requests."""
        self.refusal = ""
        """Status line of the answer to every request, while it is set."""
        self._open: set[asyncio.StreamWriter] = set()
        self._server = Background(self._serve)
        self.url = f"http://{user}:{password}@127.0.0.1:{self._server.port}"
        """Value of HTTPS_PROXY."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        answer = self._answer(head[0], headers.get("proxy-authorization", ""))
        if answer.startswith("200"):
            self.tunnels += 1
        else:
            self.refused.append(head[0])
        writer.write(f"HTTP/1.1 {answer}\r\n\r\n".encode())
        if not answer.startswith("200"):
            await writer.drain()
            writer.close()
            return
        self._open.add(writer)
        try:
            await join((reader, writer), await asyncio.open_connection("127.0.0.1", self._to))
        finally:
            self._open.discard(writer)

    def _answer(self, line: str, authorization: str) -> str:
        method, _, rest = line.partition(" ")
        target = rest.partition(" ")[0]
        if self.refusal:
            return self.refusal
        if authorization != self._wanted:
            return "407 Proxy Authentication Required"
        return "200 Connection established" if (method, target) == ("CONNECT", self._host) else "403 Forbidden"

    def refuse(self, status: str) -> None:
        """Answer every request with this status line from now on, and close the open tunnels."""
        self.refusal = status
        for writer in list(self._open):
            self._server.soon(writer.transport.abort)

    def allow(self) -> None:
        """Open tunnels again."""
        self.refusal = ""

    def stop(self) -> None:
        """Close every tunnel and stop listening."""
        self._server.stop()
