"""A worker's heartbeat: its state and figures in the ledger every 30 seconds, for `dualsync status`.

The figures are counted from the log's own lines, so that both always agree. Each worker process writes one small item,
which expires one day after its last heartbeat.
"""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Callable

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import Log, Outcome, State
from dualsync.runtime.model.records import HEARTBEAT_INTERVAL_SECONDS, HELD_DELETION, HELD_ID, WORKER, Record
from dualsync.runtime.ports import Clock, Ledger
from dualsync.runtime.service import latency_histogram
from dualsync.runtime.settings import VERSION

TICK_SECONDS = 5.0
"""Seconds until a change of state is written."""
LOG_INTERVAL_SECONDS = 60.0
"""Seconds between two lines with an unchanged state: metric filters count them."""
WINDOW_SECONDS = 300.0
"""Seconds of one window; lags and rates are those of the present window and the one before."""
KEPT_SECONDS = 86400
"""Seconds after which the record of a worker that has ended expires."""
PROBLEMS_KEPT = 8
"""Most problems that a record lists, the newest ones."""

_FAILED_OUTCOMES = (Outcome.BURIED, Outcome.FAILED)
_LAGS: dict[str, str] = {Outcome.COPIED: "put", Outcome.DELETED: "delete"}


class _Window:
    """Counts since `start`, in seconds of `Clock.monotonic`."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.outcomes: Counter[str] = Counter()
        self.bytes = 0
        self.lags: dict[str, Counter[int]] = {"put": Counter(), "delete": Counter()}


class HeartbeatLog:
    """A log that counts its lines and writes the counts to the ledger."""

    def __init__(self, log: Log, clock: Clock, worker: str) -> None:
        self._log = log
        self._clock = clock
        self.worker = worker
        self.state = "STARTING"
        self.reason = ""
        self.guard = ""
        """Id of the user to whom the peer's key belongs, as verified; empty until then."""
        self._last_event = 0.0
        """When the newest event happened that was read, in seconds since the epoch."""
        self._started = clock.now()
        self._since = self._started
        self._total: Counter[str] = Counter()
        self._bytes = 0
        start = clock.monotonic()
        self._now, self._before = _Window(start), _Window(start)
        self._problems: deque[dict[str, object]] = deque(maxlen=PROBLEMS_KEPT)
        self._denied: dict[str, object] = {}
        """The refusal that waits for an operator; empty when its key is not refused any more."""

    def line(self, level: str, event: str, **fields: object) -> None:
        """Count a line and write it to the log (`dualsync.runtime.log.Log`)."""
        if event == "outcome":
            self._count(fields)
        elif event == "state":
            self._change_state(str(fields.get("state", "")), str(fields.get("reason") or ""))
        self._log.line(level, event, **fields)

    def record_event(self, happened: float) -> None:
        """Note that an event was read that `happened` then, in seconds since the epoch."""
        self._last_event = max(self._last_event, min(happened, self._clock.now()))

    def _change_state(self, state: str, reason: str) -> None:
        if state != self.state:
            self._since = self._clock.now()
        self.state, self.reason = state, reason

    def _count(self, fields: dict[str, object]) -> None:
        self._roll_window()
        outcome = str(fields.get("outcome", ""))
        names = [outcome, "conflict"] if fields.get("conflict") else [outcome]
        size, lag = fields.get("bytes"), fields.get("lag_seconds")
        moved = size if isinstance(size, int) else 0
        for name in names:
            self._total[name] += 1
            self._now.outcomes[name] += 1
        self._bytes += moved
        self._now.bytes += moved
        kind = _LAGS.get(outcome)
        if kind is not None and isinstance(lag, int | float):
            self._now.lags[kind][latency_histogram.class_of(float(lag))] += 1
        if outcome in _FAILED_OUTCOMES or "conflict" in names:
            self._problems.append(self._problem(outcome, fields))
        seconds = fields.get("denied_seconds")
        if isinstance(seconds, int | float):
            self._denied = {**self._problem(outcome, fields), "seconds": int(seconds)}
        elif self._denied.get("key") == str(fields.get("key", ""))[:256]:
            self._denied = {}

    def _problem(self, outcome: str, fields: dict[str, object]) -> dict[str, object]:
        return {
            "time": int(self._clock.now()),
            "outcome": outcome,
            "key": str(fields.get("key", ""))[:256],
            "reason": str(fields.get("reason") or "")[:256],
        }

    def _roll_window(self) -> None:
        now = self._clock.monotonic()
        if now - self._now.start >= WINDOW_SECONDS:
            self._before = self._now if now - self._now.start < 2 * WINDOW_SECONDS else _Window(now - WINDOW_SECONDS)
            self._now = _Window(now)

    def record(self, in_flight: int) -> Record:
        """Return the present state as the ledger keeps it."""
        self._roll_window()
        now = self._clock.now()
        data: dict[str, object] = {
            "state": self.state,
            "reason": self.reason[:512],
            "state_since": int(self._since),
            "started": int(self._started),
            "in_flight": in_flight,
            "guard": self.guard,
            "last_event": int(self._last_event),
            "total": dict(self._total),
            "bytes": self._bytes,
            "window_seconds": max(1, int(self._clock.monotonic() - self._before.start)),
            "window": dict(self._before.outcomes + self._now.outcomes),
            "window_bytes": self._before.bytes + self._now.bytes,
            "problems": list(self._problems),
            "denied": self._denied,
            "version": VERSION,
        }
        for kind in ("put", "delete"):
            lags = latency_histogram.merge((self._before.lags[kind], self._now.lags[kind]))
            data[f"{kind}_lags"] = {str(number): count for number, count in sorted(lags.items())}
        return Record(WORKER, id=self.worker, time=int(now), data=data, expires=int(now) + KEPT_SECONDS)

    async def beat(self, ledger: Ledger, in_flight: Callable[[], int]) -> None:
        """Write the heartbeat for ever. A ledger that does not answer does not stop the worker."""
        written, last, logged = "", 0.0, self._clock.monotonic()
        while True:
            now = self._clock.monotonic()
            if self.state != written or now - last >= HEARTBEAT_INTERVAL_SECONDS:
                written, last = self.state, now
                await self.write(ledger, in_flight())
            if now - logged >= LOG_INTERVAL_SECONDS:
                logged = now
                held = await _held_deletions(ledger)
                self._log.line(
                    "INFO", "state", state=self.state, reason=self.reason or None, in_flight=in_flight(), held=held
                )
            await self._clock.sleep(TICK_SECONDS)

    async def write(self, ledger: Ledger, in_flight: int = 0) -> None:
        """Write the record once; errors are logged."""
        try:
            await ledger.record(self.record(in_flight))
        except DualSyncError as e:
            self._log.line("WARNING", "vitals", reason=f"{type(e).__name__}: {e}")

    async def write_last(self, ledger: Ledger, error: BaseException | None = None) -> None:
        """Write the last record, with the error that ended the worker. Errors are ignored."""
        self._change_state(State.STOPPED, f"{type(error).__name__}: {error}" if error is not None else "")
        with contextlib.suppress(Exception):
            await self.write(ledger)


async def _held_deletions(ledger: Ledger) -> int | None:
    """Return the number of deletions that wait for an operator; None for none, or if the ledger does not answer."""
    with contextlib.suppress(DualSyncError):
        record = await ledger.get_record(HELD_DELETION, HELD_ID)
        count = record.data.get("count") if record is not None else None
        return count if isinstance(count, int) else None
    return None
