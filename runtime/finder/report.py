"""The result of a finder run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.merge import MergeCounters


@dataclass(slots=True)
class Report:
    """Counts of keys that a run compared, found to differ, and queued."""

    counters: MergeCounters = field(default_factory=MergeCounters)
    """Compared keys."""

    found: Counter[Difference] = field(default_factory=Counter)
    """Differences by kind."""

    queued: int = 0
    """Messages sent."""

    agreed: int = 0
    """Equal keys that got their ledger entry."""

    young: int = 0
    """Differences that are left to their events, because they are younger than the grace period."""

    unseeded: int = 0
    """Those of the young ones that are equal and have no entry."""

    archived: int = 0
    """Differences that wait for a restore (`dualsync.runtime.finder.archived`)."""

    waiting: int = 0
    """Differences that an earlier run has queued (`dualsync.runtime.finder.queued_keys`)."""

    failed: int = 0
    """Keys whose comparison failed; the log has their errors."""

    deletions: int = 0
    """Deletions among the differences."""

    held: int = 0
    """Deletions that wait for an operator's approval."""

    reason: str = ""
    """Why they are held; empty if none is."""

    def data(self) -> dict[str, object]:
        """Return the counts for the log and the run's record."""
        return {
            "here": self.counters.here,
            "there": self.counters.there,
            "equal": self.counters.equal,
            "found": {str(k): v for k, v in self.found.items()},
            "queued": self.queued,
            "agreed": self.agreed,
            "young": self.young,
            "archived": self.archived,
            "waiting": self.waiting,
            "failed": self.failed,
            "held": self.held,
        }

    @classmethod
    def sum_of(cls, parts: Iterable[Report]) -> Report:
        """Return the sum of the ranges' reports."""
        whole = cls()
        for part in parts:
            whole.counters.here += part.counters.here
            whole.counters.there += part.counters.there
            whole.counters.equal += part.counters.equal
            whole.queued += part.queued
            whole.agreed += part.agreed
            whole.young += part.young
            whole.unseeded += part.unseeded
            whole.archived += part.archived
            whole.waiting += part.waiting
            whole.failed += part.failed
            whole.deletions += part.deletions
            whole.found.update(part.found)
        return whole
