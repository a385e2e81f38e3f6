"""Structured log: one JSON line per outcome, for metric filters, Logs Insights and operators.

Field names are a contract with `components/` (metric filters, saved queries). Tests hold both to it.
"""

from __future__ import annotations

import json
import logging
import time
from enum import StrEnum
from typing import Protocol, TextIO

ECHO_LINE = "Repeated transfer job!"
"""The line that shows that an echo was recognised. The guide's FAQ has users search for it."""

COUNTED = frozenset(["outcome", "state", "finder", "fatal"])
"""Events whose lines are written at every level: metrics, and the alarms on them, are counted from these lines."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


class Outcome(StrEnum):
    """How the handling of one message ended."""

    COPIED = "copied"
    """Copied to the peer."""
    DELETED = "deleted"
    """Deleted at the peer."""
    PULLED = "pulled"
    """Copied from the peer to this side."""
    REMOVED = "removed"
    """Deleted on this side: proven deletion at the peer, or a copy that arrived after its deletion."""
    AGREED = "agreed"
    """Both sides held the same already; the ledger records it."""
    CARRIED = "carried"
    """Some parts of a giant object; the object is `copied` when it is complete."""
    CANCELLED = "cancelled"
    """An echo: never copied."""
    SKIPPED = "skipped"
    """Nothing to do, or excluded by the settings."""
    POSTPONED = "postponed"
    """Queued again for later."""
    BURIED = "buried"
    """Sent to the dead-letter queue with the reason."""
    FAILED = "failed"
    """Left in the queue; it is received again."""


class State(StrEnum):
    """State of a worker process."""

    WAITING_FOR_PEER = "WAITING_FOR_PEER"
    """The peer's secret has not arrived."""
    GUARD_REFUSED = "GUARD_REFUSED"
    """The credential or a bucket is not the expected one."""
    RUNNING = "RUNNING"
    """It receives messages."""
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    """The services do not answer; nothing is received until a probe succeeds."""
    WAITING_FOR_LIST = "WAITING_FOR_LIST"
    """The prefix-list file is missing or names nothing: nothing is received until it does."""
    PAUSED = "PAUSED"
    """An operator has paused the direction: nothing is received until it is resumed."""
    DRAINING = "DRAINING"
    """It finishes what it has received."""
    STOPPED = "STOPPED"
    """It has ended."""


class Log(Protocol):
    """Takes log lines. `fields` never hold a secret."""

    def line(self, level: str, event: str, **fields: object) -> None: ...


class JsonLog:
    """Writes JSON lines to a stream, each with time (UTC), pair and side. `COUNTED` events ignore `level`."""

    def __init__(self, stream: TextIO, level: str, **always: object) -> None:
        self._stream = stream
        self._threshold = logging.getLevelNamesMapping()[level]
        self._always = always
        self._second = (-1, "")

    def line(self, level: str, event: str, **fields: object) -> None:
        """Write one line; fields that are None are left out."""
        if event not in COUNTED and logging.getLevelNamesMapping()[level] < self._threshold:
            return
        record = {"time": self._now(), "level": level, "event": event, **self._always, **fields}
        self._stream.write(printable_json(_ENCODER.encode({k: v for k, v in record.items() if v is not None})) + "\n")
        self._stream.flush()

    def _now(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second[0]:
            self._second = (second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return f"{self._second[1]}.{int((now - second) * 1000):03d}Z"


def printable_json(text: str) -> str:
    """Return JSON text with every character escaped that does not show itself; its meaning stays the same.

    JSON escapes only the first 32 control characters. Others move a terminal's cursor or turn the direction of
    writing, and half a surrogate pair can't be written at all. Line breaks stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
