"""The tables of docs/consistency.md name every mutant and every exception that the tests know, and no other."""

from __future__ import annotations

from tests.docs.pages import FOLDER
from tests.simulation.exploration.test_mutants import CAUGHT
from tests.simulation.histories.findings import Excuse
from tests.simulation.histories.mutants import MUTANTS


def table(heading: str) -> list[list[str]]:
    """Return the rows of the first table below a heading, without its head."""
    text = (FOLDER / "consistency.md").read_text().split(f"\n{heading}\n")[1]
    lines = text[text.index("\n|") :].strip().splitlines()
    end = next((at for at, line in enumerate(lines) if not line.startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:end]]


def test_every_mutant_is_in_the_table_under_the_methods_that_catch_it() -> None:
    rows = [(row[0].split(", "), row[2]) for row in table("### Mutants by method")]
    assert sorted(name for names, _ in rows for name in names) == sorted(mutant.name for mutant in MUTANTS)
    explored = {name for names, exploration in rows if exploration.startswith("yes") for name in names}
    assert explored == {caught.mutant for caught in CAUGHT}


def test_every_exception_is_in_the_table() -> None:
    assert sorted(row[0] for row in table("## Exceptions")) == sorted(Excuse)
