"""Test key locks: one worker process handles one key at a time."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.service.key_locks import KeyLocks


def test_lock_of_a_key_is_held_by_one_task_at_a_time_in_order() -> None:
    async def story() -> list[str]:
        locks, order = KeyLocks(), list[str]()

        async def work(name: str, key: str) -> None:
            async with locks.hold(key):
                order.append(f"{name} begins")
                for _ in range(5):
                    await asyncio.sleep(0)
                order.append(f"{name} ends")

        await asyncio.gather(work("a1", "a"), work("a2", "a"), work("b", "b"), work("a3", "a"))
        return order

    order = asyncio.run(story())
    a = [line for line in order if line.startswith("a")]
    assert a == ["a1 begins", "a1 ends", "a2 begins", "a2 ends", "a3 begins", "a3 ends"]
    assert order.index("b begins") < order.index("a1 ends")


def test_cancelled_waiter_leaves_the_lock_to_the_next_task() -> None:
    async def story() -> list[str]:
        locks, order = KeyLocks(), list[str]()

        async def work(name: str) -> None:
            async with locks.hold("k"):
                await asyncio.sleep(0)
                order.append(name)

        tasks = [asyncio.create_task(work(name)) for name in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
        assert not vars(locks)["_locks"]
        return order

    assert asyncio.run(story()) == ["a", "c"]


def test_released_locks_are_removed() -> None:
    async def story() -> KeyLocks:
        locks = KeyLocks()

        async def fail(key: str) -> None:
            async with locks.hold(key):
                await asyncio.sleep(0)
                raise ZeroDivisionError

        async def wait(key: str) -> None:
            async with locks.hold(key):
                await asyncio.sleep(0)

        cancelled = asyncio.create_task(wait("k"))
        results = asyncio.gather(fail("k"), wait("k"), wait("k"), return_exceptions=True)
        await asyncio.sleep(0)
        cancelled.cancel()
        assert [type(r) for r in await results] == [ZeroDivisionError, type(None), type(None)]
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return locks

    assert not vars(asyncio.run(story()))["_locks"]
