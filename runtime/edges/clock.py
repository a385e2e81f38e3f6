"""The machine's own time."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """`runtime.ports.Clock` over the operating system's clock and the event loop."""

    def now(self) -> float:
        """Seconds since the epoch (UTC)."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
