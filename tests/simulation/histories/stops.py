"""Run histories with stopped processes and equal bytes.

`python -m tests.simulation.histories.stops N` counts wrong ends in N histories, without and with stops. Users act
eight seconds apart on average, and half of their writes have the same bytes. Without stops, almost nothing interferes
in such a history, so the effect of a process that acts on reads from before a stop is visible.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from random import Random

from tests.simulation.histories.findings import Excuse
from tests.simulation.histories.plan import History, Modes, draw
from tests.simulation.histories.simulation import simulate

LENGTH = 12
"""Acts per history."""
GAP_SECONDS = 8.0
"""Mean seconds between two acts."""
STOP = 0.04
"""Chance of a stop per call."""
CONTENT = "edit lost", "wrong winner", "diverged", "stale version back", "deletion undone"
"""Failures that change content."""


def stopped(seed: int, stop: float = STOP) -> History:
    """Return the history of this seed."""
    plain, random, at = draw(seed, LENGTH), Random(seed), 0.0
    ops = []
    for op in plain.ops:
        if op.kind not in ("put", "delete", "multipart"):
            continue
        at += random.expovariate(1 / GAP_SECONDS)
        same = op.kind == "put" and random.random() < 0.5
        ops.append(replace(op, at=at, bytes_of="same" if same else op.bytes_of))
    usual = plain.modes
    modes = Modes(
        workers=usual.workers, latency=0.03, delivery=0.3, stop=stop, policy=usual.policy, prefix=usual.prefix
    )
    return replace(plain, ops=tuple(ops), modes=modes)


def count(seeds: range, stop: float = STOP) -> Counter[str]:
    """Return how many histories were run, went wrong, and showed an effect of equal bytes."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        result = simulate(stopped(seed, stop))
        counts["histories"] += 1
        counts["stops"] += result.counts["stalled"]
        counts["wrong"] += bool(result.wrong)
        counts["equal bytes"] += any(
            finding.excused == Excuse.SAME_BYTES and finding.failure in CONTENT for finding in result.findings
        )
    return counts


if __name__ == "__main__":
    number = int(sys.argv[1])
    for chance in (0.0, STOP):
        sys.stdout.write(f"stops {chance}: {dict(count(range(number), chance))}\n")
