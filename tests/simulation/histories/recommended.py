"""Run histories of the recommended set-up: versioning on both sides, and no event or ledger is lost.

`python -m tests.simulation.histories.recommended N` counts which exceptions remain in N histories. All other faults of
`plan.draw` occur: late, repeated and forged messages, killed and stopped workers, throttling, encryption.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

from tests.simulation.histories.plan import History, draw
from tests.simulation.histories.simulation import simulate

LENGTH = 30
"""Acts per history."""
LOSSES = frozenset({"forget", "restore"})
"""Acts after which a ledger lacks entries."""


def recommended(seed: int) -> History:
    """Return the history of this seed in the recommended set-up."""
    plain = draw(seed, LENGTH)
    windows = tuple(window for window in plain.modes.windows if window.kind != "unsubscribed")
    modes = replace(plain.modes, versioning=("Enabled", "Enabled"), lose=0.0, windows=windows)
    return replace(plain, ops=tuple(op for op in plain.ops if op.kind not in LOSSES), modes=modes)


def count(seeds: range) -> Counter[str]:
    """Return how many histories were run and went wrong, and how many showed each exception."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        result = simulate(recommended(seed))
        counts["histories"] += 1
        counts["wrong"] += bool(result.wrong)
        counts.update({finding.excused for finding in result.findings if finding.excused})
    return counts


if __name__ == "__main__":
    for name, number in count(range(int(sys.argv[1]))).most_common():
        sys.stdout.write(f"{number:>8,}  {name}\n")
