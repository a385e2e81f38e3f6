"""Test the throttle under load: many tasks at once, changed limits, a fleet's shared limit, the memory bound."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from dualsync.runtime.aws.http.body_memory import Admission
from dualsync.runtime.transfer.throttle import MAX_SLEEP_SECONDS, Throttle
from tests.support.fakes.clock import FakeClock, Time


class TaskClock:
    """A clock whose sleepers wake in order; `play` moves the time to the next one."""

    def __init__(self) -> None:
        self._now = 1_000.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), turn))
        await turn

    def play(self, *stories: Coroutine[Any, Any, None]) -> float:
        """Run all stories to their ends and return the seconds that took."""

        async def all_of_it() -> None:
            tasks = [asyncio.create_task(story) for story in stories]
            while not all(task.done() for task in tasks):
                for _ in range(20):
                    await asyncio.sleep(0)
                if self._sleepers:
                    self._now, _, turn = heapq.heappop(self._sleepers)
                    turn.set_result(None)
            for task in tasks:
                task.result()

        begun = self._now
        asyncio.run(asyncio.wait_for(all_of_it(), 30))
        return self._now - begun


def limited(bytes_per_second: float = 0, requests_per_second: float = 0) -> tuple[TaskClock, Throttle]:
    agenda = TaskClock()
    throttle = Throttle(agenda)
    throttle.set_limits(bytes_per_second, requests_per_second)
    return agenda, throttle


async def many(take: Callable[[], Awaitable[None]], count: int) -> None:
    for _ in range(count):
        await take()


@pytest.mark.parametrize("at_once", [1, 4, 64])
def test_rate_is_kept_with_any_number_of_concurrent_tasks(at_once: int) -> None:
    agenda, throttle = limited(bytes_per_second=1000)
    seconds = agenda.play(*(many(lambda: throttle.wait_for_request(100), 640 // at_once) for _ in range(at_once)))
    assert 61 <= seconds <= 64, "64,000 bytes, of which the first second's worth is sent at once"


def test_waiting_tasks_are_served_in_order() -> None:
    agenda, throttle = limited(bytes_per_second=1000)
    served: list[int] = []

    async def one(number: int) -> None:
        await throttle.wait_for_request(5000 if number == 3 else 500)
        served.append(number)

    agenda.play(*(one(number) for number in range(8)))
    assert served == list(range(8)), "a large one is neither starved nor served before others"


def test_both_limits_hold() -> None:
    agenda, throttle = limited(bytes_per_second=1000, requests_per_second=5)
    seconds = agenda.play(*(many(lambda: throttle.wait_for_request(10), 10) for _ in range(10)))
    assert 18 <= seconds <= 20, "100 requests, 5 per second; the byte limit is not reached"


def test_changed_limit_applies_to_waiting_tasks_within_seconds() -> None:
    agenda, throttle = limited(bytes_per_second=10)

    async def lift() -> None:
        await agenda.sleep(30)
        throttle.set_limits(0, 0)

    seconds = agenda.play(many(lambda: throttle.wait_for_request(10_000), 3), lift())
    assert 30 <= seconds <= 30 + MAX_SLEEP_SECONDS

    async def lower() -> None:
        await agenda.sleep(1)
        throttle.set_limits(100, 0)

    throttle.set_limits(1_000_000, 0)
    done: list[float] = []

    async def steady() -> None:
        for _ in range(50):
            await throttle.wait_for_request(1000)
            done.append(agenda.now())
            await agenda.sleep(0.1)

    begun = agenda.now()
    agenda.play(steady(), lower())
    later = [at for at in done if at > begun + 1 + MAX_SLEEP_SECONDS]
    assert len(later) >= 30, "what came after the change waits at the new rate"
    assert later[-1] - later[0] >= (len(later) - 2) * 10


def test_fleet_keeps_the_limit_in_total() -> None:
    agenda = TaskClock()
    fleet = [Throttle(agenda) for _ in range(4)]
    for throttle in fleet:
        throttle.set_limits(1000 / len(fleet), 0)
    seconds = agenda.play(*(many(lambda each=each: each.wait_for_request(250), 40) for each in fleet))  # type: ignore[misc]
    assert 38 <= seconds <= 41, "40,000 bytes at 1,000 per second"


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
async def test_step_of_the_wall_clock_changes_no_wait(step: float) -> None:
    time = Time()
    clock = FakeClock(time)
    throttle = Throttle(clock)
    throttle.set_limits(1000, 0)
    await many(lambda: throttle.wait_for_request(1000), 5)
    clock.skew += step
    begun = time.now
    await many(lambda: throttle.wait_for_request(1000), 5)
    assert time.now - begun == 5.0
    throttle.set_limits(500, 0)
    clock.skew -= step
    begun = time.now
    await many(lambda: throttle.wait_for_request(1000), 5)
    assert 8.0 <= time.now - begun <= 11.0


def test_throttle_and_memory_bound_do_not_deadlock() -> None:
    """A task holds its content in memory while it waits for its turn to send."""
    agenda, throttle = limited(bytes_per_second=1000)
    admission = Admission(budget=2500)

    async def copy(size: int) -> None:
        body = await admission.body(size)
        await throttle.wait_for_request(len(body))
        del body

    async def pull(size: int) -> None:
        await throttle.wait_for_request(size)
        body = await admission.body(size)
        await throttle.wait_for_received(0)
        del body

    sizes = [1000, 2500, 10, 9000, 700] * 4
    seconds = agenda.play(*(copy(size) for size in sizes), *(pull(size) for size in sizes))
    assert admission.held_bytes == 0
    assert 2 * sum(sizes) / 1000 - 12 <= seconds <= 2 * sum(sizes) / 1000 + MAX_SLEEP_SECONDS
