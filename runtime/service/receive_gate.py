"""What may keep a worker from receiving: an operator's wish, or that it is not known what is to be synchronised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dualsync.runtime.log import State


class ReceiveGate(Protocol):
    """Lets messages through, or not."""

    @property
    def closed(self) -> bool: ...

    @property
    def state(self) -> State:
        """What a worker says of itself while it waits here."""

    @property
    def why(self) -> str: ...

    async def opened(self) -> None:
        """Wait until it is not closed."""


class ReceiveGates:
    """Several in a row: open when all are."""

    def __init__(self, gates: Sequence[ReceiveGate]) -> None:
        self._gates = gates

    @property
    def _first_closed(self) -> ReceiveGate | None:
        return next((gate for gate in self._gates if gate.closed), None)

    @property
    def closed(self) -> bool:
        return self._first_closed is not None

    @property
    def state(self) -> State:
        """Of the first that is closed."""
        gate = self._first_closed
        return State.RUNNING if gate is None else gate.state

    @property
    def why(self) -> str:
        """Of the first that is closed."""
        gate = self._first_closed
        return "" if gate is None else gate.why

    async def opened(self) -> None:
        """Wait at the first that is closed: at the next one the worker has another state to tell."""
        gate = self._first_closed
        if gate is not None:
            await gate.opened()
