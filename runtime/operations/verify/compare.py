"""Compare two buckets: two sorted listings as streams, and a closer check where the listings prove nothing.

Memory does not grow with the buckets.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dualsync.runtime.errors import DualSyncError, FatalError
from dualsync.runtime.model.key_filter import EVERYTHING, KeyFilter
from dualsync.runtime.operations.verify.bucket_lister import BucketLister, Item, ObjectFacts

AT_ONCE = 32
"""Objects compared beyond the listing at a time."""


class Kind(StrEnum):
    """How two sides differ on a key."""

    ONLY_CN = "only at cn"
    """Only `cn` has an object of this key."""
    ONLY_GLOBAL = "only at global"
    """Only `global` has an object of this key."""
    SIZE = "other size"
    """The sizes differ."""
    CONTENT = "other content"
    """The contents differ."""
    METADATA = "other metadata"
    """The contents are equal, headers or user metadata differ."""
    TAGS = "other tags"
    """The contents are equal, the tags differ."""
    UNSURE = "can't tell"
    """Equal sizes, ETags that can't be compared (parts, encryption), and the content was not read."""
    UNREADABLE = "unreadable"
    """A closer check failed; the detail names the error."""


class Content(StrEnum):
    """Whose content is read."""

    NEVER = "never"
    """No content is read."""
    UNSURE = "unsure"
    """Where size and ETag can't tell."""
    ALL = "all"
    """The content of every object in the sample is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonDepth:
    """How closely to compare."""

    content: Content = Content.UNSURE
    """Whose content is read."""
    metadata: bool = False
    """Headers and user metadata are compared."""
    tags: bool = False
    """Tags are compared."""
    sample: float = 100.0
    """Percentage of the keys that are compared beyond the listing."""
    read_limit: int = 100 << 30
    """Bytes that are read of a side at most; what would be more is reported as `UNSURE`."""

    def is_sampled(self, key: str) -> bool:
        """Return True if this key is in the sample; the answer for a key never changes."""
        if self.sample >= 100:
            return True
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
        return number < self.sample / 100 * 2**32

    @property
    def exceeds_listing(self) -> bool:
        """Whether objects with equal listings are compared beyond them."""
        return self.metadata or self.tags or self.content is Content.ALL


@dataclass(frozen=True, slots=True)
class Pair:
    """One key as both listings show it."""

    key: str
    """The key, relative to the sides' prefixes."""
    cn: Item | None
    """The object at `cn`; None if there is none."""
    global_: Item | None
    """The object at `global`; None if there is none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A key on which the sides differ, and in what."""

    pair: Pair
    """The key with both objects."""
    kind: Kind
    """How they differ."""
    detail: str = ""
    """What differs, in words."""


@dataclass(slots=True)
class ComparisonCounts:
    """Counts of the comparison under way."""

    cn: int = 0
    """Objects listed at `cn`."""
    global_: int = 0
    """Objects listed at `global`."""
    cn_bytes: int = 0
    """Their size at `cn`, in bytes."""
    global_bytes: int = 0
    """Their size at `global`, in bytes."""
    equal: int = 0
    """Keys that are equal."""
    checked_closely: int = 0
    """Keys compared beyond the listing."""
    read_bytes: int = 0
    """Bytes of content read from both sides."""
    prefixes: dict[str, int] = field(default_factory=dict)
    """Keys per first folder."""


async def merge_listings(
    cn: AsyncIterator[Sequence[Item]], global_: AsyncIterator[Sequence[Item]]
) -> AsyncIterator[list[Pair]]:
    """Merge two sorted listings. Raises `FatalError` when one is not sorted, as no comparison is possible then."""
    left, right = _Reader(cn, "cn"), _Reader(global_, "global")
    while True:
        await left.fill()
        await right.fill()
        if left.ended and right.ended:
            return
        batch: list[Pair] = []
        while (left.rows or left.ended) and (right.rows or right.ended) and (left.rows or right.rows):
            if not right.rows or (left.rows and left.first < right.first):
                item = left.take()
                batch.append(Pair(item.key, item, None))
            elif not left.rows or right.first < left.first:
                item = right.take()
                batch.append(Pair(item.key, None, item))
            else:
                batch.append(Pair(left.rows[-1].key, left.take(), right.take()))
        if batch:
            yield batch


class _Reader:
    """A listing's rows, last first, so that taking one costs nothing."""

    def __init__(self, pages: AsyncIterator[Sequence[Item]], name: str) -> None:
        self._pages = pages
        self._name = name
        self._last = b""
        self.rows: list[Item] = []
        self.ended = False

    @property
    def first(self) -> bytes:
        return self.rows[-1].key.encode()

    def take(self) -> Item:
        return self.rows.pop()

    async def fill(self) -> None:
        while not self.rows and not self.ended:
            try:
                page = await anext(self._pages)
            except StopAsyncIteration:
                self.ended = True
                return
            for item in page:
                key = item.key.encode()
                if key <= self._last:
                    raise FatalError(
                        f"the listing of {self._name} is not sorted near {item.key!r}: it can't be compared"
                    )
                self._last = key
            self.rows = list(page)[::-1]


class Comparison:
    """One comparison of two buckets: of the keys that all `scopes` cover."""

    def __init__(
        self,
        cn: BucketLister,
        global_: BucketLister,
        depth: ComparisonDepth,
        prefix: str = "",
        scopes: Sequence[KeyFilter] = (),
    ) -> None:
        self._cn = cn
        self._global = global_
        self._depth = depth
        self._prefix = prefix
        self._scopes = [scope for scope in scopes if scope != EVERYTHING]
        self.seen = ComparisonCounts()

    async def run(self, on_progress: Callable[[ComparisonCounts], None]) -> AsyncIterator[list[Difference]]:
        """Yield all differences in batches, each in the order of the keys."""
        async for batch in merge_listings(self._cn.pages(self._prefix), self._global.pages(self._prefix)):
            found: list[Difference] = []
            closer: list[Pair] = []
            for pair in batch:
                if not all(scope.covers(pair.key) for scope in self._scopes):
                    continue
                self._count(pair)
                known = listing_difference(pair)
                if known is not None:
                    found.append(known)
                elif self._needs_closer_check(pair):
                    closer.append(pair)
                else:
                    self.seen.equal += 1
            for start in range(0, len(closer), AT_ONCE):
                checks = [self._check_closely(pair) for pair in closer[start : start + AT_ONCE]]
                found += [difference for difference in await asyncio.gather(*checks) if difference is not None]
            on_progress(self.seen)
            if found:
                yield sorted(found, key=lambda d: d.pair.key.encode())

    def _count(self, pair: Pair) -> None:
        seen = self.seen
        if pair.cn is not None:
            seen.cn += 1
            seen.cn_bytes += pair.cn.size
        if pair.global_ is not None:
            seen.global_ += 1
            seen.global_bytes += pair.global_.size

    def _needs_closer_check(self, pair: Pair) -> bool:
        if pair.cn is not None and pair.global_ is not None and pair.cn.etag != pair.global_.etag:
            return True
        return self._depth.exceeds_listing and self._depth.is_sampled(pair.key)

    async def _check_closely(self, pair: Pair) -> Difference | None:
        self.seen.checked_closely += 1
        try:
            difference = await self._closely(pair)
        except DualSyncError as e:
            difference = Difference(pair, Kind.UNREADABLE, f"{type(e).__name__}: {e}")
        self.seen.equal += difference is None
        return difference

    async def _closely(self, pair: Pair) -> Difference | None:
        a, b = pair.cn, pair.global_
        assert a is not None and b is not None  # noqa: S101, PT018 - by_listing took the others
        depth, sampled = self._depth, self._depth.is_sampled(pair.key)
        facts = await asyncio.gather(self._cn.facts(pair.key), self._global.facts(pair.key))
        if None in facts or facts[0].etag != a.etag or facts[1].etag != b.etag:  # type: ignore[union-attr]
            return Difference(pair, Kind.UNSURE, "changed while it was compared")
        ours, theirs = facts[0], facts[1]
        assert ours is not None and theirs is not None  # noqa: S101, PT018
        unsure = a.etag != b.etag
        if unsure and _same_checksum(ours, theirs):
            unsure = False
        if unsure or (depth.content is Content.ALL and sampled):
            difference = await self._content(pair, a, b, unsure)
            if difference is not None:
                return difference
        if depth.metadata and sampled and ours.headers != theirs.headers:
            return Difference(pair, Kind.METADATA, _names(ours.headers, theirs.headers))
        if depth.tags and sampled:
            tags = await asyncio.gather(self._cn.tags(pair.key), self._global.tags(pair.key))
            if tags[0] != tags[1]:
                return Difference(pair, Kind.TAGS, _names(tags[0], tags[1]))
        return None

    async def _content(self, pair: Pair, a: Item, b: Item, unsure: bool) -> Difference | None:
        if self._depth.content is Content.NEVER:
            return Difference(pair, Kind.UNSURE, f"ETags {a.etag} and {b.etag}, content not read")
        if self.seen.read_bytes + a.size > self._depth.read_limit:
            return Difference(pair, Kind.UNSURE, "content not read: the limit of bytes is reached") if unsure else None
        self.seen.read_bytes += a.size
        digests: list[Awaitable[str | None]] = [
            self._cn.digest(pair.key, a.etag),
            self._global.digest(pair.key, b.etag),
        ]
        ours, theirs = await asyncio.gather(*digests)
        if ours is None or theirs is None:
            return Difference(pair, Kind.UNSURE, "changed while it was compared")
        return None if ours == theirs else Difference(pair, Kind.CONTENT, f"SHA-256 {ours[:12]}… and {theirs[:12]}…")


def listing_difference(pair: Pair) -> Difference | None:
    """Return the difference that the listings alone prove; None if they prove none."""
    if pair.global_ is None:
        return Difference(pair, Kind.ONLY_CN)
    if pair.cn is None:
        return Difference(pair, Kind.ONLY_GLOBAL)
    if pair.cn.size != pair.global_.size:
        return Difference(pair, Kind.SIZE, f"{pair.cn.size} and {pair.global_.size} bytes")
    return None


def _same_checksum(a: ObjectFacts, b: ObjectFacts) -> bool:
    """Return True if both have the same whole-object checksum of one algorithm."""
    common = a.checksums.keys() & b.checksums.keys()
    return bool(common) and all(a.checksums[name] == b.checksums[name] for name in common)


def _names(a: object, b: object) -> str:
    ours, theirs = dict(a), dict(b)  # type: ignore[call-overload]
    return ", ".join(sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)))
