"""Run random histories: `python -m tests.simulation.histories N` runs the seeds 0 to N-1 on all cores.

`--seed S` shrinks the history of one failing seed to a scenario.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.histories.plan import draw
from tests.simulation.histories.shrink import Shrinker
from tests.simulation.histories.simulation import simulate
from tests.support.interrupts import ignore_interrupt

CHUNK = 50
LOGGED = 5000
"""Histories between two lines of progress in a log file, where they are not overwritten."""
FIXED = Path(__file__).parent / "seeds.txt"
"""Seeds that once failed, which every run includes before all others."""


@dataclass(slots=True)
class Tally:
    """The results of several histories. `failures` counts histories, not findings."""

    histories: int = 0
    operations: int = 0
    steps: int = 0
    healed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, str]] = field(default_factory=list)

    def run(self, seed: int, length: int) -> None:
        """Run one history and add its result."""
        history = draw(seed, length)
        result = simulate(history)
        self.histories += 1
        self.operations += len(history.ops)
        self.steps += result.steps
        self.healed += bool(result.healed)
        self.faults.update(history.modes.faults() or ["none"])
        self.happened.update(result.counts)
        wrong = result.wrong
        self.failures.update({str(f.failure) for f in wrong})
        self.excused.update({f"{f.failure}, {f.excused}" for f in result.findings if f.excused})
        if wrong:
            self.failed.append((seed, str(wrong[0])))

    def add(self, other: Tally) -> None:
        """Add the results of other histories."""
        for name in ("histories", "operations", "steps", "healed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("faults", "happened", "failures", "excused"):
            getattr(self, name).update(getattr(other, name))
        self.failed.extend(other.failed)

    def lines(self, seconds: float) -> Iterator[str]:
        """Return the report as lines of text."""
        yield f"{self.histories:,} histories, {self.operations:,} operations, {self.steps:,} calls interrupted,"
        yield f"{seconds:.0f} s, {self.histories / max(seconds, 1e-9):.0f} histories per second"
        yield from _table("histories with", self.faults)
        yield from _table("acts and faults", self.happened)
        yield f"\ncorrected only by the finder, without a lost event: {self.healed}"
        yield from _table("documented exceptions (docs/consistency.md)", self.excused)
        yield from _table("failures", self.failures)
        if not self.failed:
            yield "  none"
        for seed, text in sorted(self.failed)[:20]:
            yield f"  seed {seed}: {text[:160]}"


def _table(title: str, counts: Counter[str]) -> Iterator[str]:
    yield f"\n{title}:"
    for name, count in counts.most_common():
        yield f"  {count:>12,}  {name}"


def fixed_seeds() -> list[int]:
    """Return the seeds that once failed. Each line of the file is a seed and, after `#`, what it showed."""
    return [int(line.split("#")[0]) for line in FIXED.read_text().splitlines() if line.split("#")[0].strip()]


def _chunk(job: tuple[range, int]) -> Tally:
    tally = Tally()
    for seed in job[0]:
        tally.run(seed, job[1])
    return tally


def run(start: int, count: int, length: int, processes: int) -> Tally:
    """Run `count` seeds from `start`, with progress on stderr: in place on a terminal, else one line per `LOGGED`."""
    total = Tally()
    jobs = [(range(s, min(s + CHUNK, start + count)), length) for s in range(start, start + count, CHUNK)]
    began = time.monotonic()
    with multiprocessing.Pool(processes, initializer=ignore_interrupt) as pool:
        try:
            for tally in pool.imap_unordered(_chunk, jobs):
                total.add(tally)
                for seed, text in tally.failed:
                    sys.stderr.write(f"\rseed {seed}: {text[:160]}\n")
                rate = total.histories / (time.monotonic() - began)
                done = f"{total.histories:,} of {count:,}  {rate:.0f}/s  {len(total.failed)} failed "
                if sys.stderr.isatty():
                    sys.stderr.write(f"\r{done}")
                elif total.histories // LOGGED > (total.histories - tally.histories) // LOGGED:
                    sys.stderr.write(f"{done}\n")
                sys.stderr.flush()
        except KeyboardInterrupt:
            sys.stderr.write("interrupted: the report covers the histories so far")
    sys.stderr.write("\n")
    return total


def shrink(seed: int, length: int) -> str:
    """Return the failing history as a scenario for `tests/simulation/scenarios/`."""
    history = draw(seed, length)
    wrong = simulate(history).wrong
    if not wrong:
        return f"# seed {seed} does not fail"
    shrinker = Shrinker(wrong[0].failure)
    small = shrinker.history(history)
    lines = shrinker.scenario(small)
    return "\n".join((f"# seed {seed}: {wrong[0]}", *lines, "finders", "expect right"))


def main() -> int:
    """Run the command and return its exit code: 0 if no history failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.histories", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=1000, help="number of histories")
    parser.add_argument("--start", type=int, default=0, help="first seed")
    parser.add_argument("--length", type=int, default=30, help="acts per history")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="shrink this seed and print its scenario")
    options = parser.parse_args()
    write = sys.stdout.write
    if options.seed is not None:
        write(shrink(options.seed, options.length) + "\n")
        return 0
    began = time.monotonic()
    tally = Tally()
    for seed in fixed_seeds():
        tally.run(seed, options.length)
    tally.add(run(options.start, options.count, options.length, options.processes))
    for line in tally.lines(time.monotonic() - began):
        write(line + "\n")
    if tally.failed:
        write("\nthe lowest failing seed, shrunk:\n" + shrink(min(tally.failed)[0], options.length) + "\n")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
