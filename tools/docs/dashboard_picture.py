"""The deployed dashboard as a picture: its own document, drawn from what was measured in the sandbox.

Widgets stand where the document places them, with its titles, lines, labels and statistics. Only the period is another
one: a sandbox lives for a minute or two, a dashboard's points are a minute apart.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.cloudwatch.alarms import judge
from sandbox.cloudwatch.metrics import Metric, Readings
from sandbox.cloudwatch.watch import Watch

POINTS = 60
"""About so many points a line."""
COLUMN, ROW = 0.6, 0.42
"""Inches of a grid unit of the dashboard."""
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
CROWDED = 6
"""So many lines leave little room beside a title."""
_NOT_HERE = "not measured here: machines are processes in the sandbox"


def draw(watch: Watch, side: SideName, file: Path) -> Path:
    """Draw one side's dashboard; the file (PNG by its ending). Needs matplotlib."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    from matplotlib import pyplot

    outputs = watch.stage.fleet.outputs[side]
    answer = watch.stage.cloud.client(side, "cloudwatch").get_dashboard(DashboardName=outputs["dashboard"])
    widgets: list[dict[str, Any]] = json.loads(answer["DashboardBody"])["widgets"]
    readings = watch.readings(side)
    start, end = _span(readings)
    period = max(1.0, (end - start) / POINTS)
    height = max(w["y"] + w["height"] for w in widgets)
    figure = pyplot.figure(figsize=(24 * COLUMN, height * ROW + 0.6), dpi=90, facecolor="#f4f5f7")
    figure.text(
        0.01,
        1 - 0.3 / (height * ROW + 0.6),
        f"{outputs['dashboard']}   {_moment(start)} to {_moment(end)} UTC, a point every {period:.0f} s",
        fontsize=12,
        weight="bold",
        va="center",
    )
    top = 1 - 0.6 / (height * ROW + 0.6)
    for widget in widgets:
        x, y, w, h = (float(widget[name]) for name in ("x", "y", "width", "height"))
        box = (x / 24 + 0.045, top * (1 - (y + h) / height) + 0.016, w / 24 - 0.06, top * h / height - 0.034)
        axes = figure.add_axes(box)
        axes.set_title(widget["properties"]["title"], fontsize=10, loc="left", weight="bold")
        _Panel(axes, widget["properties"], readings, (start, end), period).draw(widget["type"], watch, side)
    figure.savefig(file)
    pyplot.close(figure)
    return file


def _span(readings: Readings) -> tuple[float, float]:
    times = [time for points in readings.points.values() for time in (points[0][0], points[-1][0]) if points]
    return (min(times), max(times)) if times else (0.0, 1.0)


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")


class _Panel:
    """One widget on its axes (matplotlib's)."""

    def __init__(
        self,
        axes: Any,
        properties: Mapping[str, Any],
        readings: Readings,
        span: tuple[float, float],
        period: float,
    ) -> None:
        self._axes = axes
        self._properties = properties
        self._readings = readings
        self._span = span
        self._period = period

    def draw(self, kind: str, watch: Watch, side: SideName) -> None:
        """By the widget's type."""
        if kind == "alarm":
            self._alarms(watch, side)
        elif kind == "log":
            self._lines(_failures(watch, side))
        elif self._properties.get("view") == "singleValue":
            self._values()
        else:
            self._graph()

    def _series(self, row: Sequence[Any]) -> tuple[str, list[tuple[float, float]]]:
        """Label and points of one line: `[namespace, metric, name, value, …, {stat, label}]`."""
        namespace, name, *rest = row
        options: dict[str, Any] = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        metric = Metric(namespace, name, tuple(sorted(zip(rest[::2], rest[1::2], strict=True))))
        points = []
        at, end = self._span
        while at < end:
            value = self._readings.statistic(metric, options["stat"], at, at + self._period)
            if value is not None:
                points.append((at, value))
            at += self._period
        return options["label"], points

    def _graph(self) -> None:
        axes, (start, end) = self._axes, self._span
        axes.set_facecolor("white")
        drawn = False
        for row, colour in zip(self._properties["metrics"], itertools.cycle(COLOURS), strict=False):
            label, points = self._series(row)
            drawn = drawn or bool(points)
            xs, ys = [time - start for time, _ in points], [value for _, value in points]
            axes.plot(xs, ys, color=colour, label=label, linewidth=1.4, marker="o", markersize=3)
        axes.set_xlim(0, max(1.0, end - start))
        axes.set_ylim(0, max(axes.get_ylim()[1], 1.0 if drawn else 0.0))
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        axes.ticklabel_format(style="plain", axis="y", useOffset=False)
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.set_major_formatter(lambda value, _: _short(value))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
        if drawn:
            # Above the axes, beside the title: nothing is hidden behind it.
            columns = len(self._properties["metrics"])
            axes.legend(
                fontsize=8 if columns < CROWDED else 7,
                loc="lower right",
                bbox_to_anchor=(1.01, 0.98),
                ncols=columns,
                frameon=False,
                handlelength=1.2,
                columnspacing=1.0 if columns < CROWDED else 0.6,
            )
        else:
            axes.set_yticks([])
            axes.text(0.5, 0.5, _NOT_HERE, transform=axes.transAxes, ha="center", fontsize=9, color="#888888")

    def _values(self) -> None:
        self._blank()
        rows = self._properties["metrics"]
        for number, row in enumerate(rows):
            label, points = self._series(row)
            x = (number + 0.5) / len(rows)
            value = _short(points[-1][1]) if points else "–"
            self._axes.text(x, 0.55, value, ha="center", va="center", fontsize=26, color=COLOURS[number])
            self._axes.text(x, 0.22, label, ha="center", va="center", fontsize=9)

    def _alarms(self, watch: Watch, side: SideName) -> None:
        self._blank()
        found = [judge(alarm, self._readings, self._span[1]) for alarm in watch.alarms(side)]
        prefix = str(watch.stage.fleet.outputs[side]["dashboard"]).removesuffix("dashboard")
        for number, verdict in enumerate(sorted(found, key=lambda v: v.name)):
            x, y = (number % 3) / 3 + 0.02, 0.88 - (number // 3) * 0.17
            colour = {"OK": "#2ca02c", "ALARM": "#d62728"}.get(verdict.state, "#888888")
            self._axes.text(x, y, "●", color=colour, fontsize=12, va="center")
            text = f"{verdict.name.removeprefix(prefix)}  {verdict.state}"
            self._axes.text(x + 0.03, y, text, fontsize=9, va="center")

    def _lines(self, lines: Sequence[str]) -> None:
        self._blank()
        for number, line in enumerate(lines):
            self._axes.text(0.01, 0.9 - number * 0.12, line, fontsize=8, family="monospace", va="center", clip_on=True)
        if not lines:
            self._axes.text(0.5, 0.5, "none", ha="center", fontsize=9, color="#888888")

    def _blank(self) -> None:
        self._axes.set_xlim(0, 1)
        self._axes.set_ylim(0, 1)
        self._axes.set_xticks([])
        self._axes.set_yticks([])
        self._axes.set_facecolor("white")
        self._axes.spines[:].set_color("#dddddd")


def _failures(watch: Watch, side: SideName, shown: int = 7) -> list[str]:
    """The last lines that the log widget's query would find."""
    wanted = ("WARNING", "ERROR", "CRITICAL")
    found = [line for line in watch.stage.fleet.journal.every() if line["process"].endswith(f"-{side}")]
    texts = []
    for line in [line for line in found if line.get("level") in wanted][-shown:]:
        parts = [
            _moment(line["received_at"]),
            *(str(line[n]) for n in ("event", "outcome", "state", "key") if n in line),
        ]
        why = str(line.get("reason") or line.get("message") or "")
        texts.append(f"{'  '.join(parts)}  {why}"[:150].encode("ascii", "replace").decode())
    return texts[::-1]


def _short(value: float) -> str:
    """`1.2M`, `340k`, `12`, `0.4`."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):.3g}{letter}"
    return f"{value:.0f}" if value == int(value) else f"{value:.2g}"
