"""What the workers and finders said: their JSON lines, kept in memory and in a log file."""

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


class Journal:
    """Lines of all processes of both sides; written by reader threads, read by anyone."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._lock = threading.Lock()

    def follow(self, stream: Iterable[str], log: Path, name: str) -> threading.Thread:
        """Read a process's output to its end, in a thread."""
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
                    self._lines.append({**line, "process": name, "heard": time.time()})

    def every(self) -> list[Line]:
        """All lines so far; `heard` is when, in seconds since the epoch."""
        with self._lock:
            return list(self._lines)

    def mark(self) -> int:
        """How many lines there are so far: `since` of what comes after."""
        with self._lock:
            return len(self._lines)

    def lines(self, event: str, *, since: int = 0, **wanted: Any) -> Iterator[Line]:
        """Lines of one event whose fields have the wanted values, `since` a mark."""
        with self._lock:
            lines = self._lines[since:]
        for line in lines:
            if line.get("event") == event and all(line.get(k) == v for k, v in wanted.items()):
                yield line

    def outcomes(self, *kinds: Outcome) -> list[Line]:
        """Outcome lines, of the given kinds or all."""
        return [line for line in self.lines("outcome") if not kinds or line.get("outcome") in kinds]

    def counts(self) -> Counter[str]:
        """How often each outcome came."""
        return Counter(str(line.get("outcome")) for line in self.lines("outcome"))

    def conflicts(self) -> list[Line]:
        """Outcome lines that settled a conflict."""
        return [line for line in self.lines("outcome") if line.get("conflict")]

    def of_key(self, key: str) -> list[Line]:
        """Everything said of one key."""
        return list(self.lines("outcome", key=key))

    def lags(self) -> list[float]:
        """Seconds from event to effect at the peer, of everything copied or deleted."""
        return [float(line["lag_seconds"]) for line in self.lines("outcome") if "lag_seconds" in line]
