"""Test the resource figures that a worker logs of its own process."""

from __future__ import annotations

import asyncio
import os

from dualsync.runtime.app.resources import log_resources, resources
from dualsync.runtime.aws.http.pool import Endpoint, Pool
from tests.support.scripted_server import ReceivedRequest, answer, scripted


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def line(self, level: str, event: str, **fields: object) -> None:
        self.lines.append((level, event, fields))


def test_figures_follow_the_open_resources() -> None:
    async def serve() -> None:
        def serve_empty(request: ReceivedRequest) -> bytes:
            return answer(200, b"")

        async with scripted(serve_empty) as script:
            before = resources()
            pool = Pool(Endpoint.from_url(script.url))
            connection, _ = await pool.acquire()
            waiting = asyncio.create_task(asyncio.sleep(60))
            descriptor = os.open(os.devnull, os.O_RDONLY)
            during = resources()
            os.close(descriptor)
            waiting.cancel()
            pool.release(connection)
            pool.close()
            await asyncio.gather(waiting, return_exceptions=True)
            after = resources()
        assert during["pools"] - before["pools"] == 1
        assert during["connections"] - before["connections"] == 1
        assert during["tasks"] > before["tasks"]
        assert during["descriptors"] >= before["descriptors"] + 2
        assert (after["pools"], after["connections"]) == (before["pools"], before["connections"])
        assert during["memory_bytes"] > 1 << 20

    asyncio.run(serve())


def test_figures_are_logged_in_one_line() -> None:
    async def report() -> list[tuple[str, str, dict[str, object]]]:
        log = Lines()
        log_resources(log)
        return log.lines

    ((level, event, fields),) = asyncio.run(report())
    assert (level, event) == ("INFO", "resources")
    assert set(fields) == {"memory_bytes", "descriptors", "tasks", "pools", "connections"}
