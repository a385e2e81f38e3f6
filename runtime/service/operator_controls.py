"""What an operator asks of a side's workers while they run: a record in the ledger that each of them reads again.

A side's workers carry its bucket's changes to the peer, so to pause the direction `cn->global` is to pause `cn`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import Log, State
from dualsync.runtime.model.records import CONTROL, WORKER, Record, is_alive
from dualsync.runtime.ports import Clock, Ledger
from dualsync.runtime.transfer.throttle import Throttle

CONTROL_POLL_SECONDS = 10.0
"""Seconds until an order is known to every worker (and at most one long poll more until it is obeyed)."""
ORDERS_ID = "orders"


@dataclass(frozen=True, slots=True)
class Orders:
    """The operator's present wishes for a direction. Limits are for all its workers together; 0 means none."""

    paused: bool = False
    reason: str = ""
    by: str = ""
    since: int = 0
    bytes_per_second: int = 0
    requests_per_second: int = 0

    def fields(self) -> dict[str, str | int | bool]:
        """Return the orders under the names that the ledger, the log and `--json` use for them."""
        return {
            "paused": self.paused,
            "reason": self.reason,
            "by": self.by,
            "since": self.since,
            "bytes_per_second": self.bytes_per_second,
            "requests_per_second": self.requests_per_second,
        }

    def record(self, now: int) -> Record:
        """Return the orders as the ledger keeps them. `now` in seconds since the epoch."""
        return Record(CONTROL, id=ORDERS_ID, time=now, data=dict(self.fields()))

    @classmethod
    def of(cls, record: Record) -> Orders:
        """Return the orders of a record; a value of the wrong type counts as not given."""
        data = record.data

        def text(name: str) -> str:
            value = data.get(name)
            return value if type(value) is str else ""

        def number(name: str) -> int:
            value = data.get(name)
            return value if type(value) is int and value >= 0 else 0

        return cls(
            paused=data.get("paused") is True,
            reason=text("reason"),
            by=text("by"),
            since=number("since"),
            bytes_per_second=number("bytes_per_second"),
            requests_per_second=number("requests_per_second"),
        )


async def read_orders(ledger: Ledger) -> Orders:
    """The side's present orders; none means: work."""
    async for record in ledger.records(CONTROL):
        if record.id == ORDERS_ID:
            return Orders.of(record)
    return Orders()


class OperatorControls:
    """A worker's ear. `closed` and `opened` are the loop's gate."""

    def __init__(self, ledger: Ledger, clock: Clock, log: Log, throttle: Throttle) -> None:
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._throttle = throttle
        self._open = asyncio.Event()
        self._open.set()
        self.orders = Orders()

    @property
    def closed(self) -> bool:
        """Is this direction paused?"""
        return self.orders.paused

    @property
    def state(self) -> State:
        """What a worker says of itself while it is."""
        return State.PAUSED

    @property
    def why(self) -> str:
        """For the log and for `status`: who paused, and why."""
        return f"paused by {self.orders.by or 'an operator'}: {self.orders.reason or 'no reason given'}"

    async def opened(self) -> None:
        """Wait until it is not paused."""
        await self._open.wait()

    async def watch(self) -> None:
        """Listen for ever."""
        while True:
            await self._clock.sleep(CONTROL_POLL_SECONDS)
            await self.poll()

    async def poll(self) -> None:
        """Listen once. When the ledger does not answer, the last known orders stand."""
        try:
            orders = await read_orders(self._ledger)
            workers = await self._workers() if orders.bytes_per_second or orders.requests_per_second else 1
        except DualSyncError as e:
            self._log.line("WARNING", "controls", reason=f"{type(e).__name__}: {e}")
            return
        self._throttle.limit(orders.bytes_per_second / workers, orders.requests_per_second / workers)
        if orders != self.orders:
            self._log.line("INFO", "controls", **orders.fields())
        self.orders = orders
        if orders.paused:
            self._open.clear()
        else:
            self._open.set()

    async def _workers(self) -> int:
        """How many share the limits: those that were heard of lately, this one included."""
        now = self._clock.now()
        alive = 0
        async for record in self._ledger.records(WORKER):
            alive += is_alive(record, now)
        return max(1, alive)
