"""The way through a proxy: which one the environment names for a host, and the tunnel to the host."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from dualsync.runtime.errors import FatalError, UnavailableError

_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy for TLS connections."""

    host: str
    """Name or address of the proxy."""
    port: int
    """Its port."""
    secure: bool
    """Whether the proxy itself is reached over TLS."""
    authorization: str = field(default="", repr=False)
    """Value of `Proxy-Authorization`; empty without a user name."""

    @classmethod
    def of(cls, url: str) -> Proxy:
        """Return the proxy at `http://user:password@host:port`. Raises `FatalError` for another kind of address."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            # The address may hold a password, so it is not repeated.
            raise FatalError("HTTPS_PROXY: not an address of an HTTP proxy; write http://host:port")
        secure = parts.scheme == "https"
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        basic = f"Basic {b64encode(user.encode()).decode()}" if user else ""
        return cls(parts.hostname, port or (443 if secure else 80), secure, basic)


def proxy_for(host: str) -> Proxy | None:
    """Return the proxy for TLS connections to `host`, from HTTPS_PROXY (or ALL_PROXY) and NO_PROXY."""
    named = getproxies_environment()
    url = named.get("https") or named.get("all")
    if not url or proxy_bypass_environment(host, named):
        return None
    return Proxy.of(url)


class Tunnel(asyncio.Protocol):
    """The exchange with the proxy before TLS begins (CONNECT; RFC 9110, 9.3.6)."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._head = b""
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)

    async def open(self, proxy: Proxy, host: str, port: int) -> None:
        """Ask for a tunnel to `host`. Raises `UnavailableError` when the proxy refuses it."""
        name = f"[{host}]" if ":" in host else host
        lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        first = (await self._answer).split(b"\r\n")[0].decode("latin-1")
        status = first[9:12] if first.startswith("HTTP/1.") else ""
        if not status.startswith("2"):
            remedy = ": give it a user and a password in HTTPS_PROXY" if status == "407" else ""
            raise UnavailableError(
                f"proxy {proxy.host}:{proxy.port} refuses {name}:{port} ({status or 'no HTTP'}){remedy}"
            )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        if (b"\r\n\r\n" in self._head or len(self._head) > _HEAD_BYTES) and not self._answer.done():
            self._answer.set_result(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(UnavailableError("the proxy closed the connection"))
            self._answer.exception()
