"""Structured log: one JSON line an outcome, read by metric filters, Logs Insights and people.

Field names are a contract with `components/` (metric filters, saved queries); `tests/` hold both to it.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, TextIO

ECHO_LINE = "Repeated transfer job!"
"""The line that tells a person the loop guard works (the guide's FAQ has people look for it)."""

COUNTED = frozenset(["outcome", "state", "finder", "fatal"])
"""Events whose lines are written at every level: metrics, and the alarms on them, are counted from these lines."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


class Outcome(StrEnum):
    """How a look ended."""

    COPIED = "copied"
    DELETED = "deleted"
    PULLED = "pulled"
    REMOVED = "removed"
    """Deleted on this side: proven deletion at the peer, or a copy that arrived after its deletion."""
    AGREED = "agreed"
    CARRIED = "carried"
    """Some parts of a giant object; the object is `copied` when it is complete."""
    CANCELLED = "cancelled"
    """An echo: never copied."""
    SKIPPED = "skipped"
    POSTPONED = "postponed"
    BURIED = "buried"
    """To the dead-letter queue with the reason."""
    FAILED = "failed"
    """Left in the queue, to be received again."""


class State(StrEnum):
    """What a worker is doing as a whole."""

    WAITING_FOR_PEER = "WAITING_FOR_PEER"
    GUARD_REFUSED = "GUARD_REFUSED"
    RUNNING = "RUNNING"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    WAITING_FOR_LIST = "WAITING_FOR_LIST"
    """The prefix-list file is missing or names nothing: nothing is received until it does."""
    PAUSED = "PAUSED"
    """An operator's wish: nothing is received until the operator says so."""
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"


class Log(Protocol):
    """Where lines go; never a secret among `fields`."""

    def line(self, level: str, event: str, **fields: object) -> None: ...


class JsonLog:
    """JSON lines to a stream, with the time (UTC), pair and side on each; `level` governs all but `COUNTED` events."""

    def __init__(self, stream: TextIO, level: str, **always: object) -> None:
        self._stream = stream
        self._threshold = logging.getLevelNamesMapping()[level]
        self._always = always

    def line(self, level: str, event: str, **fields: object) -> None:
        """Write one line; fields that are None are left out."""
        if event not in COUNTED and logging.getLevelNamesMapping()[level] < self._threshold:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"time": now, "level": level, "event": event, **self._always, **fields}
        self._stream.write(_ENCODER.encode({k: v for k, v in record.items() if v is not None}) + "\n")
        self._stream.flush()
