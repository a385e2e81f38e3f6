"""Locks by which a process handles a key once at a time. Between processes the conditional writes do that."""

from __future__ import annotations

import asyncio


class KeyLocks:
    """One lock per key, kept while a task holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[str, _KeyLock] = {}

    def hold(self, key: str) -> _Hold:
        """Wait for the key's lock and hold it, as an asynchronous context."""
        return _Hold(self._locks, key)


class _KeyLock(asyncio.Lock):
    users = 0
    """Tasks that hold the lock or wait for it."""


class _Hold:
    """One use of a key's lock. A class, since `asynccontextmanager` makes a generator per use."""

    __slots__ = ("_key", "_lock", "_locks")

    def __init__(self, locks: dict[str, _KeyLock], key: str) -> None:
        self._locks = locks
        self._key = key
        self._lock: _KeyLock

    async def __aenter__(self) -> None:
        lock = self._locks.get(self._key)
        if lock is None:
            lock = self._locks[self._key] = _KeyLock()
        self._lock = lock
        lock.users += 1
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._lock.release()
        self._leave()

    def _leave(self) -> None:
        self._lock.users -= 1
        if not self._lock.users:
            del self._locks[self._key]
