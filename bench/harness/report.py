"""Figures with their targets and peers, as a table for the terminal and a page of the documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.harness import machine
from bench.harness.plot import Chart, svg, text

_NAMES = ("", "measured", "target", "", "peers, on the same servers")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `target` is a limit: a number that it must not exceed, or with `more` must reach. `peers`
    have the same figure by name, None when missing; `runs` are all measurements where there were several."""

    what: str
    value: float
    unit: str
    target: float | None = None
    more: bool = False
    peers: Mapping[str, float | None] = field(default_factory=dict)
    runs: Sequence[float] = ()

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.more else self.value <= self.target

    def row(self) -> tuple[str, str, str, str, str]:
        sign = "≥" if self.more else "≤"
        target = "" if self.target is None else f"{sign} {text(self.target)} {self.unit}".rstrip()
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        spread = f" ({text(min(self.runs))} to {text(max(self.runs))})" if len(self.runs) > 1 else ""
        others = (f"{who} {'missing' if value is None else text(value)}" for who, value in self.peers.items())
        return self.what, f"{text(self.value)} {self.unit}".rstrip() + spread, target, verdict, "; ".join(others)


@dataclass(frozen=True, slots=True)
class Section:
    """A benchmark's figures; `bars` are (who, value) for the plot, more is better; `charts` are more of the plot;
    `notes` say what was missing or how it was done."""

    title: str
    figures: Sequence[Figure]
    bars: Sequence[tuple[str, float]] = ()
    bars_title: str = ""
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()

    def drawn(self) -> list[Chart]:
        """Return all charts of the benchmark."""
        own = [Chart(self.bars_title or self.title, self.bars)] if self.bars else []
        return [*own, *self.charts]


def table(section: Section) -> str:
    """Print the figures to the terminal."""
    rows = [_NAMES, *(figure.row() for figure in section.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_NAMES))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([section.title, *(f"  {line}" for line in lines), *(f"  ({note})" for note in section.notes), ""])


def page(sections: Sequence[Section], plot: str, *, quick: bool, command: str) -> str:
    """Write a page of Markdown with all figures, their method and the machine."""
    figures = [figure for section in sections for figure in section.figures if figure.met is not None]
    missed = [figure.what for figure in figures if not figure.met]
    verdict = f"{len(figures) - len(missed)} of {len(figures)} targets are met"
    parts = [
        "# Benchmarks",
        "",
        "The real worker and finder over real servers on one machine: versitygw for S3, ElasticMQ for SQS, DynamoDB"
        " Local. The peers run over the same objects and servers, alternating with ours. The servers"
        " share the machine's cores with what is measured: rates say little of another machine; CPU and requests an"
        " object, and ratios to the peers, do.",
        "",
        f"This page is written by `{command}`: run it again rather than edit it.",
        "",
    ]
    if quick:
        parts += ["!!! warning\n    Written by a quick run: for the harness, not for its figures.", ""]
    parts += [f"**{verdict}.**" + (f" Missed: {'; '.join(missed)}." if missed else ""), ""]
    parts += [f"![Figures beside those of the peers]({plot})", ""]
    for section in sections:
        parts += [f"## {section.title}", "", "| " + " | ".join(_NAMES) + " |", "|---|---|---|---|---|"]
        parts += ["| " + " | ".join(_marked(figure.row())) + " |" for figure in section.figures]
        parts += ["", *(f"- {note[:1].upper()}{note[1:]}." for note in section.notes), ""]
    parts += ["## Where and with what", "", f"Measured on {datetime.now(UTC):%Y-%m-%d}.", "", "| | |", "|---|---|"]
    parts += [f"| {name} | {value} |" for name, value in machine.facts().items()]
    return "\n".join(parts).rstrip() + "\n"


def _marked(row: Sequence[str]) -> list[str]:
    return [f"**{cell}**" if cell == "MISSED" else cell.strip().replace("|", "\\|") for cell in row]


def write(sections: Sequence[Section], folder: Path, *, quick: bool, command: str = "make bench") -> Path:
    """Write `benchmarks.md` and `benchmarks.svg` into `folder`."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / "benchmarks.svg").write_text(svg([chart for section in sections for chart in section.drawn()]))
    target = folder / "benchmarks.md"
    target.write_text(page(sections, "images/benchmarks.svg", quick=quick, command=command))
    return target
