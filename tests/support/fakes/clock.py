"""Provide a clock whose time moves only when a test moves it."""

from __future__ import annotations

from tests.support.fakes.gate import Step

START = 1_790_000_000
"""An arbitrary second of 2026."""


class Time:
    """The true time of the test, in seconds since the epoch (`now`)."""

    __slots__ = ("now",)

    def __init__(self, now: float = START) -> None:
        self.now = now


class FakeClock:
    """A machine's clock, wrong by `skew` seconds. Sleeping stops at a `Step` that names the seconds."""

    __slots__ = ("_stop", "_time", "skew")

    def __init__(self, time: Time, skew: float = 0.0, *, stop: bool = False) -> None:
        self._time = time
        self._stop = stop
        self.skew = skew

    def now(self) -> float:
        return self._time.now + self.skew

    def monotonic(self) -> float:
        """Return the true time: a skewed clock still runs evenly."""
        return self._time.now

    async def sleep(self, seconds: float) -> None:
        if self._stop:
            await Step("clock.sleep", False, seconds)
        else:
            self._time.now += seconds
