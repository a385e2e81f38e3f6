"""Decide whether a figure that is sampled over time grows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

WARM_UP = 0.25
"""Share of the run that is left out at the beginning: caches fill, and connections open."""

MIN_SAMPLES = 8
"""Smallest number of samples after the warm-up. A trend over fewer is not reliable."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The resources of a worker at one time."""

    seconds: float
    """Seconds since the start of the run."""
    values: dict[str, int]
    """Figures by name."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """How much a figure may grow over the whole run before it counts as a leak."""

    share: float
    """Share of its median."""
    least: float
    """Absolute bound, which applies if it is larger: such changes follow the load."""


ALLOWED = {
    "memory_bytes": Allowed(0.1, 8 << 20),
    "descriptors": Allowed(0.2, 12),
    "tasks": Allowed(0.2, 12),
    "pools": Allowed(0.0, 2),
    "connections": Allowed(0.2, 12),
}


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure over the run."""

    name: str
    """Name of the figure."""
    start: float
    """Median of the first third after the warm-up."""
    end: float
    """Median of the last third."""
    per_hour: float
    """Slope, by the median of all pairs of samples (Theil and Sen): single peaks do not change it."""
    growth: float
    """Growth by the slope over the time of all samples."""
    flat: bool
    """Whether the growth is allowed."""


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Return the trend of every figure. Raises `ValueError` for too few samples."""
    if not samples:
        raise ValueError("no samples")
    last = samples[-1].seconds
    kept = [sample for sample in samples if sample.seconds >= last * WARM_UP]
    if len(kept) < MIN_SAMPLES:
        raise ValueError(f"{len(kept)} samples after the warm-up; at least {MIN_SAMPLES} are needed")
    return [_trend(name, kept) for name in samples[0].values]


def _trend(name: str, samples: Sequence[Sample]) -> Trend:
    values = [sample.values[name] for sample in samples]
    slopes = [
        (later.values[name] - sample.values[name]) / (later.seconds - sample.seconds)
        for at, sample in enumerate(samples)
        for later in samples[at + 1 :]
        if later.seconds > sample.seconds
    ]
    slope = statistics.median(slopes)
    growth = slope * (samples[-1].seconds - samples[0].seconds)
    third = max(1, len(values) // 3)
    allowed = ALLOWED[name]
    bound = max(allowed.share * statistics.median(values), allowed.least)
    start, end = statistics.median(values[:third]), statistics.median(values[-third:])
    return Trend(name, start, end, slope * 3600, growth, growth <= bound)
