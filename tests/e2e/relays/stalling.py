"""A relay that stalls large transfers: the connection stays open, and no more bytes pass."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass

from tests.e2e.relays.gateway import CHUNK, Gateway

CLOSED = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
"""What `poll` reports once the other end has closed the connection, also while bytes from it are unread."""


@dataclass(slots=True)
class Stall:
    """One stalled connection."""

    upload: bool
    """Whether the client was sending; else it was receiving."""

    since: float
    """When the stall began, on the monotonic clock."""

    ended: float | None = None
    """When the client closed the connection, on the monotonic clock; None before. It stays None for an upload, because
    the close arrives behind bytes that are not read."""


class StallingGateway(Gateway):
    """Stalls each connection that carries more than `after` bytes in one direction, once per direction."""

    def __init__(self, endpoint: str, after: int) -> None:
        self._after = after
        self._armed: set[bool] = set()
        self._over: dict[socket.socket, threading.Event] = {}
        self.stalls: list[Stall] = []
        """Stalled connections."""
        super().__init__(endpoint)

    def arm(self) -> None:
        """Stall the next large upload and the next large download."""
        with self._lock:
            self._armed = {True, False}

    @property
    def lasting(self) -> list[Stall]:
        """Return the stalled connections that the client has not closed."""
        return [stall for stall in self.stalls if stall.ended is None]

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        upload = source in self._near
        passed = 0
        with contextlib.suppress(OSError):
            while (data := source.recv(CHUNK)) and source not in self._over:
                target.sendall(data)
                passed += len(data)
                if passed > self._after and (stall := self._stall(upload, source, target)) is not None:
                    self._wait_for_end(source if upload else target, stall)
                    self._over[source].set()
        if source in self._over:
            self._over[source].wait()  # the other direction of a stalled connection neither passes nor closes anything
        self._close(source, target)

    def _stall(self, upload: bool, source: socket.socket, target: socket.socket) -> Stall | None:
        with self._lock:
            if upload not in self._armed:
                return None
            self._armed.discard(upload)
            self._over[source] = self._over[target] = threading.Event()
            stall = Stall(upload, time.monotonic())
            self.stalls.append(stall)
            return stall

    def _wait_for_end(self, near: socket.socket, stall: Stall) -> None:
        poller = select.poll()
        poller.register(near, CLOSED)
        while not poller.poll(200):
            with self._lock:
                if near not in self._open:
                    return
        stall.ended = time.monotonic()
