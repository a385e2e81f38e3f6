"""TLS between a protocol and a TCP transport, with less work per answer than asyncio's own layer.

Why it is not asyncio's, and what it saves: docs/decisions/2026-11-29-tls.md.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from typing import Any, cast

_ROOM_BYTES = 256 << 10
_ROOM = threading.local()


def _room() -> memoryview:
    """Return this thread's memory for encrypted bytes. They leave it within the same callback."""
    made: memoryview | None = getattr(_ROOM, "view", None)
    if made is None:
        made = _ROOM.view = memoryview(bytearray(_ROOM_BYTES))
    return made


class TlsLayer(asyncio.Transport, asyncio.BufferedProtocol):
    """The transport of `protocol`, and the protocol of the TCP transport below.

    `protocol` is connected once the handshake is complete. An end of the TCP connection without TLS's own end is a
    lost connection: `protocol` gets no `eof_received`, since anyone can cut a connection (RFC 8446, 6.1).
    """

    def __init__(self, protocol: asyncio.BufferedProtocol, context: ssl.SSLContext, host: str) -> None:
        super().__init__()
        self._protocol = protocol
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._secured: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._room = _room()
        self._open = False
        self._paused = False

    async def wait_until_secure(self) -> None:
        """Wait until the handshake is complete. Raises `OSError`, of which `ssl.SSLError` is one; then it is closed."""
        try:
            await self._secured
        except BaseException:
            self.abort()
            raise

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not self._open:
            return
        rest = memoryview(data)
        while rest:
            rest = rest[self._ssl.write(rest) :]
        self._transport.write(self._outgoing.read())

    def pause_reading(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        self._transport.resume_reading()
        self._deliver()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._ssl if name == "ssl_object" else self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.BufferedProtocol, protocol)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def abort(self) -> None:
        self._transport.abort()

    close = abort

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._shake_hands()

    def get_buffer(self, sizehint: int) -> memoryview[Any]:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self._incoming.write(self._room[:nbytes])
        if not self._open:
            self._shake_hands()
        self._deliver()

    def pause_writing(self) -> None:
        if self._open:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._open:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._read_what_came()
        opened, self._open = self._open, False
        if opened:
            self._protocol.connection_lost(exc)
        elif not self._secured.done():
            self._secured.set_exception(exc or ConnectionResetError("the connection was closed during the handshake"))
            self._secured.exception()  # a cancelled caller does not fetch it

    def _shake_hands(self) -> None:
        failure: ssl.SSLError | None = None
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            failure = error
        else:
            self._open = True
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())
        if self._open:
            self._protocol.connection_made(self)
        if (self._open or failure is not None) and not self._secured.done():
            if failure is None:
                self._secured.set_result(None)
            else:
                self._secured.set_exception(failure)
                self._secured.exception()
                self.abort()

    def _deliver(self) -> None:
        """Pass on what can be decrypted, up to the last whole record."""
        incoming, protocol = self._incoming, self._protocol
        tls: Any = self._ssl  # typeshed knows only the form of `read` that returns bytes
        try:
            while self._open and not self._paused and (incoming.pending or tls.pending()):
                room = cast(memoryview, protocol.get_buffer(-1))
                received = tls.read(len(room), room)
                if not received:
                    protocol.eof_received()
                    return
                protocol.buffer_updated(received)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._open = False
            protocol.connection_lost(error)
            self.abort()
            return
        if self._outgoing.pending:  # a key update is answered
            self._transport.write(self._outgoing.read())

    def _read_what_came(self) -> None:
        """Read an answer that arrived before the connection failed: asyncio stops reading when a write fails."""
        sock = self._transport.get_extra_info("socket")
        with suppress(OSError):
            while self._open and not self._paused:
                received = sock.recv_into(self._room)
                if not received:
                    return
                self._incoming.write(self._room[:received])
                self._deliver()
