"""`python -m sandbox drill`: every case, or those that are named; a report, and an exit code that judges."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from tests.e2e.drill import crash_loop, dead_letters, mass_changes, outages
from tests.e2e.drill.case import Case, Sizes, played
from tests.e2e.drill.case_report import Told, show

CASES: dict[str, Case] = {
    case.name: case for case in (*outages.CASES, *dead_letters.CASES, *mass_changes.CASES, *crash_loop.CASES)
}


def run(names: Sequence[str], sizes: Sizes) -> int:
    """Play the cases; 0 when every one behaved."""
    console = Console(highlight=False, soft_wrap=True)
    told: list[Told] = []
    for name in names or CASES:
        case = CASES[name]
        with console.status(f"{case.title} …") if console.is_terminal else console.capture():
            told.append(played(case, sizes))
        show(console, told[-1])
    bad = [one.name for one in told if not one.good]
    seconds = sum(one.seconds for one in told)
    console.print()
    if bad:
        console.print(f"[bold red]{len(bad)} of {len(told)} did not behave: {', '.join(bad)}[/] ({seconds:.0f} s)")
    else:
        console.print(f"[bold green]All {len(told)} behaved; both sides are the same after each.[/] ({seconds:.0f} s)")
    return 1 if bad else 0
