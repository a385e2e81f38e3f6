"""A streaming merge of two sorted listings: memory does not grow with the buckets, equal rows cost next to nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from operator import lt

from dualsync.runtime.errors import FatalError
from dualsync.runtime.model.objects import ListedObject


@dataclass(frozen=True, slots=True)
class ListedPair:
    """One key as the two listings show it; at least one row is there."""

    key: str
    here: ListedObject | None
    there: ListedObject | None


@dataclass(slots=True)
class MergeCounters:
    """Counts of a merge under way: of the keys up to and with `last`, all of which it has given or found equal."""

    here: int = 0
    there: int = 0
    equal: int = 0
    last: str = ""


class _Listing:
    """One listing's unread rows: `rows[at:]`. `done` only after the listing has ended by itself."""

    def __init__(self, pages: AsyncIterator[Sequence[ListedObject]], name: str) -> None:
        self._pages = pages
        self._name = name
        self._last = ""
        self.rows: Sequence[ListedObject] = ()
        self.at = 0
        self.done = False

    async def fill(self) -> None:
        """Get a page when none is left. Raises `FatalError` for a listing out of order."""
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
                    f"the {self._name} listing is not in UTF-8 binary order near {keys[0]!r}: this bucket type"
                    " or endpoint can't be compared by streams"
                )
            self._last = keys[-1]


async def merge(
    here: AsyncIterator[Sequence[ListedObject]],
    there: AsyncIterator[Sequence[ListedObject]],
    tally: MergeCounters,
    *,
    equal_too: bool = False,
) -> AsyncIterator[list[ListedPair]]:
    """Pairs that differ in ETag or size or stand on one side only (with `equal_too` all pairs), in key order: a list,
    which may be empty, after every page.

    Raises whatever a listing raises; nothing is said then of what was not seen.
    """
    a, b = _Listing(here, "local"), _Listing(there, "remote")
    while True:
        await a.fill()
        await b.fill()
        if a.done and b.done:
            return
        pairs: list[ListedPair] = []
        _zip(a, b, pairs, equal_too, tally)
        yield pairs


def _zip(a: _Listing, b: _Listing, pairs: list[ListedPair], equal_too: bool, tally: MergeCounters) -> None:
    """Consume both as far as both are known."""
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
    tally.here += i - a.at
    tally.there += j - b.at
    tally.equal += equal
    for rows, at in ((left, i), (right, j)):
        if at and rows[at - 1].key > tally.last:
            tally.last = rows[at - 1].key
    a.at, b.at = i, j
