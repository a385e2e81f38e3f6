"""Stops receiving while no service answers, or while every key is refused for a reason that only an operator can fix.

Two kinds of trouble open the circuit:

- *No answer* for several keys in a row. The circuit closes when a probe of both buckets and the ledger is answered.
- *The same refusal for every key*: a missing bucket, a disabled KMS key, a suspended account, an error of the settings.
  A probe cannot prove that such a fault is fixed, so after a pause one message at a time is received. The circuit
  closes when a content was copied, and opens again at the next refusal.

Messages wait in the queue meanwhile, and none goes to the dead-letter queue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dualsync.runtime.errors import (
    AccessDeniedError,
    CredentialRejectedError,
    FatalError,
    PermanentError,
    PreconditionFailedError,
    RetryableError,
    ServiceBlockedError,
)
from dualsync.runtime.log import Log, State
from dualsync.runtime.ports import Clock
from dualsync.runtime.service.stop_signal import StopSignal
from dualsync.runtime.sync.service_health import REFUSED_KEYS, ServiceHealth

CIRCUIT_THRESHOLD = 8
"""Requests in a row without an answer that open the circuit."""
BLOCKED = "every key is refused alike"
"""Start of the reason with which the circuit opens for a refusal that only an operator can end."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 1.0, 60.0
"""Seconds between two probes: doubling from the first to the last."""


class CircuitBreaker:
    """Decides from `health` whether the consumer may receive, and how much."""

    def __init__(self, health: ServiceHealth, probe: Callable[[], Awaitable[None]], clock: Clock, log: Log) -> None:
        self._health = health
        self._probe = probe
        self._clock = clock
        self._log = log
        self._open = False
        self._pause = FIRST_PAUSE_SECONDS
        self._trial: int | None = None
        """`health.refusals` when the present trial began; None without one."""
        self._trials = 0

    @property
    def is_trial(self) -> bool:
        """True while only one message at a time may be received."""
        return self._trial is not None

    @property
    def is_blocked(self) -> bool:
        """True while every key is refused alike."""
        return self._health.refuses_every_key

    def block(self, why: str) -> None:
        """Open the circuit at once, for an error that is about no message in particular."""
        for number in range(REFUSED_KEYS):
            self._health.record_refusal(why, f"\0{number}")

    async def probe_passes(self) -> bool:
        """Return True if both buckets and the ledger answer now with the present credential."""
        try:
            await self._probe()
        except (PreconditionFailedError, PermanentError):
            return True
        except ServiceBlockedError:
            return False
        except AccessDeniedError:
            return True
        except (RetryableError, CredentialRejectedError, FatalError):
            return False
        return True

    async def wait(self, stopping: StopSignal, reconnect: Callable[[], Awaitable[None]]) -> None:
        """Return when messages may be received: at once while the circuit is closed."""
        while not stopping.is_set:
            if self.is_blocked:
                if await self._wait_blocked(stopping):
                    return
            elif self._health.failures_in_a_row >= CIRCUIT_THRESHOLD:
                await self._wait_unanswered(stopping, reconnect)
            else:
                break
        self._close(stopping)

    async def _wait_blocked(self, stopping: StopSignal) -> bool:
        """Return True if one message may be tried. Otherwise pause first."""
        if self._trial is not None:
            if self._health.refusals == self._trial:
                return True
            self._trial = None
        self._announce(f"{BLOCKED}; the last: {self._health.last_refusal}: fix that cause")
        await self._sleep(stopping)
        if stopping.is_set or not await self.probe_passes():
            return False
        self._trial = self._health.refusals
        self._trials = 0
        return True

    def count_trial(self) -> None:
        """Count a message that was handled while only one at a time is received.

        Several of them without a refusal close the circuit, also where none of them copied a content.
        """
        if self._trial is not None and self._health.refusals == self._trial:
            self._trials += 1
            if self._trials >= REFUSED_KEYS:
                self._health.refused_keys.clear()

    async def _wait_unanswered(self, stopping: StopSignal, reconnect: Callable[[], Awaitable[None]]) -> None:
        """Probe once, after a pause. A few keys that never get an answer do not open the circuit by themselves."""
        few = len(self._health.failed_keys) < CIRCUIT_THRESHOLD
        if self._open or not few:
            reason = f"no answer {CIRCUIT_THRESHOLD} times in a row; the last: {self._health.last_failure}"
            self._announce(reason)
            await self._sleep(stopping)
        try:
            await self._probe()
        except CredentialRejectedError:
            await reconnect()
        except ServiceBlockedError as e:
            self.block(str(e))
        except (PreconditionFailedError, PermanentError, AccessDeniedError):
            pass  # a refusal is an answer, too
        except FatalError as e:
            self.block(str(e))
        except RetryableError as e:
            self._health.last_failure = str(e)
            self._announce(f"no answer {CIRCUIT_THRESHOLD} times in a row; the last: {e}")
            return
        self._health.record_answer()

    def _announce(self, reason: str) -> None:
        if not self._open:
            self._open = True
            self._pause = FIRST_PAUSE_SECONDS
            self._log.line("ERROR", "state", state=State.CIRCUIT_OPEN, reason=reason)

    async def _sleep(self, stopping: StopSignal) -> None:
        pause, self._pause = self._pause, min(MAX_PAUSE_SECONDS, self._pause * 2)
        await stopping.guard(self._clock.sleep(pause))

    def _close(self, stopping: StopSignal) -> None:
        self._trial = None
        if self._open and not stopping.is_set:
            self._log.line("INFO", "state", state=State.RUNNING)
        self._open = False
