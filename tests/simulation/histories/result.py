"""Represent the result of a simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.histories.findings import Finding


@dataclass(slots=True)
class Result:
    """The result of one history: `healed` is what a finder run corrected, `counts` the number of acts and faults."""

    findings: list[Finding]
    healed: list[Finding]
    counts: Counter[str]
    steps: int
    script: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[Finding]:
        """Return the findings to which no documented exception applies."""
        return [f for f in self.findings if not f.excused]
