"""Test the TLS layer between a protocol and its TCP transport."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.aws.http import pool
from dualsync.runtime.aws.http.client import ServiceClient
from dualsync.runtime.aws.http.tls import TlsLayer
from dualsync.runtime.errors import UnavailableError
from tests.support.scripted_server import answer, client_of, read_head, serving
from tests.support.tls import make_authority

LARGE = bytes(range(256)) * (1 << 12)
"""1 MiB, which takes 64 records of TLS."""


class Collector(asyncio.BufferedProtocol):
    """Keeps what arrives, in portions of at most `size` bytes, and how it ended."""

    def __init__(self, size: int = 1 << 16) -> None:
        self.arrived = bytearray()
        self.ends: list[str] = []
        self._room = bytearray(size)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self.arrived += self._room[:nbytes]

    def eof_received(self) -> None:
        self.ends.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(type(exc).__name__ if exc else "lost")


class Wire(asyncio.Transport):
    """A TCP transport that keeps what is written."""

    def __init__(self, connected: socket.socket | None = None) -> None:
        super().__init__({"socket": connected})
        self.written = bytearray()
        self.reading = True
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def abort(self) -> None:
        self.aborted = True


class Peer:
    """A TLS server without a network, and the layer that is connected to it."""

    def __init__(
        self, folder: Path, protocol: Collector, connected: socket.socket | None = None, *, host: str = "localhost"
    ) -> None:
        authority, context = make_authority(folder)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.wire = Wire(connected)
        self.layer = TlsLayer(protocol, ssl.create_default_context(cafile=authority), host)

    def shake_hands(self) -> None:
        self.layer.connection_made(self.wire)
        for _ in range(3):
            try:
                self._take()
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return  # the client has refused the server
            self.give(self.outgoing.read())

    def give(self, data: bytes, cuts: Iterable[int] = ()) -> None:
        """Let encrypted bytes arrive at the layer, first in pieces of these lengths."""
        for length in (*cuts, 1 << 16):
            while data:
                piece, data = data[:length], data[length:]
                self.layer.get_buffer(-1)[: len(piece)] = piece
                self.layer.buffer_updated(len(piece))
                if length < 1 << 16:
                    break

    def encrypted(self, data: bytes) -> bytes:
        """Return what the server sends for `data`."""
        while data:
            data = data[self.tls.write(data) :]
        return self.outgoing.read()

    def received(self) -> bytes:
        """Return all that the layer has sent, decrypted."""
        self._take()
        found = bytearray()
        try:
            while piece := self.tls.read(1 << 16):
                found += piece
        except ssl.SSLWantReadError:
            pass
        return bytes(found)

    def _take(self) -> None:
        self.incoming.write(bytes(self.wire.written))
        self.wire.written.clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("authority")


@given(
    answers=st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 20_000), max_size=60),
    size=st.integers(1, 70_000),
)
def test_all_arrives_in_order_however_the_network_cuts_it(
    answers: list[bytes], cuts: list[int], size: int, folder: Path
) -> None:
    async def run() -> None:
        protocol = Collector(size)
        peer = Peer(folder, protocol)
        peer.shake_hands()
        for body in answers:
            peer.give(peer.encrypted(body), cuts)
            assert protocol.arrived == body
            protocol.arrived.clear()

    asyncio.run(run())


async def test_nothing_is_passed_on_while_reading_is_paused(folder: Path) -> None:
    protocol = Collector()
    peer = Peer(folder, protocol)
    peer.shake_hands()
    peer.layer.pause_reading()
    peer.give(peer.encrypted(LARGE[:50_000]))
    assert (bytes(protocol.arrived), peer.wire.reading) == (b"", False)
    peer.layer.resume_reading()
    assert (bytes(protocol.arrived), peer.wire.reading) == (LARGE[:50_000], True)


@pytest.mark.parametrize("size", [1, 16 << 10, (16 << 10) + 1, len(LARGE)])
async def test_what_is_written_arrives_at_the_server(size: int, folder: Path) -> None:
    peer = Peer(folder, Collector())
    peer.shake_hands()
    peer.layer.write(memoryview(LARGE)[:size])
    assert peer.received() == LARGE[:size]


async def test_only_the_end_of_tls_is_an_end(folder: Path) -> None:
    """Anyone on the way can end a TCP connection, so that a cut answer must not look whole (RFC 8446, 6.1)."""
    ended, cut = Collector(), Collector()
    peer = Peer(folder, ended)
    peer.shake_hands()
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.give(peer.outgoing.read())
    assert ended.ends == ["eof"]
    other = Peer(folder, cut)
    other.shake_hands()
    other.give(other.encrypted(b"some"))
    assert not other.layer.eof_received()
    other.layer.connection_lost(None)
    assert (bytes(cut.arrived), cut.ends) == (b"some", ["lost"])


async def test_damaged_record_ends_the_connection(folder: Path) -> None:
    protocol = Collector()
    peer = Peer(folder, protocol)
    peer.shake_hands()
    record = bytearray(peer.encrypted(b"some"))
    record[-1] ^= 1
    peer.give(bytes(record))
    peer.layer.connection_lost(None)
    assert (bytes(protocol.arrived), protocol.ends, peer.wire.aborted) == (b"", ["SSLError"], True)


async def test_answer_that_came_before_a_failed_write_is_passed_on(folder: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        protocol = Collector()
        peer = Peer(folder, protocol, ours)
        peer.shake_hands()
        theirs.sendall(peer.encrypted(b"refused"))
        peer.layer.connection_lost(BrokenPipeError())
    assert (bytes(protocol.arrived), protocol.ends) == (b"refused", ["BrokenPipeError"])


async def test_nothing_is_sent_after_the_end(folder: Path) -> None:
    peer = Peer(folder, Collector())
    peer.shake_hands()
    peer.received()
    peer.layer.connection_lost(None)
    peer.layer.write(b"late")
    assert not peer.wire.written


async def get(client: ServiceClient) -> None:
    await client.call("GetObject", "b/k", "GET", "/b/k")


async def test_certificate_of_another_name_is_refused(folder: Path) -> None:
    peer = Peer(folder, Collector(), host="other.example")
    peer.shake_hands()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await peer.layer.wait_until_secure()
    assert peer.wire.aborted


async def test_server_of_an_unknown_authority_gets_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, context = make_authority(tmp_path)
    monkeypatch.setattr(pool, "_tls", ssl.create_default_context)
    monkeypatch.setattr("random.uniform", lambda low, high: 0)
    requests = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_head(reader)
        requests += 1

    async with serving(count, context) as url:
        with pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            await get(client_of(url))
    assert requests == 0


async def test_server_without_tls_is_a_retryable_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer(400))

    async with serving(speak) as url:
        with pytest.raises(UnavailableError, match="WRONG_VERSION_NUMBER"):
            await get(client_of(url.replace("http:", "https:")))


async def test_end_within_the_handshake_is_a_retryable_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)

    async with serving(leave) as url:
        with pytest.raises(UnavailableError, match="closed during the handshake"):
            await get(client_of(url.replace("http:", "https:")))
