"""Record a simulation as a scenario, in the language of `tests/simulation/scenarios`."""

from __future__ import annotations

import math
import shlex
from collections import Counter

from tests.simulation.histories.plan import Modes, Op
from tests.support.fakes.clock import START, Time
from tests.support.fakes.gate import Step


class Recorder:
    """The lines of a scenario. Consecutive steps of one task are joined to one line."""

    def __init__(self, time: Time) -> None:
        self.lines: list[str] = []
        self._time = time
        self._at = 0.0
        self._starting = False
        self._pending: tuple[str, str, int] | None = None
        self._passed: Counter[str] = Counter()

    def op(self, op: Op) -> None:
        """Record an act of a user or a change of the system."""
        self._add(f"{op.side} {act(op)}")

    def event(self, side: str, what: str, labels: str) -> None:
        """Record that events are delivered or lost (`what`: deliver, lose)."""
        self._add(f"{side} {what} {labels}")

    def take(self, side: str, label: str) -> None:
        """Record that a worker receives a message."""
        self._add(f"{side} take {label}")
        self._starting = True

    def finder(self, side: str, name: str) -> None:
        """Record that a finder starts."""
        self._add(f"{side} finder {name}")
        self._starting = True

    def step(self, side: str, task: str, step: Step) -> None:
        """Record that a task continues to `step`. The first step of a task is part of its start."""
        if self._starting:
            self._starting = False
            return
        if self._pending and self._pending[0] != f"{side} {task}":
            self._flush()
        self._tick()
        text = str(step)
        self._passed[text] += 1
        self._pending = (f"{side} {task}", text, self._passed[text])

    def fails(self, side: str, task: str, error: Exception) -> None:
        """Record that the call at which a task waits raises."""
        self._add(f"{side} {task} fails {type(error).__name__}")
        self._starting = True

    def killed(self, side: str, task: str) -> None:
        """Record that a task is killed."""
        self._add(f"{side} {task} killed")

    def ends(self, side: str, task: str) -> None:
        """Record that a task ran to its end."""
        if self._starting:
            self._starting = False
            return
        self._tick()
        if self._pending and self._pending[0] == f"{side} {task}":
            self._pending = None
            self._passed.clear()
        self._add(f"{side} {task} ends")

    def other(self, line: str) -> None:
        """Record any other line."""
        self._add(line)

    def _add(self, line: str) -> None:
        self._flush()
        self._tick()
        self.lines.append(line)

    def _tick(self) -> None:
        """Record the time if it matters: S3 shows whole seconds."""
        now = self._time.now - START
        if now - self._at >= 0.5 or int(now) != int(self._at):
            self._flush()
            self._at = math.floor(now * 1000) / 1000
            self.lines.append(f"at {self._at:.3f}")

    def _flush(self) -> None:
        if self._pending:
            task, step, times = self._pending
            self.lines.append(f"{task} until {step}" + (f" {times}" if times > 1 else ""))
            self._pending = None
            self._passed.clear()


def sent_by(task: str) -> str:
    """Return the label of a message that `task` sends: `e3~`, then `e3~2`."""
    stem, mark, n = task.rpartition("~")
    return f"{stem}~{int(n or 1) + 1}" if mark and (not n or n.isdigit()) else f"{task}~"


class Labels:
    """Unique labels of messages: `e1`, then `e1b`, `e1c` for further ones of the same origin.

    The driver sets `events` or `task` to the origin before a message may be sent.
    """

    def __init__(self) -> None:
        self._given: Counter[tuple[str, str]] = Counter()
        self.events = ""
        self.task = ""

    def give(self, side: str) -> str:
        """Return a new label for the message that is sent now."""
        origin = self.events or sent_by(self.task)
        self._given[side, origin] += 1
        n = self._given[side, origin]
        return origin if n == 1 else f"{origin}{chr(ord('a') + n - 1) if n < 26 else n}"


def act(op: Op) -> str:
    """Return an act as words of a scenario line, without the side."""
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


def op_of(side: str, verb: str, words: list[str]) -> Op:
    """Parse the words that `act` returns. Raises `ValueError` for other words."""
    like = ""
    if "like" in words:
        i = words.index("like")
        like = words[i + 1]
        words = words[:i]
    source = ""
    if verb == "copy":
        source, *words = words
    key, *rest = words
    return Op(0.0, side, verb, key, rest[0] if rest else "", like, source=source)


def given(modes: Modes) -> list[str]:
    """Return the `given` lines of a scenario for all modes that differ from the defaults."""
    plain = Modes()
    lines = []
    for name in ("versioning", "kms", "prefix"):
        value = getattr(modes, name)
        if value != getattr(plain, name):
            both = (f"{side}={v}" for side, v in zip(("cn", "global"), value, strict=True) if v)
            lines.append(f"given {name} {' '.join(both)}")
    for name in (
        "parts",
        "giants",
        "uploads_by_start",
        "md5_etags",
        "keep_loser",
        "silent_undelete",
        "policy",
        "expiry",
        "expires",
        "grace",
        "service_skew",
        "worker_skew",
        "absent_204",
        "page",
        "ranges",
        "expires",
        "beside",
    ):
        value = getattr(modes, name)
        if value != getattr(plain, name):
            lines.append(f"given {name} {value}")
    return lines
