"""The demo's end for people: what is the same, what was suppressed, who won, how long it took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from dualsync.runtime.log import Outcome
from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import Comparison, Expected
from sandbox.demo.journal import Journal


@dataclass(frozen=True)
class Step:
    """One thing that was done, and how long it took."""

    text: str
    seconds: float


@dataclass(frozen=True)
class Result:
    """Everything that a run is judged by."""

    comparison: Comparison
    expected: Expected
    writes: int
    deletions: int
    journal: Journal
    conflict_won: bool
    foreign_kept: bool
    dead_letters: dict[SideName, int]
    killed: bool
    seconds: float
    steps: Sequence[Step]

    def failures(self) -> list[str]:
        """What is wrong, one line each; empty for a good run."""
        counts = self.journal.counts()
        found = list(self.comparison.differences)
        wrong = {side: n for side, n in self.comparison.objects.items() if n != len(self.expected.contents)}
        if wrong:
            found.append(f"{len(self.expected.contents)} objects were expected on each side, there are {wrong}")
        if not self.journal.conflicts():
            found.append("the conflict made on purpose was not seen as one")
        if not self.conflict_won:
            found.append("the conflict was not won by the newer version on both sides")
        if not counts[Outcome.CANCELLED]:
            found.append("no echo was suppressed: the loop guard was not at work")
        if not self.foreign_kept:
            found.append("the notification of another team is gone")
        if any(self.dead_letters.values()):
            found.append(f"dead letters: {self.dead_letters}")
        # A killed worker may have written what it had not yet recorded; otherwise each change travels once.
        travelled = counts[Outcome.COPIED] + counts[Outcome.PULLED]
        if not self.killed and travelled > self.writes:
            found.append(f"{travelled} copies were made of {self.writes} writes by users: something was copied back")
        return found


def show(console: Console, result: Result) -> None:
    """Print the summary."""
    counts = result.journal.counts()
    lags = sorted(result.journal.lags())
    conflicts = result.journal.conflicts()
    objects = ", ".join(f"{side} {n}" for side, n in result.comparison.objects.items())
    same = "[red]different[/]" if result.comparison.differences else "[green]the same[/]"
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("objects", objects)
    table.add_row("comparison", f"{same}: {result.comparison.bytes / 1e6:.1f} MB read on each side")
    table.add_row("written by users", f"{result.writes} objects, {result.deletions} deletions")
    table.add_row("travelled", f"{counts[Outcome.COPIED]} copied, {counts[Outcome.DELETED]} deleted at the peer")
    table.add_row("echoes suppressed", f"{counts[Outcome.CANCELLED]} (“Repeated transfer job!”)")
    keys = sorted({str(line["key"]) for line in conflicts})
    winner = f"{SideName.GLOBAL} won, as the newer" if result.conflict_won else "[red]not won by the newer[/]"
    table.add_row("conflicts", f"{len(keys)} ({', '.join(keys) or 'none'}): {winner}")
    if lags:
        p99 = lags[min(len(lags) - 1, int(len(lags) * 0.99))]
        table.add_row("delay", f"median {statistics.median(lags):.2f} s, 99th percentile {p99:.2f} s")
    table.add_row("other's notification", "still there" if result.foreign_kept else "[red]gone[/]")
    total = sum(step.seconds for step in result.steps)
    table.add_row("took", f"{result.seconds:.0f} s from the first upload, {total:.0f} s in all")
    console.print()
    console.print(table)
    for failure in result.failures()[:20]:
        console.print("[red]✗[/]", end=" ")
        console.print(failure, markup=False)
    good = not result.failures()
    console.print("[bold green]Both sides are the same.[/]" if good else "[bold red]The run failed.[/]")
