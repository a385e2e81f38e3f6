"""Read and perform scenario files, each of which holds stories of a title and lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.scenarios.stage import Stage

FOLDER = Path(__file__).parent
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story: its title and lines, and its place (`file`, `line`)."""

    file: str
    line: int
    title: str
    lines: tuple[str, ...]

    def perform(self) -> Stage:
        """Perform all lines. Raises `ScenarioError`."""
        return perform(*self.lines)


def perform(*lines: str) -> Stage:
    """Perform lines on a new stage and return it. Raises `ScenarioError`."""
    stage = Stage()
    for line in lines:
        for one in expand(line):
            stage.perform(one)
    return stage


def expand(line: str) -> list[str]:
    """Return one line per number of the line's range `{a..b}`, or the line itself if it has none."""
    found = _RANGE.search(line)
    if not found:
        return [line]
    return [_RANGE.sub(str(n), line) for n in range(int(found[1]), int(found[2]) + 1)]


def scenarios(folder: Path = FOLDER) -> list[Scenario]:
    """Return all stories of a folder's files."""
    found = []
    for path in sorted(folder.glob("*.scenario")):
        title, start, lines = "", 0, list[str]()
        for number, line in enumerate([*path.read_text().splitlines(), "= "], 1):
            if line.startswith("= "):
                if title:
                    found.append(Scenario(path.name, start, title, tuple(lines)))
                title, start, lines = line[2:].strip(), number, []
            elif line.strip():
                lines.append(line)
    return found
