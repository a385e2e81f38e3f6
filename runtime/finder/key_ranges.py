"""Divides the keys of both buckets into ranges that are compared side by side.

A listing of the other partition is limited by its round trips, one per page; several listings at once are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from dualsync.runtime.model.key_filter import KeyRange

POINTS = 64
"""Evenly spaced keys that a run records, at which the next run divides."""
MAX_POINT_CHARACTERS = 200
"""Characters of such a key. It need not exist, and a record has room for 400 KB only (DynamoDB's largest item)."""


def divide(points: Sequence[str], number: int) -> list[KeyRange]:
    """Return at most `number` adjacent ranges that cover all keys, divided at evenly spaced points.

    Without points it is one range.
    """
    usable = sorted({point for point in points if point})
    number = min(number, len(usable) + 1)
    edges = ["", *(usable[len(usable) * n // number] for n in range(1, number)), ""]
    return [KeyRange(after, until) for after, until in pairwise(edges)]


class KeySampler:
    """Samples evenly spaced keys of a range while it is compared. The number of samples is bounded."""

    __slots__ = ("_since", "every", "keys")

    def __init__(self) -> None:
        self.every = 1
        self.keys: list[str] = []
        self._since = 0

    def count_keys(self, keys: int, last: str) -> None:
        """Count `keys` compared keys, of which `last` is the last one."""
        self._since += keys
        if self._since < self.every:
            return
        self._since = 0
        self.keys.append(last[:MAX_POINT_CHARACTERS])
        if len(self.keys) >= 2 * POINTS:
            self.keys = self.keys[1::2]
            self.every *= 2


def evenly_spaced_keys(ranges: Iterable[KeySampler]) -> list[str]:
    """Return at most `POINTS` keys, evenly spaced over all ranges in their order."""
    weighed = [(key, marks.every) for marks in ranges for key in marks.keys]
    total = sum(weight for _, weight in weighed)
    points: list[str] = []
    passed = 0
    for key, weight in weighed:
        passed += weight
        if passed * POINTS >= total * (len(points) + 1) and passed < total:
            points.append(key)
    return points
