"""A distribution of seconds in a few dozen counters, to which other workers' counters can be added."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

BASE = 1.25
"""Each class is a quarter wider than the one before: a percentile is right within 12 %."""
SMALLEST = 0.05
"""Seconds of the first class, which also counts everything below."""


def class_of(seconds: float) -> int:
    """Return the number of the class that `seconds` belong to."""
    return 0 if seconds <= SMALLEST else math.ceil(math.log(seconds / SMALLEST, BASE))


def seconds_of(number: int) -> float:
    """Return the middle of a class, in seconds."""
    return SMALLEST if number == 0 else SMALLEST * BASE ** (number - 0.5)


def merge(parts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Return the sum of several distributions."""
    total: Counter[int] = Counter()
    for part in parts:
        total.update(part)
    return total


def percentile(classes: Mapping[int, int], share: float) -> float | None:
    """Return the seconds that `share` (0 to 1) of the values do not exceed; None without values."""
    count = sum(classes.values())
    if not count:
        return None
    wanted = max(1, math.ceil(share * count))
    seen = 0
    for number in sorted(classes):
        seen += classes[number]
        if seen >= wanted:
            return seconds_of(number)
    return None
