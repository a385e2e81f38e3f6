"""Independent calls run together on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


class LoopParallel:
    """`runtime.ports.Parallel` with tasks: at most `limit` at a time, answers in the items' order.

    The first error ends the others (cancelled and awaited) and is raised as it is, not in a group.
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
