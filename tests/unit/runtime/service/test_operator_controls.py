"""Test operator controls: pauses and limits reach the workers, and stay while the ledger is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.log import State
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes
from dualsync.runtime.model.records import CONTROL, WORKER_STALE_SECONDS, Record
from dualsync.runtime.service.circuit_breaker import CircuitBreaker
from dualsync.runtime.service.consumer import Consumer
from dualsync.runtime.service.heartbeat import HeartbeatLog
from dualsync.runtime.service.operator_controls import ControlsWatcher, DirectionControls, read_controls
from dualsync.runtime.sync.service_health import ServiceHealth
from dualsync.runtime.transfer.throttle import Throttle, ThrottledBucket
from tests.support.copy_harness import MemoryObjectReader
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.store import Store


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def line(self, level: str, event: str, **fields: object) -> None:
        self.lines.append({"level": level, "event": event, **fields})

    @property
    def states(self) -> list[object]:
        return [line["state"] for line in self.lines if line["event"] == "state"]


def controls(ledger: FakeLedger, time: Time, log: Lines, throttle: Throttle | None = None) -> ControlsWatcher:
    clock = FakeClock(time)
    return ControlsWatcher(ledger, clock, log, throttle or Throttle(clock))


def test_orders_round_trip_and_malformed_members_are_ignored() -> None:
    orders = DirectionControls(paused=True, reason="night", by="ann", since=5, bytes_per_second=1000)
    assert DirectionControls.from_record(orders.record(7)) == orders
    odd = Record(CONTROL, "orders", 1, data={"paused": "yes", "limit": 3, "bytes_per_second": 9, "since": True})
    assert DirectionControls.from_record(odd) == DirectionControls(bytes_per_second=9)
    absurd = Record(CONTROL, "orders", 7, data={"bytes_per_second": 10**400, "requests_per_second": 10**15 + 1})
    assert DirectionControls.from_record(absurd) == DirectionControls(), "no limit, and no error in a worker"


def test_worker_runs_without_orders() -> None:
    assert asyncio.run(read_controls(FakeLedger())) == DirectionControls()


def test_pause_closes_the_gate_until_it_is_lifted() -> None:
    ledger, time, log = FakeLedger(), Time(), Lines()

    async def story() -> None:
        controlled = controls(ledger, time, log)
        await controlled.poll()
        open_now = controlled.closed is False
        assert open_now
        await ledger.record(DirectionControls(paused=True, by="ann", reason="moving house").record(1))
        await controlled.poll()
        assert controlled.closed
        assert controlled.reason == "paused by ann: moving house"
        waiting = asyncio.create_task(controlled.wait_until_open())
        await asyncio.sleep(0)
        assert not waiting.done()
        await ledger.record(DirectionControls().record(2))
        await controlled.poll()
        await waiting

    asyncio.run(story())


def test_last_orders_apply_while_the_ledger_is_unavailable() -> None:
    class Broken(FakeLedger):
        broken = False

        async def get_record(self, kind: str, id: str) -> Record | None:
            if self.broken:
                raise UnavailableError("dynamodb: no answer")
            return await super().get_record(kind, id)

    ledger, time, log = Broken(), Time(), Lines()

    async def story() -> None:
        controlled = controls(ledger, time, log)
        await ledger.record(DirectionControls(paused=True).record(1))
        await controlled.poll()
        ledger.broken = True
        await controlled.poll()
        assert controlled.closed

    asyncio.run(story())
    assert log.lines[-1]["event"] == "controls"
    assert "no answer" in str(log.lines[-1]["reason"])


def test_limit_is_shared_by_the_workers_alive() -> None:
    ledger, time, log = FakeLedger(), Time(), Lines()
    clock = FakeClock(time)
    throttle = Throttle(clock)

    async def story() -> None:
        for name in ("a", "b", "gone"):
            await HeartbeatLog(Lines(), clock, name).write(ledger)
            if name == "gone":
                record = ledger.table.records["worker", "gone"]
                ledger.table.records["worker", "gone"] = Record(
                    record.kind, record.id, int(record.time - WORKER_STALE_SECONDS - 1), data=record.data
                )
        await ledger.record(DirectionControls(requests_per_second=10).record(1))
        await controls(ledger, time, log, throttle).poll()
        start = time.now
        for _ in range(51):
            await throttle.wait_for_request()
        assert 8.9 <= time.now - start <= 10.1  # five per second each, the first second's worth at once

    asyncio.run(story())


class Yielding(FakeClock):
    """A clock whose sleepers let other tasks run."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)


def test_changed_rate_applies_to_bytes_already_waiting() -> None:
    """The number of workers that share the limit changes: waiting bytes then wait at the new rate."""
    time = Time()
    throttle = Throttle(Yielding(time))

    async def story() -> None:
        throttle.set_limits(1000, 0)
        begun = time.now
        await throttle.wait_for_request(10_000)
        waiting = asyncio.create_task(throttle.wait_for_request(1))
        await asyncio.sleep(0)
        throttle.set_limits(2000, 0)
        await waiting
        # Nine seconds to go; five pass at the old rate (its longest sleep), the rest at twice that.
        assert 6.9 <= time.now - begun <= 7.1
        throttle.set_limits(0, 0)
        await throttle.wait_for_request(1 << 40)

    asyncio.run(story())


class _Memory(FakeBucket):
    """A bucket whose objects come in one piece."""

    async def read(self, key: str) -> MemoryObjectReader:  # type: ignore[override]
        version = self.store.current(key)
        assert version is not None
        return MemoryObjectReader(version.seen, (version.body,))


@pytest.mark.parametrize("kind", [FakeBucket, _Memory], ids=["in chunks", "in one piece"])
def test_bytes_are_limited_for_reads_and_writes(kind: type[FakeBucket]) -> None:
    time = Time()
    clock = FakeClock(time)
    throttle = Throttle(clock)
    throttle.set_limits(1000, 0)
    bucket = ThrottledBucket(kind(Store("b", "cn-north-1", time), "user"), throttle)

    async def story() -> None:
        start = time.now
        for number in range(5):
            await bucket.put(str(number), b"x" * 1000, Attributes(), None, MUST_NOT_EXIST)
        assert 2.9 <= time.now - start <= 4.1
        start = time.now
        reading = await bucket.read("1")
        assert reading is not None
        content = await reading.read_whole()
        assert (content is None) == (kind is FakeBucket)
        assert (content or b"".join([chunk async for chunk in reading.chunks()])) == b"x" * 1000
        await reading.close()
        assert time.now - start >= 0.5
        throttle.set_limits(0, 0)
        start = time.now
        await bucket.put("more", b"x" * 100_000, Attributes(), None, MUST_NOT_EXIST)
        assert time.now == start

    asyncio.run(story())


class Waits:
    """An empty queue whose polls let other tasks run."""

    def __init__(self) -> None:
        self.receives = 0

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[Any]:
        self.receives += 1
        await asyncio.sleep(0)
        return []


class Slow:
    """A clock whose sleepers never wake."""

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.get_running_loop().create_future()


def test_paused_consumer_receives_nothing() -> None:
    ledger, time, log = FakeLedger(), Time(), Lines()

    async def story() -> None:
        controlled = controls(ledger, time, log)
        await ledger.record(DirectionControls(paused=True, by="ann", reason="tests").record(1))
        await controlled.poll()
        queue: Any = Waits()

        async def nothing(*_: object) -> None:
            return None

        async def ready() -> bool:
            return True

        health = ServiceHealth()
        loop = Consumer(
            queue=queue,
            clock=Slow(),
            log=log,
            process=nothing,
            connect=ready,
            circuit=CircuitBreaker(health, nothing, Slow(), log),
            health=health,
            concurrency=4,
            visibility_seconds=30,
            gate=controlled,
        )
        running = asyncio.create_task(loop.run())
        while State.PAUSED not in log.states:  # noqa: ASYNC110 - turns of the loop, no time
            await asyncio.sleep(0)
        assert queue.receives == 0
        await ledger.record(DirectionControls().record(2))
        await controlled.poll()
        while not queue.receives:  # noqa: ASYNC110
            await asyncio.sleep(0)
        loop.stop()
        await running

    asyncio.run(story())
    assert log.states == [State.RUNNING, State.PAUSED, State.RUNNING, State.DRAINING, State.STOPPED]
