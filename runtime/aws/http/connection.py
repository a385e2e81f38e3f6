"""One HTTP/1.1 connection: one request at a time, its answer's body received into memory that the caller provides.

Paths are sent byte for byte as S3 keys need it (`a//b`, `..`), and errors keep their body. What this owes its users
beyond that (refusals of large bodies, stalls, dead connections) is in docs/decisions/2026-11-27-transport.md.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing, suppress
from typing import Any, cast

from dualsync.runtime.aws.http import tcp_socket
from dualsync.runtime.aws.http.answer import Answer, decode_chunked, has_begun, read_head
from dualsync.runtime.aws.http.body_pieces import next_piece
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.streamed_body import StreamedBody

HEAD_BYTES = 1 << 16
"""Most bytes of an answer's head, and most of a body that are received together with it."""

EXPECT_BYTES = 1 << 20
"""Request bodies of this size or more are announced with `Expect: 100-continue`: S3 refuses many writes after the head
and closes without reading the body ("REST API redirection", Amazon S3 User Guide, recommends it). Smaller ones fit the
kernel's buffers, so that their refusal is read in any case, and a round trip per object would cost more."""

CONTINUE_SECONDS = 1.0
"""How long to wait for `100 Continue` before the body is sent without it (RFC 9110, 10.1.1: never indefinitely)."""

SILENCE_SECONDS = 60.0
"""Longest time in which nothing may move on a connection in use, a long poll of 20 s included."""

FLOOR_SECONDS = 30.0
FLOOR_BYTES = 30 << 10
"""Least number of bytes that a transfer must move per `FLOOR_SECONDS`, that is 1 KiB per second. The value is low since
many transfers may share a thin line; a connection below it is replaced."""

MAX_UNKNOWN_BYTES = 64 << 20
"""Most bytes of a body whose length the head does not state: listings and errors, never an object."""

_SLICE = 1 << 18
_BODILESS = (204, 304)


class Connection(asyncio.BufferedProtocol):
    """Failures are `UnavailableError`. Never used by two requests at once; a cancelled request must `abort` it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._socket: Any = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._continue: asyncio.Future[None] | None = None
        self._head = bytearray(HEAD_BYTES)
        self._view = memoryview(self._head)
        self._filled = 0
        self._answer: Answer | None = None
        self._body: memoryview | None = None
        self._target: bytearray | None = None
        self._rest: bytearray | None = None
        self._chunked = False
        self._headless = False
        self._asked = False
        self._paused = False
        self._received = 0
        self._written = 0
        self._moved = 0
        self._interval = (0.0, 0)
        self.answered = False
        """Whether anything of the present answer has arrived."""
        self.reusable = False
        """Whether another request may follow on this connection."""
        self.lost = False
        """Whether the connection has ended."""
        self.continued: bool | None = None
        """Whether the server answered the last `Expect`; None if the last request had none."""
        self.progress = 0.0
        """When something last moved, in the event loop's time."""
        self.opened = self.idle_since = 0.0
        """When it was opened, and when the last request ended, in the event loop's time."""

    async def send_request(self, head: bytes, body: Any, *, headless: bool, expect: bool = False) -> Answer:
        """Send a request and return its answer, with the body if that is small or of unknown length.

        Args:
            headless: the request is a HEAD, whose answer has no body.
            expect: the head announces the body; wait for the server's consent before sending it.
        """
        if self.lost:
            raise UnavailableError("the connection was closed")
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        self._waiter = waiter
        self._headless = headless
        self._asked = False
        self._answer = None
        self._filled = 0
        self.answered = False
        self.reusable = False
        self.continued = None
        self.progress = self._loop.time()
        self._interval = (self.progress, self._moved)
        try:
            if body and expect:
                self._write(head)
                if not await self._may_send(waiter):
                    return await self._refusal(waiter)
            elif not body:
                self._write(head)
            elif not isinstance(body, StreamedBody) and len(body) <= HEAD_BYTES:
                self._write(head + body)
                body = b""
            else:
                self._write(head)
            if isinstance(body, StreamedBody):
                complete = await self._send_pieces(body, waiter)
            else:
                complete = not body or await self._send(memoryview(body), waiter)
            return await (waiter if complete else self._refusal(waiter))
        finally:
            self._continue = None
            del waiter  # with its error it would hold this frame, and so the body, until cycles are collected

    async def _may_send(self, waiter: asyncio.Future[Answer]) -> bool:
        """Wait for `100 Continue` for a second at most. Return False if the answer came instead."""
        consent = self._continue = self._loop.create_future()
        tcp_socket.limit_unsent(self._socket)
        await asyncio.wait({waiter, consent}, timeout=CONTINUE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        self.continued = consent.done()
        return not waiter.done()

    async def _refusal(self, waiter: asyncio.Future[Answer]) -> Answer:
        """Return an answer that came before the body was sent. The server may take the next request for the body."""
        try:
            answer = await waiter
        finally:
            del waiter  # as above
        self.reusable = False
        if answer.status < 300:
            raise UnavailableError(f"the answer ({answer.status}) came before the request's body was sent")
        return answer

    async def receive(self, target: bytearray) -> None:
        """Receive the rest of an answer whose body `send_request` left out, into `target` of `Answer.length` bytes."""
        answer = self._answer
        if answer is None or self._rest is None:
            raise UnavailableError("the connection has no body to receive")
        waiter = self._waiter = self._loop.create_future()
        rest, self._rest = self._rest, None
        target[: len(rest)] = rest
        self._filled = len(rest)
        self._asked = True
        self._target = target
        self._body = memoryview(target)
        self.progress = self._loop.time()
        self._interval = (self.progress, self._moved)
        self._paused = False
        self._transport.resume_reading()
        try:
            await waiter
        finally:
            del waiter  # as above

    def abort(self, why: str = "the connection was given up") -> None:
        """Close at once; a waiting caller gets `UnavailableError` with `why`."""
        self._fail(why)

    def stall_reason(self, now: float) -> str:
        """Return why the connection is too slow to be kept, empty if it is not.

        The kernel's counters decide, as far as there are any: what lies in its buffers has not moved.
        """
        moved, sending = self._transfer_progress()
        if moved != self._moved:
            self._moved, self.progress = moved, now
        if now - self.progress > SILENCE_SECONDS:
            return f"nothing moved for {SILENCE_SECONDS:.0f} s"
        unknown = self._rest is not None and has_begun(self._rest)
        receiving = not self._paused and (self._body is not None or unknown)
        since, before = self._interval
        if not (sending or receiving):
            self._interval = (now, moved)
        elif now - since >= FLOOR_SECONDS:
            if moved - before < FLOOR_BYTES:
                return f"only {moved - before} bytes moved in {now - since:.0f} s"
            self._interval = (now, moved)
        return ""

    def _write(self, data: bytes | memoryview) -> None:
        self._written += len(data)
        self._transport.write(data)

    async def _send(self, body: memoryview, waiter: asyncio.Future[Answer]) -> bool:
        """Send `body`; return False if an answer came before all was sent, which is a refusal."""
        for start in range(0, len(body), _SLICE):
            if waiter.done():
                return False
            self._write(body[start : start + _SLICE])
            self.progress = self._loop.time()
            try:
                if self._writable is not None:
                    await self._writable
            except UnavailableError:
                if waiter.done() and waiter.exception() is None:
                    return False  # the answer came, then the connection failed
                raise
        return True

    async def _send_pieces(self, body: StreamedBody, waiter: asyncio.Future[Answer]) -> bool:
        left = len(body)
        try:
            async with aclosing(body.__aiter__()) as pieces:
                while (piece := await next_piece(pieces, waiter)) is not None:
                    if not await self._send(memoryview(piece), waiter):
                        return False
                    left -= len(piece)
                    del piece  # its room is for the next
                    if waiter.done():
                        return not left
        except BaseException:
            self.abort()  # the server waits for the rest
            raise
        return not left

    def _transfer_progress(self) -> tuple[int, bool]:
        """Return how many bytes have been acknowledged and received, and whether any sent ones are still under way."""
        waiting = self._transport.get_write_buffer_size()
        counted = tcp_socket.transfer_progress(self._socket)
        if counted is None:
            return self._received + self._written - waiting, waiting > 0
        return counted[0], counted[1] or waiting > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._socket = transport.get_extra_info("socket")
        self.opened = self.idle_since = self.progress = self._loop.time()
        self._interval = (self.progress, 0)
        if self._socket is not None:
            tcp_socket.keep_alive(self._socket)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self.progress = self._loop.time()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._body is not None:
            return self._body[self._filled :]
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._waiter is None:
            self.abort()  # not an answer: there is no request
            return
        self.progress = self._loop.time()
        self.answered = True
        self._received += nbytes
        self._filled += nbytes
        if self._body is not None:
            if self._filled == len(self._body):
                self._complete()
        elif self._answer is not None:
            self._accumulate()
        else:
            self._parse()

    def eof_received(self) -> None:
        answer = self._answer
        if answer is not None and answer.length is None and not self._chunked and self._rest is not None:
            answer.body = self._rest
            self._rest = None
            self._finish(answer)
        self._fail("the connection was closed")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._read_what_came()
        self._fail(f"the connection was lost ({type(exc).__name__})" if exc else "the connection was closed")

    def _read_what_came(self) -> None:
        """Read an answer that arrived before the connection failed: asyncio stops reading when a write fails.

        Over TLS the layer below has done so.
        """
        descriptor = self._socket.fileno() if self._socket is not None else -1
        if descriptor < 0 or self._transport.get_extra_info("ssl_object") is not None:
            return
        with suppress(OSError):
            while self._waiter is not None and not self._waiter.done() and not self._paused:
                received = os.readv(descriptor, [self.get_buffer(-1)])
                if not received:
                    return
                self.buffer_updated(received)

    def _parse(self) -> None:
        end = self._head.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            if self._filled == HEAD_BYTES:
                self._fail("the answer's head is too long")
            return
        try:
            answer = read_head(self._head[:end].decode("latin-1"))
        except ValueError as error:
            self._fail(str(error))
            return
        start, filled = end + 4, self._filled
        if answer.status < 200:
            self._view[: filled - start] = bytes(self._view[start:filled])
            self._filled = filled - start
            if self._continue is not None and not self._continue.done():
                self._continue.set_result(None)
            self._parse()
            return
        self._answer = answer
        self.reusable = answer.persistent
        self._chunked = answer.chunked
        self._rest = self._head[start:filled]
        if self._headless or answer.status in _BODILESS or answer.length == 0:
            self._whole(answer, 0)
        elif answer.length is None:
            self._filled = 0
            self._end_of_chunks()
        elif len(self._rest) >= answer.length:
            self._whole(answer, answer.length)
        elif answer.length <= HEAD_BYTES:
            self._target = bytearray(answer.length)
            self._target[: len(self._rest)] = self._rest
            self._filled = len(self._rest)
            self._rest = None
            self._body = memoryview(self._target)
        else:
            self._transport.pause_reading()
            self._paused = True
            self._finish(answer)

    def _whole(self, answer: Answer, length: int) -> None:
        """End an answer whose body came with its head. More bytes than it declares are not the next answer."""
        rest, self._rest = self._rest or bytearray(), None
        if len(rest) > length:
            self.reusable = False
        answer.body = rest[:length]
        self._finish(answer)

    def _complete(self) -> None:
        answer = self._answer
        if answer is not None:
            if self._asked:
                # The memory is the caller's: nothing here may hold it any longer.
                self._answer = self._body = self._target = None
            else:
                answer.body = self._target
            self._finish(answer)

    def _accumulate(self) -> None:
        """Collect a body of unknown length: listings and errors, never an object."""
        if self._rest is not None:
            self._rest += self._view[: self._filled]
            self._filled = 0
            if len(self._rest) > MAX_UNKNOWN_BYTES:
                self._fail("the answer's body is too long")
                return
            self._end_of_chunks()

    def _end_of_chunks(self) -> None:
        answer, raw = self._answer, self._rest
        if not self._chunked or answer is None or raw is None or not raw.endswith(b"\r\n"):
            return
        try:
            body = decode_chunked(raw) if raw.endswith(b"\r\n\r\n") else None
        except ValueError:
            self._fail("the answer's chunks have no length")
            return
        if body is not None:
            answer.body, self._rest = body, None
            self._finish(answer)

    def _finish(self, answer: Answer) -> None:
        self._filled = 0
        if answer.body is not None:
            self._answer = self._body = self._target = None
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _fail(self, why: str) -> None:
        self.lost = True
        self.reusable = False
        for waiter in (self._waiter, self._writable):
            if waiter is not None and not waiter.done():
                waiter.set_exception(UnavailableError(why))
                waiter.exception()  # a cancelled caller does not fetch it
        self._waiter = self._writable = None
        self._body = self._target = self._rest = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
