"""Provide the consumer under asyncio, with a clock and a queue that the test controls."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.ports import Message, QueueDepth
from dualsync.runtime.service.circuit_breaker import CircuitBreaker
from dualsync.runtime.service.consumer import BATCH, Consumer
from dualsync.runtime.sync.service_health import ServiceHealth
from tests.support.builders import Lines

VISIBILITY = 90


async def settle() -> None:
    """Run all tasks until each waits for time to pass."""
    for _ in range(60):
        await asyncio.sleep(0)


class Clock:
    """A clock whose sleepers wake when `advance` moves the time."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        self._count += 1
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, self._count, future))
        await future

    async def advance(self, seconds: float) -> None:
        await settle()
        end = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
                await settle()
        self._now = end
        await settle()


@dataclass(frozen=True)
class Letter:
    body: str
    handle: str = ""
    receives: int = 1
    sent: float = 0.0
    hidden_until: float = math.inf


@dataclass
class ScriptedQueue:
    """A queue whose long poll returns at a message, an error, or `close`."""

    waiting: list[str] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    extended: list[tuple[str, int]] = field(default_factory=list)
    extend_error: Exception | None = None
    hanging: set[str] = field(default_factory=set)
    """Bodies whose extension never returns."""
    closed: bool = False

    def __post_init__(self) -> None:
        self._news = asyncio.Event()
        self._polls = 0

    def add(self, *bodies: str) -> None:
        self.waiting.extend(bodies)
        self._news.set()

    def empty(self) -> None:
        """End the running polls without a message."""
        self._polls += 1
        self._news.set()

    def close(self) -> None:
        self.closed = True
        self._news.set()

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[Letter]:
        assert 1 <= limit <= BATCH
        assert wait_seconds == 20
        self.limits.append(limit)
        polls = self._polls
        while not (self.waiting or self.errors or self.closed or self._polls > polls):
            self._news.clear()
            await self._news.wait()
        if self.errors:
            raise self.errors.pop(0)
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return [Letter(body) for body in taken]

    async def extend(self, messages: Sequence[Message], seconds: int) -> None:
        assert 1 <= len(messages) <= BATCH
        if self.extend_error is not None:
            raise self.extend_error
        if any(message.body in self.hanging for message in messages):
            await asyncio.Event().wait()
        self.extended.extend((message.body, seconds) for message in messages)

    async def delete(self, messages: Sequence[Message]) -> None:
        raise AssertionError("the consumer must not delete messages: the handler does")

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        raise AssertionError("the consumer must not send messages: the handler does")

    async def depth(self) -> QueueDepth:
        raise AssertionError("the consumer must not read the depth: the finder does")

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        raise AssertionError("the consumer must not send dead letters: the handler does")


class ConsumerHarness:
    """A consumer. Messages in `gates` are processed until `finish`; the next attempts raise the errors in `fails`."""

    def __init__(self, *, concurrency: int = 4, connected: bool = True) -> None:
        self.clock, self.log, self.health, self.queue = Clock(), Lines(), ServiceHealth(), ScriptedQueue()
        self.running: set[str] = set()
        self.most = 0
        self.tries: list[str] = []
        self.done: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.fails: dict[str, list[Exception]] = {}
        self.connects = 0
        self.connecting = asyncio.Event()
        if connected:
            self.connecting.set()
        self.connect_error: Exception | None = None
        self.probes: list[float] = []
        self.probe_error: Exception | None = None
        self.loop = Consumer(
            queue=self.queue,
            clock=self.clock,
            log=self.log,
            process=self.process,
            connect=self.connect,
            circuit=CircuitBreaker(self.health, self.probe, self.clock, self.log),
            health=self.health,
            concurrency=concurrency,
            visibility_seconds=VISIBILITY,
        )
        self.task = asyncio.create_task(self.loop.run())

    def hold(self, *bodies: str) -> None:
        for body in bodies:
            self.gates[body] = asyncio.Event()

    async def finish(self, *bodies: str) -> None:
        for body in bodies:
            self.gates[body].set()
        await settle()

    async def process(self, message: Message) -> None:
        self.tries.append(message.body)
        self.running.add(message.body)
        self.most = max(self.most, len(self.running))
        try:
            await asyncio.sleep(0)
            if self.fails.get(message.body):
                raise self.fails[message.body].pop(0)
            if message.body in self.gates:
                await self.gates[message.body].wait()
            self.done.append(message.body)
        finally:
            self.running.discard(message.body)

    async def connect(self) -> bool:
        self.connects += 1
        if self.connect_error is not None:
            raise self.connect_error
        await self.connecting.wait()
        return True

    async def probe(self) -> None:
        self.probes.append(self.clock.now())
        if self.probe_error is not None:
            raise self.probe_error

    async def stop(self) -> None:
        """Stop as SIGTERM does; the long poll returns empty."""
        self.loop.stop()
        self.queue.close()
        await settle()

    def states(self) -> list[object]:
        return [line["state"] for line in self.log.of("state")]


def play(
    story: Callable[[ConsumerHarness], Coroutine[Any, Any, None]], *, concurrency: int = 4, connected: bool = True
) -> None:
    """Run a test story with the consumer, and fail if it hangs."""

    async def all_of_it() -> None:
        rig = ConsumerHarness(concurrency=concurrency, connected=connected)
        await settle()
        await story(rig)
        if not rig.task.done():
            await rig.stop()
            for gate in rig.gates.values():
                gate.set()
        await rig.task

    async def guarded() -> None:
        await asyncio.wait_for(all_of_it(), 20)

    asyncio.run(guarded())
