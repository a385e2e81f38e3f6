"""Merges two sorted listings as streams. Memory does not grow with the buckets, and equal rows cost very little."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from operator import lt

from dualsync.runtime.errors import FatalError
from dualsync.runtime.model.objects import ListedObject


@dataclass(frozen=True, slots=True)
class ListedPair:
    """One key with its rows of both listings, of which at least one exists."""

    key: str
    """The key, relative to the prefix."""

    here: ListedObject | None
    """Its row in this side's listing."""

    there: ListedObject | None
    """Its row in the peer's listing."""


@dataclass(slots=True)
class MergeCounters:
    """Counts of the keys that a merge has yielded or found equal so far."""

    here: int = 0
    """Keys of this side's listing."""

    there: int = 0
    """Keys of the peer's listing."""

    equal: int = 0
    """Keys with the same ETag and size on both sides."""

    last: str = ""
    """The last key of these."""


class _Listing:
    """One listing's unread rows, `rows[at:]`. `done` is set only after the listing has ended without an error."""

    def __init__(self, pages: AsyncIterator[Sequence[ListedObject]], name: str) -> None:
        self._pages = pages
        self._name = name
        self._last = ""
        self.rows: Sequence[ListedObject] = ()
        self.at = 0
        self.done = False

    async def fill(self) -> None:
        """Read a page when all rows are read. Raises `FatalError` for a listing out of order."""
        if self.done or self.at < len(self.rows):
            return
        try:
            self.rows = await anext(self._pages)
        except StopAsyncIteration:
            self.rows = ()
            self.done = True
        self.at = 0
        if self.rows:
            keys = [row.key for row in self.rows]
            if (self._last >= keys[0] and self._last) or not all(map(lt, keys, keys[1:])):
                raise FatalError(
                    f"the {self._name} listing is not in UTF-8 binary order near {keys[0]!r}: use a bucket type and an"
                    " endpoint that list in this order"
                )
            self._last = keys[-1]


async def merge(
    here: AsyncIterator[Sequence[ListedObject]],
    there: AsyncIterator[Sequence[ListedObject]],
    counters: MergeCounters,
    *,
    equal_too: bool = False,
) -> AsyncIterator[list[ListedPair]]:
    """Yield pairs that differ in ETag or size or exist on one side only, in key order; with `equal_too` all pairs.

    After every page a list is yielded, which may be empty. Raises whatever a listing raises.
    """
    a, b = _Listing(here, "local"), _Listing(there, "remote")
    while True:
        await a.fill()
        await b.fill()
        if a.done and b.done:
            return
        pairs: list[ListedPair] = []
        _zip(a, b, pairs, equal_too, counters)
        yield pairs


def _zip(a: _Listing, b: _Listing, pairs: list[ListedPair], equal_too: bool, counters: MergeCounters) -> None:
    """Consume both listings as far as both are known."""
    left, right, i, j, equal = a.rows, b.rows, a.at, b.at, 0
    m, n = len(left), len(right)
    while i < m and j < n:
        x, y = left[i], right[j]
        if x.key == y.key:
            i += 1
            j += 1
            if x.etag == y.etag and x.size == y.size:
                equal += 1
                if not equal_too:
                    continue
            pairs.append(ListedPair(x.key, x, y))
        elif x.key < y.key:
            i += 1
            pairs.append(ListedPair(x.key, x, None))
        else:
            j += 1
            pairs.append(ListedPair(y.key, None, y))
    if a.done:
        pairs.extend(ListedPair(y.key, None, y) for y in right[j:])
        j = n
    if b.done:
        pairs.extend(ListedPair(x.key, x, None) for x in left[i:])
        i = m
    counters.here += i - a.at
    counters.there += j - b.at
    counters.equal += equal
    for rows, at in ((left, i), (right, j)):
        if at and rows[at - 1].key > counters.last:
            counters.last = rows[at - 1].key
    a.at, b.at = i, j
