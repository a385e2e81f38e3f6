"""The worker's process: receive, handle side by side, extend visibility, and stop in good order.

It knows no S3: what a message means is the worker's business, how the peer is reached is
`dualsync.runtime.service.peer_credential`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from dualsync.runtime.errors import (
    AccessDeniedError,
    CredentialRejectedError,
    DualSyncError,
    PermanentError,
    PreconditionFailedError,
    RetryableError,
)
from dualsync.runtime.log import Log, State
from dualsync.runtime.ports import Clock, Message, Queue
from dualsync.runtime.service.receive_gate import ReceiveGate
from dualsync.runtime.sync.service_health import ServiceHealth

WAIT_SECONDS = 20
"""SQS's longest poll: an idle worker costs three requests a minute."""
BATCH = 10
GATHER_SECONDS = 0.05
RECEIVERS = 3
"""So many requests for messages at a time while they come back full: one alone brings ten in a round trip."""
LAST_POLL_SECONDS = 1.0
"""So long a request under way may still take when the worker is to stop: what it was about to bring would stay hidden.
"""
CIRCUIT_THRESHOLD = 8
"""So many calls in a row without an answer open the circuit: receiving stops, the peer is probed."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class Consumer:
    """Runs until `stop` is called; then finishes what it has."""

    def __init__(
        self,
        *,
        queue: Queue,
        clock: Clock,
        log: Log,
        process: Callable[[Message], Awaitable[None]],
        connect: Callable[[], Coroutine[Any, Any, bool]],
        probe: Callable[[], Awaitable[None]],
        health: ServiceHealth,
        concurrency: int,
        visibility_seconds: int,
        gate: ReceiveGate | None = None,
    ) -> None:
        self._gate = gate
        self._queue = queue
        self._clock = clock
        self._log = log
        self._process = process
        self._connect = connect
        self._probe = probe
        self._health = health
        self._concurrency = concurrency
        self._visibility = visibility_seconds
        self._busy: dict[asyncio.Task[Any], Message] = {}
        self._asking: dict[asyncio.Task[Any], int] = {}
        self._plenty = False
        self._moved = asyncio.Event()
        self._stopping = asyncio.Event()
        self._connecting: asyncio.Task[bool] | None = None
        self._rejections = 0
        self.fatal: BaseException | None = None

    @property
    def in_flight(self) -> int:
        """Messages being worked on."""
        return len(self._busy)

    def stop(self) -> None:
        """Receive no more; `run` returns when what was received is done."""
        self._stopping.set()
        self._moved.set()

    async def run(self) -> None:
        """Raises what stopped the worker (`FatalError`, or a fault of the program); returns after `stop`."""
        heart = self._beside(self._heartbeat())
        try:
            await self._take()
            await self._end_polls()
            self._log.line("INFO", "state", state=State.DRAINING, in_flight=len(self._busy))
            while self._busy:
                await asyncio.wait(self._busy)
        finally:
            heart.cancel()
        self._log.line("INFO", "state", state=State.STOPPED)
        if self.fatal is not None:
            raise self.fatal

    async def _take(self) -> None:
        """Receive until stopped. What can't be mended stops the worker, but not what it has begun."""
        try:
            await self._until_stopped(self._reconnect())
            if not self._stopping.is_set():
                self._log.line("INFO", "state", state=State.RUNNING)
            while not self._stopping.is_set():
                await self._close_circuit()
                await self._wait_at_gate()
                await self._wait_for_credential()
                if not self._stopping.is_set():
                    await self._receive()
        except Exception as e:
            self._fail(e)

    def _beside(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task whose failure stops the worker."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.fatal = self.fatal or error
        self.stop()

    async def _wait_at_gate(self) -> None:
        """What was received is finished meanwhile."""
        if self._gate is None or not self._gate.closed:
            return
        state, why = self._gate.state, self._gate.why
        level = "INFO" if state is State.PAUSED else "ERROR"
        self._log.line(level, "state", state=state, reason=why, in_flight=len(self._busy))
        await self._until_stopped(self._gate.opened())
        if not self._stopping.is_set():
            self._log.line("INFO", "state", state=State.RUNNING)

    async def _wait_for_credential(self) -> None:
        """While there is none that works, what would be received could only wait."""
        if self._connecting is not None and not self._connecting.done():
            await self._until_stopped(asyncio.shield(self._connecting))

    async def _receive(self) -> None:
        """Ask for messages if there is room for them, else wait until something has moved."""
        self._moved.clear()
        room = self._concurrency - len(self._busy) - sum(self._asking.values())
        # A request for one message costs as much as one for ten: where room for a batch is about to come, it waits.
        enough = BATCH if self._concurrency > BATCH else 1
        if room < enough or len(self._asking) >= (RECEIVERS if self._plenty else 1):
            patience = GATHER_SECONDS if room > 0 and not self._asking else None
            if await self._movement(patience):
                return
        limit = min(BATCH, room)
        task = self._beside(self._ask(limit))
        self._asking[task] = limit
        task.add_done_callback(self._answered)

    async def _movement(self, patience: float | None) -> bool:
        """Until a message is done, a request answered or the worker to stop; False when `patience` (s) ended before."""
        try:
            async with asyncio.timeout(patience):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _ask(self, limit: int) -> None:
        try:
            messages = await self._queue.receive(limit, WAIT_SECONDS)
        except (RetryableError, CredentialRejectedError) as e:
            self._plenty = False
            self._log.line("WARNING", "receive", reason=str(e))
            await self._until_stopped(self._clock.sleep(FIRST_PAUSE * 5))
            return
        self._plenty = len(messages) >= limit
        for message in messages:
            task = self._beside(self._handle(message))
            self._busy[task] = message
            task.add_done_callback(self._finished)

    def _answered(self, task: asyncio.Task[Any]) -> None:
        del self._asking[task]
        self._moved.set()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        del self._busy[task]
        self._moved.set()

    async def _end_polls(self) -> None:
        if self._asking:
            await asyncio.wait(self._asking, timeout=LAST_POLL_SECONDS)
        for task in self._asking:
            task.cancel()

    async def _handle(self, message: Message) -> None:
        """A refused credential spends no receive: the message is kept hidden until there is another one."""
        while True:
            try:
                await self._process(message)
                self._rejections = 0
                return
            except CredentialRejectedError as e:
                self._log.line("WARNING", "credential", reason=str(e))
                await self._reconnect()
                if self._stopping.is_set():
                    return
            except RetryableError as e:
                # Not even the postponed message could be sent: it comes back by itself.
                self._health.record_no_answer(str(e))
                self._log.line("WARNING", "outcome", outcome="failed", reason=str(e))
                return

    async def _reconnect(self) -> None:
        """One connection attempt at a time, however many messages ask for it."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect_unhurried(self._rejections))
            self._rejections += 1
        await self._until_stopped(asyncio.shield(self._connecting))

    async def _connect_unhurried(self, rejections: int) -> bool:
        """The guard may accept a key that S3 does not (yet): then each try comes later than the one before."""
        if rejections > 1:
            await self._clock.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(rejections - 2, 10)))
        return await self._connect()

    async def _close_circuit(self) -> None:
        pause = FIRST_PAUSE
        said = False
        while self._health.failures_in_a_row >= CIRCUIT_THRESHOLD and not self._stopping.is_set():
            if not said:
                reason = f"no answer {CIRCUIT_THRESHOLD} times in a row; the last: {self._health.last_failure}"
                self._log.line("ERROR", "state", state=State.CIRCUIT_OPEN, reason=reason)
                said = True
            await self._until_stopped(self._clock.sleep(pause))
            pause = min(LONGEST_PAUSE, pause * 2)
            try:
                await self._probe()
            except CredentialRejectedError:
                await self._reconnect()
            except (PreconditionFailedError, PermanentError, AccessDeniedError):
                pass  # a refusal is an answer, too
            except RetryableError as e:
                self._health.last_failure = str(e)
                continue
            self._health.record_answer()
        if said and not self._stopping.is_set():
            self._log.line("INFO", "state", state=State.RUNNING)

    async def _heartbeat(self) -> None:
        while True:
            await self._clock.sleep(self._visibility / 3)
            for message in list(self._busy.values()):
                try:
                    await self._queue.extend(message, self._visibility)
                except DualSyncError as e:
                    self._log.line("WARNING", "heartbeat", reason=str(e))

    async def _until_stopped(self, waiting: Awaitable[object]) -> None:
        task = asyncio.ensure_future(waiting)
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if task.done():
            task.result()
        else:
            task.cancel()
