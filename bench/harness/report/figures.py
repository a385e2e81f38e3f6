"""Figures with their targets and peers, as a table for the terminal and a page of the documentation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.harness.report import machine
from bench.harness.report.plot import Chart, svg, text

_NAMES = ("", "measured", "target", "", "peers, on the same servers")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    what: str
    """What it measures."""
    value: float
    """The number; the median of `rounds` if there are any."""
    unit: str
    """Its unit."""
    target: float | None = None
    """A number that it must not exceed, or with `more` must reach; None for a figure without a target."""
    more: bool = False
    """More is better."""
    peers: Mapping[str, float | None] = field(default_factory=dict)
    """The same figure of the peers by name, None when missing."""
    rounds: Sequence[float] = ()
    """The median of each round, if it was measured in several; the target is met only if each of them meets it."""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return all(
            value >= self.target if self.more else value <= self.target for value in (self.rounds or [self.value])
        )

    def row(self) -> tuple[str, str, str, str, str]:
        sign = "≥" if self.more else "≤"
        target = "" if self.target is None else f"{sign} {text(self.target)} {self.unit}".rstrip()
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        spread = f" ({text(min(self.rounds))} to {text(max(self.rounds))})" if len(self.rounds) > 1 else ""
        others = (f"{who} {'missing' if value is None else text(value)}" for who, value in self.peers.items())
        return self.what, f"{text(self.value)} {self.unit}".rstrip() + spread, target, verdict, "; ".join(others)


def over_rounds(
    what: str,
    rounds: Sequence[Sequence[float]],
    unit: str,
    target: float | None = None,
    *,
    more: bool = False,
    peers: Mapping[str, float | None] | None = None,
) -> Figure:
    """Return the figure of several rounds with several measurements each."""
    medians = [statistics.median(values) for values in rounds if values]
    return Figure(what, statistics.median(medians), unit, target, more, peers or {}, medians)


@dataclass(frozen=True, slots=True)
class Section:
    """A benchmark's figures."""

    title: str
    """Its heading."""
    figures: Sequence[Figure]
    """All figures."""
    bars: Sequence[tuple[str, float]] = ()
    """Program and value of a chart in which more is better."""
    bars_title: str = ""
    """Title of that chart; the heading if it is empty."""
    notes: Sequence[str] = ()
    """How it was done, and what was missing."""
    charts: Sequence[Chart] = ()
    """Further charts."""

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
        "The real worker and finder over servers on one machine, all of them behind TLS: versitygw for S3, ElasticMQ"
        " for SQS, and a table in memory that is part of the benchmark"
        " ([why](decisions/2026-11-28-benchmark-servers.md)). The peers run over the same objects and servers,"
        " alternating with ours. The servers share the machine's cores with what is measured, unless a figure says"
        " otherwise. Rates depend on the machine; CPU per object, requests per object, and ratios to the peers in the"
        " same run depend on it less.",
        "",
        "A figure is the median of its rounds, with the lowest and the highest round's median in brackets. A target is"
        " met only if every round's median meets it.",
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
