"""Writes down what a simulation does, in the language of `tests/scenarios`: a failing history becomes a scenario."""

from __future__ import annotations

import shlex

from tests.fakes.clock import START, Time
from tests.fakes.gate import Step
from tests.histories.plan import Modes, Op


class Recorder:
    """Lines of a scenario. Consecutive steps of one task become one line."""

    def __init__(self, time: Time) -> None:
        self.lines: list[str] = []
        self._time = time
        self._at = 0.0
        self._pending: tuple[str, str] | None = None

    def op(self, op: Op) -> None:
        """A user's act, or something done to the system."""
        self._add(f"{op.side} {act(op)}")

    def event(self, side: str, what: str, labels: str) -> None:
        """deliver or lose."""
        self._add(f"{side} {what} {labels}")

    def take(self, side: str, label: str) -> None:
        """A worker receives a message."""
        self._add(f"{side} take {label}")

    def finder(self, side: str, name: str) -> None:
        """A finder starts."""
        self._add(f"{side} finder {name}")

    def step(self, side: str, task: str, step: Step) -> None:
        """A task goes on as far as `step`."""
        if self._pending and self._pending[0] != f"{side} {task}":
            self._flush()
        self._pending = (f"{side} {task}", str(step))

    def fails(self, side: str, task: str, error: Exception) -> None:
        """The call at which a task stands raises."""
        self._add(f"{side} {task} fails {type(error).__name__}")

    def dies(self, side: str, task: str) -> None:
        """A task is killed."""
        self._add(f"{side} {task} dies")

    def ends(self, side: str, task: str) -> None:
        """A task ran to its end."""
        self._pending = None
        self._add(f"{side} {task} ends")

    def other(self, line: str) -> None:
        """Anything else."""
        self._add(line)

    def _add(self, line: str) -> None:
        self._flush()
        now = self._time.now - START
        if now - self._at >= 0.5 or int(now) != int(self._at):
            self.lines.append(f"at {now:.2f}")
            self._at = round(now, 2)
        self.lines.append(line)

    def _flush(self) -> None:
        if self._pending:
            self.lines.append(f"{self._pending[0]} until {self._pending[1]}")
            self._pending = None


def act(op: Op) -> str:
    """An op as a scenario's words, without the side."""
    words = [op.kind]
    if op.source:
        words.append(op.source)
    if op.key:
        words.append(op.key)
    if op.content:
        words.append(op.content)
    if op.bytes_of:
        words.extend(("like", op.bytes_of))
    return shlex.join(words)


def given(modes: Modes) -> list[str]:
    """What the scenario's world is like, as far as it differs from the plain one."""
    plain = Modes()
    lines = []
    for name in ("versioning", "kms"):
        value = getattr(modes, name)
        if value != getattr(plain, name):
            both = (f"{side}={v}" for side, v in zip(("cn", "global"), value, strict=True) if v)
            lines.append(f"given {name} {' '.join(both)}")
    for name in (
        "parts",
        "keep_loser",
        "silent_undelete",
        "policy",
        "expiry",
        "grace",
        "service_skew",
        "worker_skew",
        "beside",
    ):
        value = getattr(modes, name)
        if value != getattr(plain, name):
            lines.append(f"given {name} {value}")
    return lines
