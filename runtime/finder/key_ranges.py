"""Where the keys of both buckets may be divided, so that they are compared in several places at once.

A listing of the other partition is bound by its round trips, one a page; several of them at once are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from dualsync.runtime.model.key_filter import KeyRange

POINTS = 64
"""Evenly spaced keys that a run leaves for the next to divide at."""
LONGEST_POINT = 200
"""Characters of such a key: it need not exist, and a record has room for 400 KB only (DynamoDB's largest item)."""


def divide(points: Sequence[str], number: int) -> list[KeyRange]:
    """At most `number` ranges that follow each other and leave nothing out, divided at some of the points, which are
    evenly spaced. Without points it is one."""
    usable = sorted({point for point in points if point})
    number = min(number, len(usable) + 1)
    edges = ["", *(usable[len(usable) * n // number] for n in range(1, number)), ""]
    return [KeyRange(after, until) for after, until in pairwise(edges)]


class KeySampler:
    """Evenly spaced keys of a range while it goes by, few however many keys it has."""

    __slots__ = ("_since", "every", "keys")

    def __init__(self) -> None:
        self.every = 1
        self.keys: list[str] = []
        self._since = 0

    def passed(self, keys: int, last: str) -> None:
        """So many keys went by, the last of them this one."""
        self._since += keys
        if self._since < self.every:
            return
        self._since = 0
        self.keys.append(last[:LONGEST_POINT])
        if len(self.keys) >= 2 * POINTS:
            self.keys = self.keys[1::2]
            self.every *= 2


def spaced(ranges: Iterable[KeySampler]) -> list[str]:
    """At most `POINTS` keys, evenly spaced over all ranges, which are in order."""
    weighed = [(key, marks.every) for marks in ranges for key in marks.keys]
    total = sum(weight for _, weight in weighed)
    points: list[str] = []
    passed = 0
    for key, weight in weighed:
        passed += weight
        if passed * POINTS >= total * (len(points) + 1) and passed < total:
            points.append(key)
    return points
