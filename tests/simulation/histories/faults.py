"""Inject faults into the calls of a simulation's machines."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

from dualsync.runtime.errors import AccessDeniedError, ConcurrentWriteError, ThrottledError, UnavailableError
from tests.simulation.histories.machine import Task
from tests.simulation.histories.plan import Modes
from tests.support.fakes.clock import START, Time
from tests.support.fakes.gate import Step

MAX_KILLS = 6
WRITES = frozenset(f"remote.{call}" for call in ("put", "create_upload", "put_part", "complete", "delete"))
CONDITIONAL = frozenset(f"{b}.{call}" for b in ("local", "remote") for call in ("put", "delete", "complete"))


class Faults:
    """Faults drawn with the chances of `modes`. `kills` counts killed machines, `counts` all faults by kind."""

    __slots__ = ("_chance", "_modes", "_random", "_time", "any", "counts", "kills")

    def __init__(self, modes: Modes, random: Random, time: Time, counts: Counter[str]) -> None:
        self._modes = modes
        self._random = random
        self._time = time
        self._chance = modes.crash + modes.stall + modes.throttle + modes.unanswered
        self.counts = counts
        self.kills = 0
        self.any = bool(self._chance or modes.windows or modes.busy or modes.stop)

    def spread(self, mean: float) -> float:
        """Draw seconds from an exponential distribution."""
        return -math.log(1.0 - self._random.random()) * mean

    def unsubscribed(self, side: str) -> bool:
        """Return True while the side's bucket sends no events."""
        now = self._time.now - START
        return any(w.kind == "unsubscribed" and w.side == side and w.start <= now < w.end for w in self._modes.windows)

    def inject(self, task: Task, step: Step) -> float | None:
        """Draw a fault for a call. Return by how many seconds it is delayed, or None to kill its machine."""
        modes = self._modes
        for w in modes.windows:
            if w.side != task.side or not w.start <= self._time.now - START < w.end:
                continue
            if w.kind == "denied" and step.call in WRITES and not step.after:
                self.counts[w.kind] += 1
                task.fault = AccessDeniedError("AccessDenied")
                return 0.0
            if w.kind != "outage":
                continue
            if step.call.startswith("remote."):
                self.counts[w.kind] += 1
                if not step.after:
                    task.fault = UnavailableError("no route")
                return 0.0
        if modes.stop and step.after and self._random.random() < modes.stop:
            return self._stall(task)
        x = self._random.random()
        if modes.busy and step.call in CONDITIONAL and not step.after and self._random.random() < modes.busy:
            self.counts["409"] += 1
            task.fault = ConcurrentWriteError("409 ConditionalRequestConflict")
            return 0.0
        if x >= self._chance:
            return 0.0
        if x < modes.crash:
            return None if self.kills < MAX_KILLS else 0.0
        if step.call == "clock.sleep":
            return 0.0  # a sleep is not a call to a service
        x -= modes.crash
        if x < modes.stall:
            return self._stall(task)
        x -= modes.stall
        if x < modes.throttle:
            if not step.after and not step.call.endswith(".body"):
                self.counts["throttled"] += 1
                task.fault = ThrottledError("SlowDown")
            return 0.0
        self.counts["unanswered"] += 1
        task.fault = UnavailableError("connection reset")
        return self.spread(2.0)

    def _stall(self, task: Task) -> float:
        """Stop the process and, in half of the cases, its heartbeat. Return for how many seconds."""
        self.counts["stalled"] += 1
        task.frozen = self._random.random() < 0.5
        return self.spread(self._random.choice((3.0, 60.0, 600.0)))
