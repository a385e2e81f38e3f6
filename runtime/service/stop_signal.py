"""The signal of a process that is to stop, which ends every wait of the consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


class StopSignal:
    """Set once. Waits that are guarded by it end when it is set."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End every guarded wait, now and later."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """True after `set`."""
        return self._event.is_set()

    async def guard(self, waiting: Awaitable[object]) -> None:
        """Wait for `waiting`, or cancel it when the signal is set. Raises what `waiting` raises."""
        task = asyncio.ensure_future(waiting)
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
        if task.done() and not task.cancelled():
            task.result()
