"""Figures beside their targets and peers: as a table for people, a page and a plot for the docs."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from os import cpu_count
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `target` is a limit: a number that it must not exceed, or with `more` must reach."""

    what: str
    value: float
    unit: str
    target: float | None = None
    more: bool = False

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.more else self.value <= self.target

    def row(self) -> tuple[str, str, str, str]:
        sign = "≥" if self.more else "≤"
        target = "" if self.target is None else f"{sign} {_text(self.target)} {self.unit}".rstrip()
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return self.what, f"{_text(self.value)} {self.unit}".rstrip(), target, verdict


@dataclass(frozen=True, slots=True)
class Section:
    """A benchmark's figures; `bars` are (who, value) for the plot; `notes` say what was missing or how it was done."""

    title: str
    figures: Sequence[Figure]
    bars: Sequence[tuple[str, float]] = ()
    bars_title: str = ""
    notes: Sequence[str] = ()


def _text(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 10 else f"{value:.1f}"


def table(section: Section) -> str:
    """For the terminal."""
    rows = [("", "measured", "target", "")] + [figure.row() for figure in section.figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([section.title, *(f"  {line}" for line in lines), *(f"  ({note})" for note in section.notes), ""])


def page(sections: Sequence[Section], plot: str, *, quick: bool) -> str:
    """A page of Markdown with everything that was measured, and where."""
    parts = [
        "# Benchmarks",
        "",
        "Written by `make bench`: do not edit. The real worker and finder, run over real servers of one machine"
        " (versitygw for S3, ElasticMQ, DynamoDB Local), which share its cores with what is measured. Absolute rates"
        " say little of another machine; ratios to the peers, CPU and requests an object do.",
        "",
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {cpu_count()} cores, {platform.machine()}, Python"
        f" {platform.python_version()}{', the quick version' if quick else ''}.",
        "",
        f"![plot]({plot})",
        "",
    ]
    for section in sections:
        parts += [f"## {section.title}", "", "| | measured | target | |", "|---|---|---|---|"]
        parts += ["| " + " | ".join(figure.row()) + " |" for figure in section.figures]
        parts += ["", *(f"- {note}" for note in section.notes), ""]
    return "\n".join(parts).rstrip() + "\n"


def svg(sections: Sequence[Section]) -> str:
    """Bars of all sections that have some; longer is more."""
    y, items = 10, []
    for section in sections:
        if not section.bars:
            continue
        y += 26
        items.append(f'<text x="10" y="{y}" class="t">{escape(section.bars_title or section.title)}</text>')
        most = max(value for _, value in section.bars) or 1
        for who, value in section.bars:
            y += 24
            width = max(1.0, 380 * value / most)
            kind = "ours" if who.startswith("dualsync") else "peer"
            items.append(f'<text x="200" y="{y}" class="w">{escape(who)}</text>')
            items.append(f'<rect x="208" y="{y - 13}" width="{width:.0f}" height="17" class="{kind}"/>')
            items.append(f'<text x="{214 + width:.0f}" y="{y}" class="v">{_text(value)}</text>')
        y += 10
    style = "text{font:13px sans-serif;fill:#444}.t{font-weight:bold}.w{text-anchor:end}"
    style += ".ours{fill:#2a6fb0}.peer{fill:#b9c3cc}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{y + 20}"><style>{style}</style>'
        '<rect width="100%" height="100%" fill="white"/>' + "".join(items) + "</svg>\n"
    )


def write(sections: Sequence[Section], folder: Path, *, quick: bool) -> Path:
    """`benchmarks.md` and `benchmarks.svg` in `folder`."""
    (folder / "benchmarks.svg").write_text(svg(sections))
    target = folder / "benchmarks.md"
    target.write_text(page(sections, "benchmarks.svg", quick=quick))
    return target
