"""How many requests at a time."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.aws.http.adaptive_concurrency import FIRST, AdaptiveConcurrency
from dualsync.runtime.aws.http.client import ServiceError
from tests.support.scripted_server import answer, error, scripted
from tests.support.virtual_time import run_at_once


async def fill(pace: AdaptiveConcurrency) -> int:
    """As many as get in at once."""
    number = 0
    while True:
        task = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            return number
        number += 1


async def test_it_doubles_until_the_first_refusal_and_then_creeps() -> None:
    pace = AdaptiveConcurrency(4)
    assert await fill(pace) == 4
    for _ in range(2):
        pace.answered()
    assert pace.window == 6
    pace.refused()
    pace.refused()
    assert pace.window == 3, "refusals of one moment count once"
    for _ in range(3):
        await pace.enter()
    for _ in range(2):
        pace.answered()
    assert pace.window == 3
    for _ in range(1):
        pace.answered()
    assert pace.window <= 4


async def test_an_idle_window_does_not_grow() -> None:
    pace = AdaptiveConcurrency(8)
    for _ in range(100):
        await pace.enter()
        pace.answered()
    assert pace.window == 8


async def test_it_never_closes() -> None:
    pace = AdaptiveConcurrency(1)
    await pace.enter()
    pace.refused()
    assert pace.window == 1
    await pace.enter()


async def test_who_is_cancelled_gives_the_place_to_the_next() -> None:
    pace = AdaptiveConcurrency(1)
    await pace.enter()
    first, second = (asyncio.create_task(pace.enter()) for _ in range(2))
    await asyncio.sleep(0)
    pace.failed()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.wait_for(second, 1)


async def test_a_caller_slows_down_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)
    async with scripted(error(503, "SlowDown")) as script:
        caller = script.caller()
        with pytest.raises(ServiceError):
            await caller.call("GetObject", "b/k", "GET", "/b/k")
        assert caller.concurrency.window == FIRST // 2
    async with scripted(answer(200)) as script:
        caller = script.caller()
        await asyncio.gather(*(caller.call("GetObject", "b/k", "GET", "/b/k") for _ in range(3 * FIRST)))
        assert caller.concurrency.window > FIRST
        assert script.connections <= caller.concurrency.window


class Table:
    """A table for a number of writes per second, with a second's worth in reserve."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.tokens = per_second
        self.at = 0.0
        self.accepted = self.refused = 0

    async def write(self) -> bool:
        await asyncio.sleep(0.005)
        now = asyncio.get_running_loop().time()
        self.tokens = min(self.per_second, self.tokens + (now - self.at) * self.per_second)
        self.at = now
        if self.tokens < 1:
            self.refused += 1
            return False
        self.tokens -= 1
        self.accepted += 1
        return True


@pytest.mark.parametrize("per_second", [50, 1000])
def test_throttled_table_is_used_at_its_rate_without_a_storm(per_second: int) -> None:
    """DynamoDB answers a throttled write in milliseconds: one request at a time would still be too many."""
    seconds, writers = 60, 128

    async def main() -> Table:
        limit, table = AdaptiveConcurrency(), Table(per_second)
        end = asyncio.get_running_loop().time() + seconds

        async def writer() -> None:
            while asyncio.get_running_loop().time() < end:
                await limit.enter()
                if await table.write():
                    limit.answered()
                else:
                    limit.refused()

        await asyncio.gather(*(writer() for _ in range(writers)))
        return table

    table = run_at_once(main())
    assert table.accepted > 0.8 * per_second * seconds
    assert table.refused < 0.1 * table.accepted


def test_rate_is_no_limit_any_more_once_the_service_has_recovered() -> None:
    async def main() -> float:
        limit = AdaptiveConcurrency()
        await limit.enter()
        limit.refused()
        assert limit.rate < 16
        for _ in range(2000):
            await limit.enter()
            await asyncio.sleep(0.01)
            limit.answered()
        return limit.rate

    assert run_at_once(main()) == float("inf")
