"""Test that a connection attempt that is cancelled at any moment leaves no open socket behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import suppress

import pytest

from dualsync.runtime.aws.http.pool import _dial


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_attempt_leaves_no_socket(turns: int) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        attempt = asyncio.ensure_future(_dial(asyncio.BufferedProtocol(), "127.0.0.1", port, secure=False))
        for _ in range(turns):
            await asyncio.sleep(0)
        attempt.cancel()
        with suppress(asyncio.CancelledError):
            (await attempt).abort()
        for _ in range(10):  # a transport closes its socket in a later turn of the loop
            await asyncio.sleep(0)
        del attempt
        gc.collect()
    server.close()
    assert not [str(warning.message) for warning in caught]
