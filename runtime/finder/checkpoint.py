"""Where a finder's run is, kept in the ledger, so that the next one goes on there when this one dies.

A run writes one record under an id of its own, and takes over another's by copying it: two finders at once never write
the same record, and what one of them takes from the other only saves it the way. All that is in a record was settled at
one moment, so that an older one is as good as a newer one; it only makes more to do again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.model.records import FINDER_CHECKPOINT, Record
from dualsync.runtime.ports import Clock, Ledger

CHECKPOINT_INTERVAL_SECONDS = 30.0
"""Seconds between two records of a run; shorter runs leave none."""
LIVENESS_PERIODS = 3
"""So many periods after a record its run counts as living, and the record is left alone."""
MAX_AGE_SECONDS = 86400
"""Seconds after which a record is too old to go on from: what was compared would be out of date."""
MAX_RESUMPTIONS = 3
"""How often a run is taken up without getting on. Then it begins again, so that what stops it in one place does not
keep the others from being compared."""
MAX_RECORD_CHARACTERS = 350_000
"""Characters of a record at most (DynamoDB's largest item has 400 KB); a larger one is not written, and the one before
stands."""
FORMAT = 1


@dataclass(slots=True)
class Checkpoints:
    """The records of one run. `of` names the configuration under which alone a run may be continued."""

    ledger: Ledger
    clock: Clock
    run: str
    of: str
    period: float = CHECKPOINT_INTERVAL_SECONDS
    resume: bool = True
    _tries: int = 0
    _taken: int = 0
    """Keys settled by the run that was taken up."""
    _written: float = 0.0
    _own: Record | None = None
    _dead: list[Record] = field(default_factory=list)

    async def take_up(self) -> list[RangeProgress]:
        """The ranges of the run that died and had come furthest; none when there is nothing to continue."""
        now = self._written = self.clock.now()
        best: tuple[tuple[int, int], Record, list[RangeProgress]] | None = None
        async for record in self.ledger.records(FINDER_CHECKPOINT):
            if now - record.time < LIVENESS_PERIODS * self.period:
                continue
            self._dead.append(record)
            legs = self._usable(record, now) if self.resume else []
            if legs:
                rank = (sum(leg.settled_keys for leg in legs), record.time)
                if best is None or rank > best[0]:
                    best = rank, record, legs
        if best is None:
            return []
        (self._taken, _), record, legs = best
        self._tries = int(str(record.data["tries"])) + 1
        await self._write(legs)
        await self._forget(record)
        return legs

    def _usable(self, record: Record, now: float) -> list[RangeProgress]:
        data: Any = record.data
        if data.get("format") != FORMAT or data.get("of") != self.of or now - record.time > MAX_AGE_SECONDS:
            return []
        try:
            return [RangeProgress.of(leg) for leg in data["legs"]] if int(data["tries"]) < MAX_RESUMPTIONS else []
        except (KeyError, TypeError, ValueError):
            return []

    async def save(self, legs: Sequence[RangeProgress]) -> None:
        """Write down what is settled, if it is time to. One range writes for all."""
        if self.clock.now() - self._written >= self.period:
            await self._write(legs)

    async def _write(self, legs: Sequence[RangeProgress]) -> None:
        now = self._written = self.clock.now()
        if sum(leg.settled_keys for leg in legs) > self._taken:
            self._tries = 0
        data: dict[str, object] = {
            "format": FORMAT,
            "of": self.of,
            "tries": self._tries,
            "legs": [leg.data() for leg in legs],
        }
        if len(json.dumps(data)) > MAX_RECORD_CHARACTERS:
            return
        self._own = Record(
            FINDER_CHECKPOINT, id=self.run, time=int(now), data=data, expires=int(now) + 2 * MAX_AGE_SECONDS
        )
        await self.ledger.record(self._own)

    async def clear(self) -> None:
        """The run is over: nothing is to be continued, neither of it nor of those before."""
        for record in [*self._dead, *([self._own] if self._own else [])]:
            await self.ledger.remove_record(record)
        self._dead.clear()

    async def _forget(self, record: Record) -> None:
        self._dead.remove(record)
        await self.ledger.remove_record(record)
