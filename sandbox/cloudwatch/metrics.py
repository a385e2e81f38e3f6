"""Metrics as points in time, and their derivation from log lines by metric filters."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.cloudwatch.filter_patterns import compile_pattern, value_at


@dataclass(frozen=True, slots=True)
class Metric:
    """The identity of a metric."""

    namespace: str
    """Its namespace."""

    name: str
    """Its name."""

    dimensions: tuple[tuple[str, str], ...] = ()
    """Its dimensions, sorted."""


@dataclass(slots=True)
class Readings:
    """Points of every metric."""

    points: dict[Metric, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """Seconds since the epoch and value of each point, in order of time."""

    def add(self, metric: Metric, time: float, value: float) -> None:
        """Add a point that is later than those before."""
        self.points[metric].append((time, value))

    def between(self, metric: Metric, start: float, end: float) -> list[float]:
        """Return the values from `start` up to, but not including, `end`."""
        found = self.points.get(metric, [])
        return [value for _, value in found[bisect_left(found, (start,)) : bisect_left(found, (end,))]]

    def statistic(self, metric: Metric, name: str, start: float, end: float) -> float | None:
        """Return `Sum`, `Average`, `Minimum`, `Maximum`, `SampleCount` or `p99` of a period; None without data."""
        values = self.between(metric, start, end)
        return statistic(values, name) if values else None

    def copy(self) -> Readings:
        """Return an independent copy."""
        return Readings(defaultdict(list, {metric: list(points) for metric, points in self.points.items()}))


def statistic(values: list[float], name: str) -> float:
    """Compute a statistic of at least one value."""
    if name.startswith("p"):
        return sorted(values)[min(len(values) - 1, int(len(values) * float(name[1:]) / 100))]
    return {
        "Sum": sum(values),
        "Average": sum(values) / len(values),
        "Minimum": min(values),
        "Maximum": max(values),
        "SampleCount": float(len(values)),
    }[name]


def derived(filters: Iterable[Mapping[str, Any]], lines: Mapping[str, Iterable[tuple[float, Any]]]) -> Readings:
    """Count log lines by metric filters (in the form of DescribeMetricFilters); `lines` are (time, line) by log group.

    A line that does not match adds the default value, where the filter has one: with it, a period in which something
    was logged has data (CloudWatch Logs User Guide, "Creating metric filters").
    """
    readings = Readings()
    for given in filters:
        matches = compile_pattern(given["filterPattern"])
        for transformation in given["metricTransformations"]:
            metric = Metric(transformation["metricNamespace"], transformation["metricName"])
            value, default = str(transformation["metricValue"]), transformation.get("defaultValue")
            for time, line in lines.get(given["logGroupName"], ()):
                counted = _value(line, value) if matches(line) else default
                if counted is not None:
                    readings.add(metric, time, float(counted))
    return readings


def _value(line: Any, value: str) -> float | None:
    if not value.startswith("$"):
        return float(value)
    found = value_at(line, value)
    return float(found) if isinstance(found, int | float) else None
