"""Which keys are synchronised: all of them, or those that a list of prefixes names."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from runtime.objects import Row
from runtime.ports import Bucket
from runtime.ranges import Range


@dataclass(frozen=True, slots=True)
class Scope:
    """`prefixes` of keys relative to the side's prefix, sorted, none of which begins with another."""

    prefixes: tuple[str, ...] = ("",)

    @classmethod
    def of(cls, prefixes: Sequence[str]) -> Scope:
        """Of prefixes in any order; what another one has in it is left out."""
        kept: list[str] = []
        for prefix in sorted(prefixes):
            if not kept or not prefix.startswith(kept[-1]):
                kept.append(prefix)
        return cls(tuple(kept))

    @property
    def name(self) -> str:
        """Tells one scope from another; empty for all keys."""
        if self == EVERYTHING:
            return ""
        return hashlib.sha256("\n".join(self.prefixes).encode()).hexdigest()[:16]

    def covers(self, key: str) -> bool:
        """Is this key synchronised?"""
        at = bisect_right(self.prefixes, key)
        return at > 0 and key.startswith(self.prefixes[at - 1])

    async def pages(self, bucket: Bucket, within: Range) -> AsyncIterator[Sequence[Row]]:
        """The bucket's keys that are synchronised and in this range, in order; the rest is not listed."""
        for prefix in self.prefixes:
            if within.meets(prefix):
                async for rows in bucket.list(within.after, within.until, prefix):
                    yield rows


EVERYTHING = Scope()
