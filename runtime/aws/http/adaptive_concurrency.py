"""How many requests at a time a service bears: found out as TCP does, by growing until it says no."""

from __future__ import annotations

import asyncio
from collections import deque

FIRST, MOST = 16, 1024
CALM_SECONDS = 1.0
"""Refusals within so long after one are of the same moment: they count once."""


class AdaptiveConcurrency:
    """A window of requests under way. Each answer widens it by one, until the first refusal (503, SlowDown); that
    halves it, and from then on it takes a whole window of answers to widen it by one."""

    def __init__(self, first: int = FIRST, most: int = MOST) -> None:
        self._window = float(first)
        self._most = most
        self._slow_start = True
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._calm_from = 0.0

    @property
    def window(self) -> int:
        """So many at a time, now."""
        return int(self._window)

    async def enter(self) -> None:
        """Wait for a place; first come, first served."""
        if self._running < self.window and not self._waiting:
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def answered(self) -> None:
        """Leave, after an answer. An idle window does not grow: it has not been tried."""
        if self._running * 2 >= self.window:
            self._window = min(self._most, self._window + (1.0 if self._slow_start else 1.0 / self._window))
        self._leave()

    def refused(self) -> None:
        """Leave, told to slow down."""
        now = asyncio.get_running_loop().time()
        if now >= self._calm_from:
            self._calm_from = now + CALM_SECONDS
            self._slow_start = False
            self._window = max(1.0, self._window / 2)
        self._leave()

    def failed(self) -> None:
        """Leave without an answer: that says nothing of the pace."""
        self._leave()

    def _leave(self) -> None:
        self._running -= 1
        while self._waiting and self._running < self.window:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)
