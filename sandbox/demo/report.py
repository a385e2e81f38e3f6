"""Prints the demo's summary: the comparison, suppressed echoes, the conflict, and durations."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from dualsync.runtime.log import Outcome
from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import Comparison, Expected
from sandbox.demo.steps import Step
from sandbox.environment.journal import Journal


@dataclass(frozen=True)
class Result:
    """The data by which a run succeeds or fails."""

    comparison: Comparison
    """Both buckets, compared byte for byte."""

    expected: Expected
    """Writes and deletions of users."""

    writes: int
    """Objects that users wrote."""

    deletions: int
    """Objects that users deleted."""

    journal: Journal
    """Log lines of workers and finders."""

    conflict_won: bool
    """Whether both sides hold the newer version of the key that was written on both."""

    foreign_kept: bool
    """Whether the other team's notification is unchanged."""

    dead_letters: dict[SideName, int]
    """Messages in the dead-letter queues."""

    killed: bool
    """Whether a worker was killed."""

    seconds: float
    """Time from the first upload until the queues were empty."""

    steps: Sequence[Step]
    """Steps with their durations."""

    def failures(self) -> list[str]:
        """Return the faults, one line each."""
        counts = self.journal.counts()
        found = list(self.comparison.differences)
        wrong = {side: n for side, n in self.comparison.objects.items() if n != len(self.expected.contents)}
        if wrong:
            there = ", ".join(f"{n} on {side}" for side, n in wrong.items())
            found.append(f"{len(self.expected.contents)} objects were expected on each side, but there are {there}")
        if not self.journal.conflicts():
            found.append("the deliberate conflict was not detected")
        if not self.conflict_won:
            found.append("the newer version of the conflict is not on both sides")
        if not counts[Outcome.CANCELLED]:
            found.append("no echo was suppressed: the guard did not work")
        if not self.foreign_kept:
            found.append("the notification of another team is gone")
        if any(self.dead_letters.values()):
            found.append("dead letters: " + ", ".join(f"{n} on {side}" for side, n in self.dead_letters.items()))
        # A killed worker may have written what it had not yet recorded; otherwise each change is copied once.
        copies = counts[Outcome.COPIED] + counts[Outcome.PULLED]
        if not self.killed and copies > self.writes:
            found.append(f"{copies} copies were made of {self.writes} writes by users: an echo was copied back")
        return found


def show(console: Console, result: Result) -> None:
    """Print the summary and every failure."""
    counts = result.journal.counts()
    lags = sorted(result.journal.lags())
    conflicts = result.journal.conflicts()
    objects = ", ".join(f"{side} {n}" for side, n in result.comparison.objects.items())
    same = "[red]different[/]" if result.comparison.differences else "[green]equal[/]"
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("objects", objects)
    table.add_row("comparison", f"{same}: {result.comparison.bytes / 1e6:.1f} MB read on each side")
    table.add_row("written by users", f"{result.writes} objects, {result.deletions} deletions")
    table.add_row("synced", f"{counts[Outcome.COPIED]} copied, {counts[Outcome.DELETED]} deleted at the peer")
    table.add_row("echoes suppressed", f"{counts[Outcome.CANCELLED]} (“Repeated transfer job!”)")
    keys = sorted({str(line["key"]) for line in conflicts})
    winner = f"the newer version, from {SideName.GLOBAL}, won" if result.conflict_won else "[red]the newer lost[/]"
    table.add_row("conflicts", f"{len(keys)} ({', '.join(keys)}): {winner}" if keys else "none")
    if lags:
        p99 = lags[min(len(lags) - 1, int(len(lags) * 0.99))]
        table.add_row("delay", f"median {statistics.median(lags):.2f} s, 99th percentile {p99:.2f} s")
    table.add_row("other team's notification", "unchanged" if result.foreign_kept else "[red]gone[/]")
    total = sum(step.seconds for step in result.steps)
    table.add_row("took", f"{result.seconds:.0f} s from the first upload, {total:.0f} s in all")
    console.print()
    console.print(table)
    for failure in result.failures()[:20]:
        console.print("[red]✗[/]", end=" ")
        console.print(failure, markup=False)
    good = not result.failures()
    console.print("[bold green]Both sides are the same.[/]" if good else "[bold red]The run failed.[/]")
