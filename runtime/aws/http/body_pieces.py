"""Pieces of a streamed request body, read as long as the request can still take them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any


async def next_piece(pieces: AsyncGenerator[bytes, None], answer: asyncio.Future[Any]) -> bytes | None:
    """Return the next piece, or None at the end of the body and once `answer` is done.

    Before the end, `answer` is a refusal or the error of a lost connection. The read may be waiting for memory or for
    another connection then, and nothing takes the piece any more, so it is cancelled.
    """
    reading = asyncio.ensure_future(anext(pieces, None))
    try:
        await asyncio.wait({reading, answer}, return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        if not reading.done():
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        del reading  # with its error it would hold this frame, and so the body, until cycles are collected
