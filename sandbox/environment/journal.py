"""The JSON log lines of workers and finders, kept in memory and in log files."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dualsync.runtime.log import Outcome

Line = dict[str, Any]
"""One log line with two more fields: `process`, and `received_at` in seconds since the epoch."""


class Journal:
    """Lines of all processes of both sides. Safe for threads."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._lock = threading.Lock()

    def follow(self, stream: Iterable[str], log: Path, name: str) -> threading.Thread:
        """Start a thread that reads a process's output to its end, and return it."""
        thread = threading.Thread(target=self._read, args=(stream, log, name), daemon=True)
        thread.start()
        return thread

    def _read(self, stream: Iterable[str], log: Path, name: str) -> None:
        with log.open("a") as file:
            for text in stream:
                file.write(text)
                file.flush()
                try:
                    line = json.loads(text)
                except json.JSONDecodeError:
                    line = {"event": "text", "text": text.rstrip()}
                with self._lock:
                    self._lines.append({**line, "process": name, "received_at": time.time()})

    def every(self) -> list[Line]:
        """Return all lines so far."""
        with self._lock:
            return list(self._lines)

    def mark(self) -> int:
        """Return the number of lines so far, as `since` for later lines."""
        with self._lock:
            return len(self._lines)

    def lines(self, event: str, *, since: int = 0, **wanted: Any) -> Iterator[Line]:
        """Yield the lines of one event whose fields have the wanted values, after the mark `since`."""
        with self._lock:
            lines = self._lines[since:]
        for line in lines:
            if line.get("event") == event and all(line.get(k) == v for k, v in wanted.items()):
                yield line

    def outcomes(self, *kinds: Outcome) -> list[Line]:
        """Return the outcome lines of the given kinds; all without kinds."""
        return [line for line in self.lines("outcome") if not kinds or line.get("outcome") in kinds]

    def counts(self) -> Counter[str]:
        """Count the outcome lines per outcome."""
        return Counter(str(line.get("outcome")) for line in self.lines("outcome"))

    def conflicts(self) -> list[Line]:
        """Return the outcome lines that settled a conflict."""
        return [line for line in self.lines("outcome") if line.get("conflict")]

    def of_key(self, key: str) -> list[Line]:
        """Return the outcome lines of one key."""
        return list(self.lines("outcome", key=key))

    def lags(self) -> list[float]:
        """Return the seconds from event to effect at the peer, per object copied or deleted."""
        return [float(line["lag_seconds"]) for line in self.lines("outcome") if "lag_seconds" in line]
