"""Adaptive limits of one service: requests at a time (AIMD, as in TCP), and per second once it has throttled."""

from __future__ import annotations

import asyncio
from collections import deque

FIRST_WINDOW, MAX_WINDOW = 16, 1024
"""Requests at a time: at the start, and at most."""

SAME_REFUSAL_SECONDS = 1.0
"""Refusals within this time after one count as the same refusal."""

RATE_CUT = 0.7
"""Factor by which a refusal cuts the rate (as the SDKs' adaptive retry mode does)."""

RATE_GROWTH = 0.4
"""Scale of the cubic growth of the rate after a cut (the same mode's constant)."""

MIN_RATE, FIRST_RATE = 2.0, 16.0
"""Requests per second that are always allowed, and those that the first cut starts from at least."""

MEASURE_SECONDS = 1.0
"""Length of the intervals over which the rate of accepted requests is measured."""


class AdaptiveConcurrency:
    """A window of requests under way, and a rate at which they may begin.

    Each answer widens the window by one until the first refusal (SlowDown, ProvisionedThroughputExceeded); that halves
    it, and from then on a whole window of answers widens it by one. A window cannot be narrower than one request, which
    is still too much for a service that answers quickly. So a refusal also sets the rate to a fraction of what the
    service has accepted. The rate grows again by a cubic function of time, and without bound once it is no limit.

    A request that waits for other requests, and these, enter without a slot of the window. The window could be full of
    requests that wait for them. The rate limits them too, and their refusals narrow the window.
    """

    def __init__(self, first: int = FIRST_WINDOW, most: int = MAX_WINDOW) -> None:
        self._window = float(first)
        self._most = most
        self._slow_start = True
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._calm_from = 0.0
        self._rate = _Rate()

    @property
    def window(self) -> int:
        """Return how many requests may be under way now."""
        return int(self._window)

    @property
    def rate(self) -> float:
        """Return how many requests may begin per second; infinite before the first refusal."""
        return self._rate.allowed(asyncio.get_running_loop().time())

    async def enter(self, *, slot: bool = True) -> None:
        """Wait for a slot of the window, first come, first served, and for a place of the rate."""
        if slot:
            await self._take_slot()
        pause = self._rate.reserve(asyncio.get_running_loop().time()) if self._rate.limited else 0.0
        if pause > 0:
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                self.leave_after_failure(slot=slot)
                raise

    def leave_after_answer(self, *, slot: bool = True) -> None:
        """Leave, after an answer. An idle window does not grow, since it has not been tried."""
        self._rate.accepted(asyncio.get_running_loop().time())
        if slot and self._running * 2 >= self.window:
            self._window = min(self._most, self._window + (1.0 if self._slow_start else 1.0 / self._window))
        self.leave_after_failure(slot=slot)

    def leave_after_refusal(self, *, slot: bool = True) -> None:
        """Leave, after a refusal that asks for fewer requests."""
        now = asyncio.get_running_loop().time()
        if now >= self._calm_from:
            self._calm_from = now + SAME_REFUSAL_SECONDS
            self._slow_start = False
            self._window = max(1.0, self._window / 2)
            self._rate.cut(now)
        self.leave_after_failure(slot=slot)

    def leave_after_failure(self, *, slot: bool = True) -> None:
        """Leave without an answer, which says nothing about the limits."""
        if slot:
            self._leave_slot()

    async def _take_slot(self) -> None:
        if self._running < self.window and not self._waiting:
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave_slot()
            raise

    def _leave_slot(self) -> None:
        self._running -= 1
        while self._waiting and self._running < self.window:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)


class _Rate:
    """Requests per second: unlimited until the first cut, then growing from what was accepted before it."""

    def __init__(self) -> None:
        self.limited = False
        """Whether `allowed` is finite."""
        self._before = 0.0
        self._cut_at = 0.0
        self._next = 0.0
        self._accepted = 0
        self._since = 0.0
        self._measured = 0.0

    def allowed(self, now: float) -> float:
        """Return the requests per second that may begin."""
        if not self.limited:
            return float("inf")
        origin: float = (self._before * (1 - RATE_CUT) / RATE_GROWTH) ** (1 / 3)
        cubic: float = RATE_GROWTH * (now - self._cut_at - origin) ** 3 + self._before
        return max(MIN_RATE, cubic)

    def reserve(self, now: float) -> float:
        """Take the next place below the limit, and return the seconds until its turn."""
        at = max(now, self._next)
        self._next = at + 1 / self.allowed(now)
        return at - now

    def accepted(self, now: float) -> None:
        """Count a request that the service accepted."""
        if now - self._since >= MEASURE_SECONDS:
            measured = self._accepted / (now - self._since) if self._since else 0.0
            self._measured = 0.8 * measured + 0.2 * self._measured
            self._since, self._accepted = now, 0
            if self.limited and self.allowed(now) > 4 * max(self._measured, self._before):
                self.limited = False  # far above what is asked for: no limit any more
        self._accepted += 1

    def cut(self, now: float) -> None:
        """Set the rate to a fraction of what was accepted, or of what was allowed if that is less."""
        latest = self._accepted / max(now - self._since, MEASURE_SECONDS / 2)
        measured = max(self._measured, latest, MIN_RATE if self.limited else FIRST_RATE)
        self._before = min(measured, self.allowed(now))
        self.limited, self._cut_at = True, now
        self._next = max(self._next, now)
