"""What a comparison needs to see of a bucket: an interface of its own, nothing of the sync's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Item:
    """One object of a listing; `modified` in seconds since the epoch."""

    key: str
    size: int
    etag: str
    modified: int
    storage_class: str = ""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a HEAD shows: content headers and user metadata (without the stamp), and whole-object checksums."""

    etag: str
    size: int
    headers: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    stamped: bool = False


class BucketLister(Protocol):
    """One bucket under its prefix. Errors are those of `dualsync.runtime.errors`."""

    def pages(self, prefix: str) -> AsyncIterator[Sequence[Item]]:
        """All objects whose key (relative to the side's prefix) starts with `prefix`, in UTF-8 binary order."""

    async def facts(self, key: str) -> ObjectFacts | None:
        """None: it is not there (any more)."""

    async def tags(self, key: str) -> Mapping[str, str]: ...

    async def digest(self, key: str, etag: str) -> str | None:
        """SHA-256 of the content, read as a stream; None when it is another version by now."""
