"""Run all cases, or those that are named; print a report per case and a summary."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tests.e2e.drill import attacks, crash_loop, dead_letters, mass_changes, network, outages
from tests.e2e.drill.case import Case, Sizes, play_case
from tests.e2e.drill.case_report import CaseReport, show

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        *outages.CASES,
        *network.CASES,
        *dead_letters.CASES,
        *attacks.CASES,
        *mass_changes.CASES,
        *crash_loop.CASES,
    )
}


def run(names: Sequence[str], sizes: Sizes) -> int:
    """Run the cases and return the exit code: 0 when every one passed."""
    console = Console(highlight=False, soft_wrap=True)
    reports: list[CaseReport] = []
    for name in names or CASES:
        case = CASES[name]
        with console.status(f"{case.title} …") if console.is_terminal else console.capture():
            reports.append(play_case(case, sizes))
        show(console, reports[-1])
    bad = [one.name for one in reports if not one.good]
    seconds = sum(one.seconds for one in reports)
    console.print()
    if bad:
        console.print(f"[bold red]{len(bad)} of {len(reports)} cases failed: {', '.join(bad)}[/] ({seconds:.0f} s)")
    else:
        passed = "The case" if len(reports) == 1 else f"All {len(reports)} cases"
        console.print(f"[bold green]{passed} passed; both sides were equal afterwards.[/] ({seconds:.0f} s)")
    return 1 if bad else 0
