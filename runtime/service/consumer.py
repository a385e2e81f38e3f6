"""The worker's process: receives messages, handles them side by side, extends their visibility, and drains at the end.

The meaning of a message is `dualsync.runtime.sync.handler`'s business, the way to the peer
`dualsync.runtime.service.peer_credential`'s.

An exception while a message is handled belongs to that message: it is logged with its cause, the message comes back
when its visibility ends, and SQS moves it to the dead-letter queue after its receives. The process and its other
messages continue.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from dualsync.runtime.errors import CredentialRejectedError, FatalError, OwnAccessDeniedError, RetryableError
from dualsync.runtime.log import Log, Outcome, State
from dualsync.runtime.ports import Clock, Message, Queue
from dualsync.runtime.service.circuit_breaker import CircuitBreaker
from dualsync.runtime.service.receive_gate import ReceiveGate
from dualsync.runtime.service.stop_signal import StopSignal
from dualsync.runtime.sync.service_health import ServiceHealth

OWN_DENIED_REMEDY = "`pulumi up --refresh` of this side's stack restores its role, or a policy of the account denies it"
"""What to do when this side's own role is denied a call to its own services."""

WAIT_SECONDS = 20
"""SQS's longest poll: an idle worker costs three requests per minute."""
BATCH = 10
"""Most messages of one receive, and of one batch call (Amazon SQS API reference, "ReceiveMessage")."""
GATHER_SECONDS = 0.05
"""Seconds that a small remaining room waits, so that one request brings ten messages instead of one."""
RECEIVERS = 3
"""Requests for messages at a time while they come back full: one alone brings ten per round trip."""
LAST_POLL_SECONDS = 1.0
"""Seconds that a request under way may still take at the end: messages that it is about to bring would stay hidden."""
POLL_RETRY_SECONDS = 5.0
"""Seconds until the next receive after one that failed."""
MAX_REJECTIONS = 3
"""Tries of a message whose requests are rejected although the credential is accepted for others."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 60.0
"""Seconds between two checks of a credential that stays rejected: doubling from the first to the last."""


class Consumer:
    """Runs until `stop` is called, then finishes the messages it has."""

    def __init__(
        self,
        *,
        queue: Queue,
        clock: Clock,
        log: Log,
        process: Callable[[Message], Awaitable[None]],
        connect: Callable[[], Coroutine[Any, Any, bool]],
        circuit: CircuitBreaker,
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
        self._circuit = circuit
        self._health = health
        self._concurrency = concurrency
        self._visibility = visibility_seconds
        self._busy: dict[asyncio.Task[Any], Message] = {}
        self._polls: dict[asyncio.Task[Any], int] = {}
        self._polls_come_full = False
        self._changed = asyncio.Event()
        self._stopping = StopSignal()
        self._connecting: asyncio.Task[bool] | None = None
        self._rejections = 0
        self.fatal: BaseException | None = None

    @property
    def in_flight(self) -> int:
        """Messages that are being handled."""
        return len(self._busy)

    def stop(self) -> None:
        """Receive no more; `run` returns when the received messages are handled."""
        self._stopping.set()
        self._changed.set()

    async def run(self) -> None:
        """Receive and handle messages until `stop`.

        Raises what stopped the consumer: a `FatalError` of the queue or of the connection, or a fault of this class.
        """
        extending = self._start(self._extend_for_ever())
        try:
            await self._receive_until_stopped()
            await self._end_polls()
            self._log.line("INFO", "state", state=State.DRAINING, in_flight=len(self._busy))
            while self._busy:
                await asyncio.wait(self._busy)
        finally:
            extending.cancel()
        self._log.line("INFO", "state", state=State.STOPPED)
        if self.fatal is not None:
            raise self.fatal

    async def _receive_until_stopped(self) -> None:
        """Receive until stopped. An error here stops the consumer, but not the messages it has begun."""
        try:
            await self._stopping.guard(self._reconnect())
            if not self._stopping.is_set:
                self._log.line("INFO", "state", state=State.RUNNING)
            while not self._stopping.is_set:
                await self._circuit.wait(self._stopping, self._reconnect)
                await self._wait_at_gate()
                await self._wait_for_credential()
                if not self._stopping.is_set:
                    await self._receive()
        except Exception as e:
            self._fail(e)

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task whose failure stops the consumer."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._on_task_end)
        return task

    def _on_task_end(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.fatal = self.fatal or error
        self.stop()

    # -- receiving

    async def _wait_at_gate(self) -> None:
        """Wait until the gate is open. Received messages are finished meanwhile."""
        if self._gate is None or not self._gate.closed:
            return
        state, why = self._gate.state, self._gate.reason
        level = "INFO" if state is State.PAUSED else "ERROR"
        self._log.line(level, "state", state=state, reason=why, in_flight=len(self._busy))
        await self._stopping.guard(self._gate.wait_until_open())
        if not self._stopping.is_set:
            self._log.line("INFO", "state", state=State.RUNNING)

    async def _wait_for_credential(self) -> None:
        """Wait for a credential that works: without one, received messages could only wait."""
        if self._connecting is not None and not self._connecting.done():
            await self._stopping.guard(asyncio.shield(self._connecting))

    async def _receive(self) -> None:
        """Ask for messages if there is room for them, else wait until something has changed."""
        self._changed.clear()
        concurrency = 1 if self._circuit.is_trial else self._concurrency
        room = concurrency - len(self._busy) - sum(self._polls.values())
        # A request for one message costs as much as one for ten: where room for a batch is about to come, it waits.
        enough = BATCH if concurrency > BATCH else 1
        if room < enough or len(self._polls) >= (RECEIVERS if self._polls_come_full else 1):
            patience = GATHER_SECONDS if room > 0 and not self._polls else None
            if await self._wait_for_change(patience):
                return
        limit = min(BATCH, room)
        task = self._start(self._poll(limit))
        self._polls[task] = limit
        task.add_done_callback(self._on_poll_end)

    async def _wait_for_change(self, patience: float | None) -> bool:
        """Wait until a message is done, a receive returns or the consumer stops.

        Return False when `patience` (seconds) ended before.
        """
        try:
            async with asyncio.timeout(patience):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _poll(self, limit: int) -> None:
        try:
            messages = await self._queue.receive(limit, WAIT_SECONDS)
        except (RetryableError, CredentialRejectedError) as e:
            self._polls_come_full = False
            self._log.line("WARNING", "receive", reason=str(e))
            await self._stopping.guard(self._clock.sleep(POLL_RETRY_SECONDS))
            return
        self._polls_come_full = len(messages) >= limit
        for message in messages:
            task = self._start(self._handle(message))
            self._busy[task] = message
            task.add_done_callback(self._on_message_end)

    def _on_poll_end(self, task: asyncio.Task[Any]) -> None:
        del self._polls[task]
        self._changed.set()

    def _on_message_end(self, task: asyncio.Task[Any]) -> None:
        del self._busy[task]
        self._changed.set()

    async def _end_polls(self) -> None:
        if self._polls:
            await asyncio.wait(self._polls, timeout=LAST_POLL_SECONDS)
        for task in self._polls:
            task.cancel()

    # -- handling

    async def _handle(self, message: Message) -> None:
        """Handle one message. Whatever goes wrong leaves the message in the queue and everything else running."""
        rejected = 0
        while True:
            try:
                await self._process(message)
                self._rejections = 0
                self._circuit.count_trial()
            except CredentialRejectedError as e:
                # Not a receive more is spent: the message stays hidden until there is another credential.
                self._log.line("WARNING", "credential", reason=str(e))
                rejected += 1
                await self._reconnect()
                if self._stopping.is_set:
                    return
                if rejected >= MAX_REJECTIONS and await self._circuit.probe_passes():
                    self._log_failure(f"rejected {rejected} times with a credential that others are accepted with: {e}")
                    return
                continue
            except FatalError as e:
                self._log_failure(str(e))
                self._circuit.block(str(e))
            except OwnAccessDeniedError as e:
                # Each message meets it, and returns: one line with the state, instead of one line per message.
                self._circuit.block(f"{e}; {OWN_DENIED_REMEDY}")
            except RetryableError as e:
                # The retried message could not be sent either.
                self._health.record_no_answer(str(e), message.body, self._clock.now())
                self._log_failure(str(e), "WARNING")
            except Exception as e:
                self._log_failure(f"{type(e).__name__}: {e}", where=_origin_of(e))
            return

    def _log_failure(self, reason: str, level: str = "ERROR", **more: object) -> None:
        self._log.line(level, "outcome", outcome=Outcome.FAILED, reason=reason, **more)

    async def _reconnect(self) -> None:
        """Connect once, however many messages ask for it."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect_after_pause(self._rejections))
            self._rejections += 1
        await self._stopping.guard(asyncio.shield(self._connecting))

    async def _connect_after_pause(self, rejections: int) -> bool:
        """Connect, later with each rejection in a row: the guard may accept a key that S3 does not accept (yet)."""
        if rejections > 1:
            pause = FIRST_PAUSE_SECONDS * 2.0 ** min(rejections - 2, 10)
            await self._clock.sleep(min(MAX_PAUSE_SECONDS, pause))
        return await self._connect()

    # -- visibility

    async def _extend_for_ever(self) -> None:
        """Keep the messages in hand hidden, three times per visibility period."""
        while True:
            await self._clock.sleep(self._visibility / 3)
            messages = list(self._busy.values())
            await asyncio.gather(*(self._extend(messages[at : at + BATCH]) for at in range(0, len(messages), BATCH)))

    async def _extend(self, messages: Sequence[Message]) -> None:
        """Extend one batch. A call that hangs ends early enough for another one before the messages become visible."""
        call = asyncio.ensure_future(self._queue.extend(messages, self._visibility))
        deadline = asyncio.ensure_future(self._clock.sleep(self._visibility / 6))
        try:
            await asyncio.wait({call, deadline}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                call.result()
            else:
                self._log.line("WARNING", "heartbeat", reason="visibility was not extended in time: next try")
        except Exception as e:
            self._log.line("WARNING", "heartbeat", reason=f"{type(e).__name__}: {e}")
        finally:
            call.cancel()
            deadline.cancel()


def _origin_of(error: BaseException) -> str:
    """Return file, line and function in which an unexpected exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno} {frames[-1].name}" if frames else ""
