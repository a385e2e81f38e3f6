"""Content that is too long for memory, sent while it is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

PIECE_BYTES = 8 << 20


class StreamedBody:
    """Bytes `start` to `end` (exclusive) by `read`, in order.

    Each iteration starts from the beginning, for a request that is sent again.
    """

    __slots__ = ("_end", "_read", "_start")

    def __init__(self, read: Callable[[int, int], Awaitable[bytes]], start: int, end: int) -> None:
        self._read, self._start, self._end = read, start, end

    def __len__(self) -> int:
        return self._end - self._start

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for at in range(self._start, self._end, PIECE_BYTES):
            yield await self._read(at, min(at + PIECE_BYTES, self._end))
