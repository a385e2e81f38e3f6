"""Memory for objects' contents, admitted by bytes, so that any number of large objects at once stay within a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar

BUDGET_BYTES = 160 << 20
"""Most bytes of contents that one process holds at a time, small ones apart. With the process itself that stays below
300 MB of resident memory, however many parts of giant objects are under way (the benchmarks measure it)."""

HURRY: ContextVar[bool] = ContextVar("hurry", default=False)
"""Whether what is read now is a piece of a request under way: S3 ends one on which nothing moves (RequestTimeout).
So it does not wait behind bodies for which no request has begun."""


class Admission:
    """Hands out `Body`s of at most `budget` bytes together, first come, first served, those in a `HURRY` before all.

    A body larger than the budget gets in when it is alone. What a body took is free again when the body is: nobody
    has to remember to give it back.
    """

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self._budget = budget
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._hurrying: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """Bytes handed out and still in use."""
        return self._held

    async def body(self, size: int) -> Body:
        """Memory for `size` bytes, when there is room for it."""
        hurry = HURRY.get()
        if self._hurrying or (self._waiting and not hurry) or not self._fits(size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._hurrying if hurry else self._waiting).append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.release(size)
                raise
        else:
            self._held += size
        return Body(size, self)

    def release(self, size: int) -> None:
        """Called by a `Body` that ends."""
        self._held -= size
        while queue := self._hurrying or self._waiting:
            size, turn = queue[0]
            if turn.done():
                queue.popleft()
            elif self._fits(size):
                queue.popleft()
                self._held += size
                turn.set_result(None)
            else:
                return

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._budget


class Body(bytearray):
    """A content's bytes, counted by its admission as long as anybody holds them."""

    __slots__ = ("_admission", "_size")

    def __init__(self, size: int, admission: Admission) -> None:
        super().__init__(size)
        self._admission = admission
        self._size = size

    def __del__(self) -> None:
        self._admission.release(self._size)
