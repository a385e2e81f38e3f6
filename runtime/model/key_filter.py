"""Which keys are synchronised: all of them, or those that a list of prefixes names."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Keys greater than `after`, up to and with `until`, in UTF-8 binary order (which is Python's order of texts).
    Empty means without bound."""

    after: str = ""
    until: str = ""

    def meets(self, prefix: str) -> bool:
        """Can a key that begins with `prefix` be in it?"""
        if self.until and prefix > self.until:
            return False
        return self.after < prefix or self.after.startswith(prefix)


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """`prefixes` of keys relative to the side's prefix, sorted, none of which begins with another."""

    prefixes: tuple[str, ...] = ("",)

    @classmethod
    def of(cls, prefixes: Sequence[str]) -> KeyFilter:
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


EVERYTHING = KeyFilter()
