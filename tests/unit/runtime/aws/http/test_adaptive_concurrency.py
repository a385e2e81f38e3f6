"""Test adaptive concurrency: how many requests run at a time."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.aws.http.adaptive_concurrency import FIRST_WINDOW, AdaptiveConcurrency
from dualsync.runtime.aws.http.client import STREAMS, ServiceError
from tests.support.scripted_server import answer, error, scripted
from tests.support.virtual_time import run_at_once


async def fill(limit: AdaptiveConcurrency) -> int:
    """Enter until a task has to wait, and return how many entered."""
    number = 0
    while True:
        task = asyncio.create_task(limit.enter())
        await asyncio.sleep(0)
        if not task.done():
            task.cancel()
            return number
        number += 1


async def test_window_grows_fast_until_the_first_refusal_and_then_slowly() -> None:
    limit = AdaptiveConcurrency(4)
    assert await fill(limit) == 4
    for _ in range(2):
        limit.leave_after_answer()
    assert limit.window == 6
    limit.leave_after_refusal()
    limit.leave_after_refusal()
    assert limit.window == 3, "refusals of one moment count once"
    for _ in range(3):
        await limit.enter()
    for _ in range(2):
        limit.leave_after_answer()
    assert limit.window == 3
    for _ in range(1):
        limit.leave_after_answer()
    assert limit.window <= 4


async def test_idle_window_does_not_grow() -> None:
    limit = AdaptiveConcurrency(8)
    for _ in range(100):
        await limit.enter()
        limit.leave_after_answer()
    assert limit.window == 8


async def test_window_never_falls_below_one() -> None:
    limit = AdaptiveConcurrency(1)
    await limit.enter()
    limit.leave_after_refusal()
    assert limit.window == 1
    await limit.enter()


async def test_cancelled_waiter_leaves_its_place_to_the_next() -> None:
    limit = AdaptiveConcurrency(1)
    await limit.enter()
    first, second = (asyncio.create_task(limit.enter()) for _ in range(2))
    await asyncio.sleep(0)
    limit.leave_after_failure()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.wait_for(second, 1)


async def test_request_without_a_slot_waits_for_none_and_frees_none() -> None:
    limit = AdaptiveConcurrency(2)
    assert await fill(limit) == 2
    ends = {limit.leave_after_answer: 2, limit.leave_after_failure: 2, limit.leave_after_refusal: 1}
    for leave, window in ends.items():
        await asyncio.wait_for(limit.enter(slot=False), 1)
        leave(slot=False)
        assert await fill(limit) == 0
        assert limit.window == window


def test_request_without_a_slot_waits_for_the_rate() -> None:
    async def main() -> None:
        limit, loop = AdaptiveConcurrency(), asyncio.get_running_loop()
        await limit.enter(slot=False)
        limit.leave_after_refusal(slot=False)
        begun, rate = loop.time(), limit.rate
        await asyncio.gather(*(limit.enter(slot=False) for _ in range(9)))
        assert loop.time() - begun == pytest.approx(8 / rate)
        entering = asyncio.create_task(limit.enter(slot=False))
        await asyncio.sleep(0)
        entering.cancel()
        assert await fill(limit) == 0, "the rate makes all wait"
        assert limit.window == FIRST_WINDOW // 2

    run_at_once(main())


async def test_client_reduces_its_window_after_slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)
    async with scripted(error(503, "SlowDown")) as script:
        caller = script.caller()
        with pytest.raises(ServiceError):
            await caller.call("GetObject", "b/k", "GET", "/b/k")
        assert caller.concurrency.window == FIRST_WINDOW // 2
    async with scripted(answer(200)) as script:
        caller = script.caller()
        await asyncio.gather(*(caller.call("GetObject", "b/k", "GET", "/b/k") for _ in range(3 * FIRST_WINDOW)))
        assert caller.concurrency.window > FIRST_WINDOW
        assert script.connections <= caller.concurrency.window


class Table:
    """A table with a limit of writes per second, and one second's worth in reserve."""

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


@pytest.mark.parametrize("slotless", [0, STREAMS])
@pytest.mark.parametrize("per_second", [50, 1000])
def test_throttled_table_is_used_at_its_rate_with_few_refusals(per_second: int, slotless: int) -> None:
    """DynamoDB refuses a throttled write in milliseconds, so even one request at a time would be too many.

    The first `slotless` writers enter without a slot of the window, as streams do.
    """
    seconds, writers = 60, 128

    async def main() -> Table:
        limit, table = AdaptiveConcurrency(), Table(per_second)
        end = asyncio.get_running_loop().time() + seconds

        async def writer(slot: bool) -> None:
            while asyncio.get_running_loop().time() < end:
                await limit.enter(slot=slot)
                if await table.write():
                    limit.leave_after_answer(slot=slot)
                else:
                    limit.leave_after_refusal(slot=slot)

        await asyncio.gather(*(writer(number >= slotless) for number in range(writers)))
        return table

    table = run_at_once(main())
    assert table.accepted > 0.8 * per_second * seconds
    assert table.refused < 0.1 * table.accepted


def test_rate_limit_ends_once_the_service_has_recovered() -> None:
    async def main() -> float:
        limit = AdaptiveConcurrency()
        await limit.enter()
        limit.leave_after_refusal()
        assert limit.rate < 16
        for _ in range(2000):
            await limit.enter()
            await asyncio.sleep(0.01)
            limit.leave_after_answer()
        return limit.rate

    assert run_at_once(main()) == float("inf")
