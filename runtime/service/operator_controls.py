"""An operator's controls of a side's workers while they run: a record in the ledger that each worker polls.

A side's workers carry its bucket's changes to the peer. To pause the direction `cn->global` is to pause `cn`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import Log, State
from dualsync.runtime.model.records import CONTROL, CONTROLS_ID, WORKER, Record, is_alive
from dualsync.runtime.ports import Clock, Ledger
from dualsync.runtime.service.limit_timetable import MAX_RATE, Timetable
from dualsync.runtime.transfer.throttle import Throttle

CONTROL_POLL_SECONDS = 10.0
"""Seconds until every worker has read a change. It takes effect at most one long poll later."""


@dataclass(frozen=True, slots=True)
class DirectionControls:
    """An operator's pause and limits of a direction. Limits are for all its workers together."""

    paused: bool = False
    """True: the workers receive nothing."""

    reason: str = ""
    """Why the direction is paused."""

    by: str = ""
    """ARN or name of the operator who set them."""

    since: int = 0
    """When they were set, in seconds since the epoch."""

    bytes_per_second: int = 0
    """Most bytes of content per second; 0 for no limit."""

    requests_per_second: int = 0
    """Most requests to the peer per second; 0 for no limit."""

    timetable: Timetable | None = None
    """Limits of bytes by the time of day, instead of `bytes_per_second`; None for none."""

    def byte_limit(self, now: float) -> int:
        """Return the bytes per second that hold at `now`, seconds since the epoch; 0 for no limit."""
        return self.bytes_per_second if self.timetable is None else self.timetable.limit_at(now)

    def fields(self) -> dict[str, str | int | bool]:
        """Return the controls under the names that the ledger, the log and `--json` use for them."""
        return {
            "paused": self.paused,
            "reason": self.reason,
            "by": self.by,
            "since": self.since,
            "bytes_per_second": self.bytes_per_second,
            "requests_per_second": self.requests_per_second,
        }

    def record(self, now: int) -> Record:
        """Return the controls as the ledger keeps them. `now` in seconds since the epoch.

        Workers of version 0.1 ignore the timetable and keep the limit that holds now.
        """
        data: dict[str, object] = {**self.fields(), "bytes_per_second": self.byte_limit(now)}
        if self.timetable is not None:
            data["timetable"] = self.timetable.data()
        return Record(CONTROL, id=CONTROLS_ID, time=now, data=data)

    @classmethod
    def from_record(cls, record: Record) -> DirectionControls:
        """Return the controls of a record; a value of the wrong type, or out of range, counts as not given."""
        data = record.data

        def text(name: str) -> str:
            value = data.get(name)
            return value if type(value) is str else ""

        def number(name: str) -> int:
            value = data.get(name)
            return value if type(value) is int and 0 <= value <= MAX_RATE else 0

        return cls(
            paused=data.get("paused") is True,
            reason=text("reason"),
            by=text("by"),
            since=number("since"),
            bytes_per_second=number("bytes_per_second"),
            requests_per_second=number("requests_per_second"),
            timetable=Timetable.from_data(data.get("timetable")),
        )


async def read_controls(ledger: Ledger) -> DirectionControls:
    """Return the side's present controls. Without a record the workers work."""
    record = await ledger.get_record(CONTROL, CONTROLS_ID)
    return DirectionControls() if record is None else DirectionControls.from_record(record)


class ControlsWatcher:
    """A worker's copy of the controls. It is a receive gate, closed while the direction is paused."""

    def __init__(self, ledger: Ledger, clock: Clock, log: Log, throttle: Throttle) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._throttle = throttle
        self._open = asyncio.Event()
        self._open.set()
        self.controls = DirectionControls()
        self._limit = 0

    @property
    def closed(self) -> bool:
        """True while this direction is paused."""
        return self.controls.paused

    @property
    def state(self) -> State:
        """State of a worker whose direction is paused."""
        return State.PAUSED

    @property
    def reason(self) -> str:
        """Who paused the direction, and why."""
        return f"paused by {self.controls.by or 'an operator'}: {self.controls.reason or 'no reason given'}"

    async def wait_until_open(self) -> None:
        """Wait until the direction is not paused."""
        await self._open.wait()

    async def watch(self) -> None:
        """Poll for ever."""
        while True:
            await self._clock.sleep(CONTROL_POLL_SECONDS)
            await self.poll()

    async def poll(self) -> None:
        """Read the controls once. If the ledger does not answer, the last known ones hold."""
        try:
            controls = await read_controls(self._ledger)
            limit = controls.byte_limit(self._clock.now())
            workers = await self._workers() if limit or controls.requests_per_second else 1
        except DualSyncError as e:
            self._log.line("WARNING", "controls", reason=f"{type(e).__name__}: {e}")
            return
        self._throttle.set_limits(limit / workers, controls.requests_per_second / workers)
        if controls != self.controls or limit != self._limit:
            self._log.line("INFO", "controls", **{**controls.fields(), "bytes_per_second": limit})
        self.controls, self._limit = controls, limit
        if controls.paused:
            self._open.clear()
        else:
            self._open.set()

    async def _workers(self) -> int:
        """Return how many worker processes share the limits: all with a recent heartbeat, this one included."""
        now = self._clock.now()
        alive = 0
        async for record in self._ledger.records(WORKER):
            alive += is_alive(record, now)
        return max(1, alive)
