"""A TCP relay on loopback in front of the local cloud emulator, which a case can cut and restore."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

CHUNK = 1 << 16


class Gateway:
    """Relay between `up` and `down`. While it is down, connections are refused and the open ones are reset."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._open: set[socket.socket] = set()
        self._near: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._port = 0
        self._listener: socket.socket | None = None
        self.up()

    @property
    def endpoint(self) -> str:
        """Return the address for clients; it stays the same after `down` and `up`."""
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Start to relay connections."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(128)
        self._port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Close every connection and stop listening. Does nothing while it is down."""
        with self._lock:
            listener, self._listener = self._listener, None
            sockets = {*self._open, *([listener] if listener else [])}
            self._open.clear()
            self._near.clear()
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                if self._listener is not listener:
                    near.close()
                    far.close()
                    return
                self._open |= {near, far}
                self._near.add(near)
            for source, target in ((near, far), (far, near)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                target.sendall(data)
        self._close(source, target)

    def _close(self, source: socket.socket, target: socket.socket) -> None:
        """End both connections: the other direction's thread ends with them."""
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, target}
            self._near -= {source, target}
        source.close()
