"""Reasons not to receive: an operator's pause, or a missing prefix list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dualsync.runtime.log import State


class ReceiveGate(Protocol):
    """Allows the consumer to receive, or not."""

    @property
    def closed(self) -> bool:
        """True while nothing may be received."""

    @property
    def state(self) -> State:
        """State of a worker that waits here."""

    @property
    def reason(self) -> str:
        """Why the gate is closed."""

    async def wait_until_open(self) -> None:
        """Wait until the gate is open."""


class ReceiveGates:
    """Several gates in a row, open when all are open."""

    def __init__(self, gates: Sequence[ReceiveGate]) -> None:
        self._gates = gates

    @property
    def _first_closed(self) -> ReceiveGate | None:
        return next((gate for gate in self._gates if gate.closed), None)

    @property
    def closed(self) -> bool:
        """True while any gate is closed."""
        return self._first_closed is not None

    @property
    def state(self) -> State:
        """State at the first closed gate."""
        gate = self._first_closed
        return State.RUNNING if gate is None else gate.state

    @property
    def reason(self) -> str:
        """Why the first closed gate is closed."""
        gate = self._first_closed
        return "" if gate is None else gate.reason

    async def wait_until_open(self) -> None:
        """Wait until the first closed gate is open. The next one may be closed for another reason."""
        gate = self._first_closed
        if gate is not None:
            await gate.wait_until_open()
