"""What a finder's run saw and did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.merge import MergeCounters


@dataclass(slots=True)
class Report:
    """What a run saw and did; counts of keys. `unseeded` are those of the young that are equal and have no entry;
    `archived` are differences that wait for a restore (`dualsync.runtime.finder.archived`); `deletions` are all that
    were found,
    `held` those that wait for a person."""

    tally: MergeCounters = field(default_factory=MergeCounters)
    found: Counter[Difference] = field(default_factory=Counter)
    queued: int = 0
    agreed: int = 0
    young: int = 0
    unseeded: int = 0
    archived: int = 0
    deletions: int = 0
    held: int = 0
    reason: str = ""

    def data(self) -> dict[str, object]:
        """For the log and the run's record."""
        return {
            "here": self.tally.here,
            "there": self.tally.there,
            "equal": self.tally.equal,
            "found": {str(k): v for k, v in self.found.items()},
            "queued": self.queued,
            "agreed": self.agreed,
            "young": self.young,
            "archived": self.archived,
            "held": self.held,
        }

    @classmethod
    def of(cls, parts: Iterable[Report]) -> Report:
        """All of them together."""
        whole = cls()
        for part in parts:
            whole.tally.here += part.tally.here
            whole.tally.there += part.tally.there
            whole.tally.equal += part.tally.equal
            whole.queued += part.queued
            whole.agreed += part.agreed
            whole.young += part.young
            whole.unseeded += part.unseeded
            whole.archived += part.archived
            whole.deletions += part.deletions
            whole.found.update(part.found)
        return whole
