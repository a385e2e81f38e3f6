"""Checkpoints: what a finder run has settled, kept in the ledger, so that the next run resumes one that was killed.

A run writes one record under its own id, and resumes another run by copying its record. So two finders at once never
write the same record. Everything in a record was settled at one moment: an older record is as correct as a newer one
and only leaves more to compare again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.model.records import FINDER_CHECKPOINT, Record
from dualsync.runtime.ports import Clock, Ledger

CHECKPOINT_INTERVAL_SECONDS = 30.0
"""Seconds between two records of a run; shorter runs write none."""
LIVENESS_PERIODS = 3
"""A run whose record is younger than this many periods is assumed to be alive and is not resumed."""
MAX_AGE_SECONDS = 86400
"""Seconds after which a record is not resumed: what it compared is out of date."""
MAX_RESUMPTIONS = 3
"""How often a run is resumed without progress. Then it starts again, so that an error at one place does not keep the
other places from being compared."""
MAX_RECORD_CHARACTERS = 350_000
"""Most characters of a record (DynamoDB's largest item has 400 KB). A larger one is not written."""
FORMAT = 1
"""Format of the record."""


@dataclass(slots=True)
class Checkpoints:
    """The records of one run."""

    ledger: Ledger
    """Where they are kept."""

    clock: Clock
    """The time."""

    run: str
    """Id of this run's record."""

    settings_digest: str
    """Digest of the configuration. A run is resumed under the same configuration only."""

    period: float = CHECKPOINT_INTERVAL_SECONDS
    """Seconds between two records."""

    resume: bool = True
    """False: start again, whatever an earlier run has settled."""

    _tries: int = 0
    """How often the work was resumed without progress."""
    _resumed_keys: int = 0
    """Keys that the resumed run had settled."""
    _written: float = 0.0
    """When this run's record was written, in seconds of `Clock.monotonic`."""
    _own: Record | None = None
    """This run's record, once it is written."""
    _dead: list[Record] = field(default_factory=list)
    """Records of killed runs, to be removed at the end."""

    async def resume_ranges(self) -> list[RangeProgress]:
        """Return the ranges of the killed run that had settled most; none if there is nothing to resume."""
        now, self._written = self.clock.now(), self.clock.monotonic()
        best: tuple[tuple[int, int], Record, list[RangeProgress]] | None = None
        async for record in self.ledger.records(FINDER_CHECKPOINT):
            if now - record.time < LIVENESS_PERIODS * self.period:
                continue
            self._dead.append(record)
            ranges = self._usable(record, now) if self.resume else []
            if ranges:
                rank = (sum(progress.settled_keys for progress in ranges), record.time)
                if best is None or rank > best[0]:
                    best = rank, record, ranges
        if best is None:
            return []
        (self._resumed_keys, _), record, ranges = best
        self._tries = int(str(record.data["tries"])) + 1
        await self._write(ranges)
        await self._forget(record)
        return ranges

    def _usable(self, record: Record, now: float) -> list[RangeProgress]:
        data: Any = record.data
        if (
            data.get("format") != FORMAT
            or data.get("of") != self.settings_digest
            or now - record.time > MAX_AGE_SECONDS
        ):
            return []
        try:
            return (
                [RangeProgress.from_data(progress) for progress in data["legs"]]
                if int(data["tries"]) < MAX_RESUMPTIONS
                else []
            )
        except (KeyError, TypeError, ValueError):
            return []

    async def save(self, ranges: Sequence[RangeProgress]) -> None:
        """Write what is settled, if the period is over. Any range writes for all."""
        if self.clock.monotonic() - self._written >= self.period:
            await self._write(ranges)

    async def _write(self, ranges: Sequence[RangeProgress]) -> None:
        now, self._written = self.clock.now(), self.clock.monotonic()
        if sum(progress.settled_keys for progress in ranges) > self._resumed_keys:
            self._tries = 0
        data: dict[str, object] = {
            "format": FORMAT,
            "of": self.settings_digest,
            "tries": self._tries,
            "legs": [progress.data() for progress in ranges],
        }
        if len(json.dumps(data)) > MAX_RECORD_CHARACTERS:
            return
        self._own = Record(
            FINDER_CHECKPOINT, id=self.run, time=int(now), data=data, expires=int(now) + 2 * MAX_AGE_SECONDS
        )
        await self.ledger.record(self._own)

    async def clear(self) -> None:
        """Remove the records of this run and of those before it: the run is complete."""
        for record in [*self._dead, *([self._own] if self._own else [])]:
            await self.ledger.remove_record(record)
        self._dead.clear()

    async def _forget(self, record: Record) -> None:
        self._dead.remove(record)
        await self.ledger.remove_record(record)


def digest_settings(values: Sequence[object]) -> str:
    """Return 32 hexadecimal digits that tell the settings of runs apart."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]
