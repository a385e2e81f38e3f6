"""What a comparison needs to see of a bucket: an interface of its own, nothing of the sync's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a listing; `modified` in seconds since the epoch."""

    key: str
    """The key, relative to the side's prefix."""
    size: int
    """Size in bytes."""
    etag: str
    """ETag without quotes."""
    modified: int
    """LastModified, in seconds since the epoch."""
    storage_class: str = ""
    """Storage class; empty if the listing names none."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a HEAD shows: content headers and user metadata (without the stamp), and whole-object checksums."""

    etag: str
    """ETag without quotes."""
    size: int
    """Size in bytes."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Content headers and user metadata by lower-case name, without the stamp."""
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Whole-object checksums by algorithm."""
    stamped: bool = False
    """The object has a stamp."""


class BucketLister(Protocol):
    """One bucket under its prefix. Errors are those of `dualsync.runtime.errors`."""

    def pages(self, prefix: str) -> AsyncIterator[Sequence[Item]]:
        """Yield the objects whose key (relative to the side's prefix) starts with `prefix`, in UTF-8 binary order."""

    async def facts(self, key: str) -> ObjectFacts | None:
        """Send a HEAD; None if there is no object (any more)."""

    async def tags(self, key: str) -> Mapping[str, str]: ...

    async def digest(self, key: str, etag: str) -> str | None:
        """Return the SHA-256 of the content, read as a stream; None when it is another version by now."""
