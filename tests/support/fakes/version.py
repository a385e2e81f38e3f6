"""A version of an object in the fake bucket, and the states of a bucket's versioning."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from dualsync.runtime.model.objects import ObjectHead


class Versioning(StrEnum):
    """States of versioning, as GetBucketVersioning names them; it returns none if versioning was never enabled."""

    NEVER = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


class Version:
    """One version or delete marker of a key."""

    __slots__ = ("body", "marker", "parts", "received", "seen", "version_id")

    def __init__(self, version_id: str, head: ObjectHead, body: bytes, marker: bool, received: int = 0) -> None:
        self.version_id = version_id
        self.seen = head
        self.body = body
        self.marker = marker
        self.received = received
        """Position of its request among those of the bucket, of an upload in parts that of its start."""
        self.parts: Sequence[tuple[int, str]] = ((len(body), ""),)
        """Length and checksum of each part."""

    def part(self, number: int) -> tuple[bytes, str]:
        """Return the part's content, and its checksum if the version has a composite one."""
        start = sum(length for length, _ in self.parts[: number - 1])
        length, checksum = self.parts[number - 1]
        return self.body[start : start + length], checksum
