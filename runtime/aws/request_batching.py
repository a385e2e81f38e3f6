"""Join many small requests that are made at about the same time into one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class RequestBatcher(Generic[T, U]):
    """Collects items until `limit` is reached or `seconds` are over, and asks for all of them at once.

    With `seconds` 0 only items of the same turn of the event loop are joined, so that none waits. `ask` answers the
    items in order; its error is raised to every caller.
    """

    def __init__(self, ask: Callable[[Sequence[T]], Awaitable[Sequence[U]]], limit: int, seconds: float = 0) -> None:
        self._ask = ask
        self._limit = limit
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: list[tuple[T, asyncio.Future[U]]] = []
        self._timer: asyncio.Handle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, item: T) -> U:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._open, self._timer = loop, [], None
        answer: asyncio.Future[U] = loop.create_future()
        self._open.append((item, answer))
        if len(self._open) >= self._limit:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._seconds, self._send) if self._seconds else loop.call_soon(self._send)
        return await answer

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._open = [(item, answer) for item, answer in self._open if not answer.cancelled()], []
        if batch and self._loop is not None:
            task = self._loop.create_task(self._answer(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: list[tuple[T, asyncio.Future[U]]]) -> None:
        try:
            answers = await self._ask([item for item, _ in batch])
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
