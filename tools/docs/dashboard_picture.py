"""Draws the deployed dashboards from their own documents and from what was measured in a sandbox.

`python -m tools.docs.dashboard_picture FILE.png` runs the demo, kills a worker during it, and writes `FILE-cn.png` and
`FILE-global.png`. Widgets have the document's places, titles, lines, labels and statistics. Only the period differs,
because a sandbox runs for a minute or two and a dashboard has one point per minute.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dualsync.runtime.settings import SideName
from sandbox.cloudwatch.alarms import judge
from sandbox.cloudwatch.metrics import Metric, Readings
from sandbox.cloudwatch.watch import Watch

POINTS = 60
"""Approximate number of points per line."""

COLUMN, ROW = 0.6, 0.42
"""Width and height of the dashboard's grid unit, in inches."""

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b")
"""Colours of lines, in order."""

CROWDED = 6
"""Number of lines from which the legend leaves little room for a title."""
_NOT_HERE = "not measured here: machines are processes in the sandbox"


def draw(watch: Watch, side: SideName, file: Path) -> Path:
    """Draw one side's dashboard into a PNG file and return its path. Needs matplotlib."""
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
        """Draw the widget according to its type."""
        if kind == "alarm":
            self._alarms(watch, side)
        elif kind == "log":
            self._lines(_failures(watch, side))
        elif self._properties.get("view") == "singleValue":
            self._values()
        else:
            self._graph()

    def _series(self, row: Sequence[Any]) -> tuple[str, list[tuple[float, float]]]:
        """Return label and points of one line: `[namespace, metric, name, value, …, {stat, label}]`."""
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
    """Return the last lines that the log widget's query finds."""
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
    """Format a number as `1.2M`, `340k`, `12` or `0.4`."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):.3g}{letter}"
    return f"{value:.0f}" if value == int(value) else f"{value:.2g}"


def main(arguments: list[str]) -> int:
    """Run the demo, draw both dashboards, and return the exit code: 0 after success."""
    from rich.console import Console

    from sandbox.demo.demo import Demo, play
    from sandbox.environment.environment import Stage

    parser = argparse.ArgumentParser(prog="python -m tools.docs.dashboard_picture", description="Draw the dashboards.")
    parser.add_argument("file", type=Path, help="NAME.png: writes NAME-cn.png and NAME-global.png")
    parser.add_argument("--objects", type=int, default=1000, help="files that the demo uploads (default 1000)")
    given = parser.parse_args(arguments)
    watches: list[Watch] = []

    def start(stage: Stage) -> None:
        watches.append(Watch(stage))
        watches[0].start()

    def finish(stage: Stage) -> None:
        watches[0].stop()
        for side in SideName:
            with demo.steps.run(f"dashboard {side} drawn"):
                draw(watches[0], side, given.file.with_stem(f"{given.file.stem}-{side}"))

    demo = Demo(Console(highlight=False), given.objects, kill_worker=True, at_start=start, at_end=finish)
    return play(demo)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
