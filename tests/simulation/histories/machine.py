"""Represent the machines of a simulation and the tasks that they run."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from tests.simulation.histories.world import Processor
from tests.support.fakes.gate import Step
from tests.support.fakes.identity import FakeCredential


class Machine:
    """A worker process, whose memory is lost when it is killed."""

    __slots__ = ("credential", "name", "paused", "side", "tasks", "worker")

    def __init__(self, side: str, name: str, worker: Processor, credential: FakeCredential) -> None:
        self.side = side
        self.name = name
        self.worker = worker
        self.credential = credential
        self.tasks: list[Task] = []
        self.paused = False


class Task:
    """A message being processed, or a finder run, which has no machine."""

    __slots__ = ("coroutine", "fault", "frozen", "machine", "name", "side", "step")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], side: str, machine: Machine | None, name: str) -> None:
        self.coroutine: Coroutine[Any, Any, Any] | None = coroutine
        self.side = side
        self.machine = machine
        self.fault: Exception | None = None
        self.frozen = False
        """True during a stall in which the message's visibility is not extended either."""
        self.step: Step | None = None
        self.name = name
