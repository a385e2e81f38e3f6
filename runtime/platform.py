"""The operating system's clock and the event loop's tasks, behind the interfaces of `ports`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def _monotonic() -> float:
    """Return CLOCK_BOOTTIME, which counts while the machine is suspended, where the system has it (Linux)."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)


class SystemClock:
    """Implements `dualsync.runtime.ports.Clock` with the operating system's clock and the event loop."""

    def now(self) -> float:
        """Return the seconds since the epoch (UTC)."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since the machine started, also those in which the process or the machine was stopped."""
        return _monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LoopParallel:
    """Implements `dualsync.runtime.ports.Parallel` with tasks: at most `limit` at a time, answers in the items' order.

    After the first error the other tasks are cancelled and awaited. The error is raised itself, not in a group.
    """

    async def map(self, function: Callable[[T], Awaitable[U]], items: Sequence[T], limit: int) -> list[U]:
        if len(items) < 2:
            return [await function(item) for item in items]
        answers: dict[int, U] = {}
        pending = iter(enumerate(items))

        async def work() -> None:
            for index, item in pending:
                answers[index] = await function(item)

        tasks = [asyncio.create_task(work()) for _ in range(min(max(limit, 1), len(items)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [answers[index] for index in range(len(items))]
