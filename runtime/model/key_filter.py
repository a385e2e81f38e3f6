"""Which keys are synchronised: all of them, or those that a list of prefixes names."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyRange:
    """A range of keys in UTF-8 binary order, which is Python's order of strings."""

    after: str = ""
    """Keys are greater than this; empty for no bound."""
    until: str = ""
    """Keys are at most this; empty for no bound."""

    def may_contain(self, prefix: str) -> bool:
        """Return True if a key that begins with `prefix` can be in the range."""
        if self.until and prefix > self.until:
            return False
        return self.after < prefix or self.after.startswith(prefix)


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """A set of keys, given by prefixes."""

    prefixes: tuple[str, ...] = ("",)
    """Sorted prefixes of keys relative to the side's prefix, none of which begins with another."""

    @classmethod
    def from_prefixes(cls, prefixes: Sequence[str]) -> KeyFilter:
        """Create a filter from prefixes in any order; those that another one covers are dropped."""
        kept: list[str] = []
        for prefix in sorted(prefixes):
            if not kept or not prefix.startswith(kept[-1]):
                kept.append(prefix)
        return cls(tuple(kept))

    @property
    def name(self) -> str:
        """A digest that differs from that of any other filter; empty for all keys."""
        if self == EVERYTHING:
            return ""
        return hashlib.sha256("\n".join(self.prefixes).encode()).hexdigest()[:16]

    def covers(self, key: str) -> bool:
        """Return True if this key is synchronised."""
        at = bisect_right(self.prefixes, key)
        return at > 0 and key.startswith(self.prefixes[at - 1])


EVERYTHING = KeyFilter()
