"""The way through a proxy: which one the environment names for a host, and the tunnel to the host."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment

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
    def from_url(cls, url: str) -> Proxy:
        """Return the proxy at `http://user:password@host:port`. Raises `FatalError` for another kind of address."""
        # The address may hold a password, so neither it nor an error that repeats it is shown.
        wrong = FatalError(
            "HTTPS_PROXY: not an address of an HTTP proxy; write http://host:port or http://user:password@host:port,"
            " with reserved characters of the password percent-encoded"
        )
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port
        except ValueError:
            raise wrong from None
        # What follows the port is part of a password that holds a reserved character.
        rest = parts.path.strip("/") or parts.query or parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname or rest:
            raise wrong
        secure = parts.scheme == "https"
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        basic = f"Basic {b64encode(user.encode()).decode()}" if user else ""
        return cls(parts.hostname, port or (443 if secure else 80), secure, basic)


def proxy_for(host: str, port: int = 443) -> Proxy | None:
    """Return the proxy for TLS connections to `host`, from HTTPS_PROXY (or ALL_PROXY) and NO_PROXY."""
    named = getproxies_environment()
    url = named.get("https") or named.get("all")
    if not url or _is_direct(host.lower().rstrip("."), port, named.get("no", "")):
        return None
    return Proxy.from_url(url)


def _is_direct(host: str, port: int, listed: str) -> bool:
    """Return whether NO_PROXY lists the host.

    An entry is a name, a suffix (`.example.com`, `*.example.com`), an address, a network (`10.0.0.0/8`) or `*`; a port
    may follow.
    """
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    for entry in listed.lower().replace(",", " ").split():
        name, wanted = _entry(entry)
        if wanted and wanted != str(port):
            continue
        if name == "*":
            return True
        suffix = name.removeprefix("*").strip(".")
        if suffix and (host == suffix or (address is None and host.endswith(f".{suffix}"))):
            return True
        with suppress(ValueError):
            if address is not None and address in ip_network(name, strict=False):
                return True
    return False


def _entry(text: str) -> tuple[str, str]:
    """Return the host and the port of an entry of NO_PROXY; the port is empty if it has none."""
    if text.startswith("["):
        name, _, port = text[1:].partition("]")
        return name, port.lstrip(":")
    if text.count(":") == 1:
        name, _, port = text.partition(":")
        return name, port
    return text, ""


class Tunnel(asyncio.BufferedProtocol):
    """The exchange with the proxy before TLS begins (CONNECT; RFC 9110, 9.3.6)."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._head = bytearray(_HEAD_BYTES)
        self._filled = 0
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

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._head)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        complete = self._head.find(b"\r\n\r\n", 0, self._filled) >= 0 or self._filled == _HEAD_BYTES
        if complete and not self._answer.done():
            self._answer.set_result(bytes(self._head[: self._filled]))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(UnavailableError("the proxy closed the connection"))
            self._answer.exception()
