"""What a simulation came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.histories.model import Finding


@dataclass(slots=True)
class Result:
    """How a history went. `healed` names what was wrong until a finder pass; `counts` what happened."""

    findings: list[Finding]
    healed: list[Finding]
    counts: Counter[str]
    steps: int
    script: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[Finding]:
        """Findings under no documented exception."""
        return [f for f in self.findings if not f.excused]
