"""Reduce a failing history while it still fails: fewer acts, fewer faults, then fewer lines of its scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from tests.simulation.histories.findings import Failure
from tests.simulation.histories.plan import History, Modes
from tests.simulation.histories.result import Result
from tests.simulation.histories.simulation import simulate
from tests.simulation.histories.world import MakeFinder, MakeWorker, real_finder, real_worker
from tests.simulation.scenarios.stage import Stage

T = TypeVar("T")
SCHEDULES = 60
"""Schedules, that is seeds, which are tried per smaller history."""


class Shrinker:
    """Shrinks histories that fail in one way. `make_*` are as for `simulate`."""

    def __init__(
        self, failure: Failure, make_worker: MakeWorker = real_worker, make_finder: MakeFinder = real_finder
    ) -> None:
        self.failure = failure
        self.make_worker = make_worker
        self.make_finder = make_finder

    def fails(self, result: Result) -> bool:
        """Return True if the result has the wanted failure."""
        return any(f.failure is self.failure for f in result.wrong)

    def history(self, history: History) -> History:
        """Return the smallest failing history found, with the seed of the schedule in which it fails."""
        best = history
        for _ in range(3):
            before = best
            best = self._ops(best)
            best = self._modes(best)
            if best == before:
                break
        return best

    def scenario(self, history: History) -> list[str]:
        """Return the failing run as the fewest lines of a scenario that still fail; all if the replay does not fail."""
        lines = simulate(history, self.make_worker, self.make_finder, record=True).script
        if not self._lines_fail(lines):
            return ["# a run of the simulator, which does not fail when it is replayed:", *lines]
        return reduce(lines, self._lines_fail)

    def _lines_fail(self, lines: Sequence[str]) -> bool:
        stage = Stage(make_worker=self.make_worker, make_finder=self.make_finder, lenient=True)
        try:
            for line in lines:
                stage.perform(line)
            findings = stage.verdict()
        except Exception:
            return False
        return any(f.failure is self.failure and not f.excused for f in findings)

    def _try(self, candidate: History, schedules: int = SCHEDULES) -> History | None:
        for n in range(schedules):
            seed = candidate.seed if n == 0 else candidate.seed * 31 + n
            tried = replace(candidate, seed=seed)
            if self.fails(simulate(tried, self.make_worker, self.make_finder)):
                return tried
        return None

    def _ops(self, history: History) -> History:
        best = history
        size = max(1, len(best.ops) // 2)
        while size >= 1:
            start = 0
            while start < len(best.ops):
                ops = best.ops[:start] + best.ops[start + size :]
                smaller = self._try(replace(best, ops=ops)) if ops else None
                if smaller is None:
                    start += size
                else:
                    best = smaller
            size //= 2
        return best

    def _modes(self, history: History) -> History:
        best = history
        plain = Modes()
        for f in fields(Modes):
            if f.name == "expires" and any(op.kind == "expire" for op in best.ops):
                continue  # without it, the finder may take an expiry for a user's deletion, which is another failure
            value = getattr(plain, f.name)
            if getattr(best.modes, f.name) != value:
                simpler = self._try(replace(best, modes=replace(best.modes, **{f.name: value})))
                if simpler is not None:
                    best = simpler
        return best


def reduce(items: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Return the items without those that are not needed to fail, by removing smaller and smaller runs (ddmin)."""
    size = max(1, len(items) // 2)
    while True:
        removed = False
        start = 0
        while start < len(items):
            fewer = items[:start] + items[start + size :]
            if fewer and fails(fewer):
                items = fewer
                removed = True
            else:
                start += size
        if size == 1 and not removed:
            return items
        size = max(1, size // 2) if not removed or size > 1 else 1
