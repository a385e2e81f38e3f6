"""Memory for objects' contents, admitted by bytes, so that many large objects at once stay within a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar

BUDGET_BYTES = 160 << 20
"""Most bytes of contents that one process holds at a time, small ones apart. With the process itself that stays below
300 MB of resident memory, however many parts of large objects are under way (the benchmarks measure it)."""

HAS_PRIORITY: ContextVar[bool] = ContextVar("has_priority", default=False)
"""Whether a streamed request, or a read of a piece of its body, is under way. S3 ends a request on which nothing moves
(RequestTimeout), so these reads do not wait behind bodies for which no request has begun. Such bodies hold memory while
they wait for a client's window. So the streamed request and its reads take no slot of a window, or each would wait for
the other."""


class Admission:
    """Hands out `Body`s of at most `budget` bytes together, first come, first served, those with `HAS_PRIORITY` first.

    A body larger than the budget is admitted when it is alone. Its memory is counted as free once the body is
    collected.
    """

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self._budget = budget
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._hurrying: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held_bytes(self) -> int:
        """Return the number of bytes handed out and still in use."""
        return self._held

    async def body(self, size: int) -> Body:
        """Wait until there is room for `size` bytes, and return memory for them."""
        hurry = HAS_PRIORITY.get()
        if self._hurrying or (self._waiting and not hurry) or not self._fits(size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._hurrying if hurry else self._waiting).append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                self.release(0 if turn.cancelled() else size)  # those behind it may fit now
                raise
        else:
            self._held += size
        return Body(size, self)

    def release(self, size: int) -> None:
        """Count `size` bytes as free. Called by a `Body` that ends."""
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
    """The bytes of a content, counted by its admission as long as they are referenced."""

    __slots__ = ("_admission", "_size")

    def __init__(self, size: int, admission: Admission) -> None:
        super().__init__(size)
        self._admission = admission
        self._size = size

    def __del__(self) -> None:
        self._admission.release(self._size)
