"""What runs in a simulation: machines and the tasks they have in hand."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tests.simulation.histories.world import Processor
from tests.support.fakes.gate import Step
from tests.support.fakes.identity import FakeCredential


class Machine:
    """A worker process: what it has in memory dies with it."""

    __slots__ = ("credential", "name", "paused", "side", "tasks", "worker")

    def __init__(self, side: str, name: str, worker: Processor, credential: FakeCredential) -> None:
        self.side = side
        self.name = name
        self.worker = worker
        self.credential = credential
        self.tasks: list[Task] = []
        self.paused = False


class Task:
    """A message being processed, or a finder's run (then without machine)."""

    __slots__ = ("coroutine", "fault", "frozen", "machine", "name", "side", "step")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], side: str, machine: Machine | None, name: str) -> None:
        self.coroutine: Coroutine[Any, Any, Any] | None = coroutine
        self.side = side
        self.machine = machine
        self.fault: Exception | None = None
        self.frozen = False
        """In a stall in which not even the message's visibility is extended."""
        self.step: Step | None = None
        self.name = name
