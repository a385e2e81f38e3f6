"""Represent a multipart upload under way, as the ledger records it, so that any worker can continue it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.model.objects import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """An upload of one version of an object. Another plan with the same version, attributes and parts continues it."""

    route: str
    """Name of the route (`local>remote`)."""
    key: str
    """Key of the source."""
    target_key: str
    """Key that is written."""
    etag: str = ""
    """ETag of the source."""
    size: int = 0
    """Bytes of the source."""
    part_length: int = 1
    """Bytes of all parts but the last."""
    stamp: str = ""
    """Stamp of the replica, encoded."""
    attributes: str = ""
    """Digest of the attributes (`digest_attributes`)."""
    upload_id: str = ""
    """S3's id of the upload."""
    started: int = 0
    """When it began, in seconds since the epoch."""
    checksum: str = ""
    """Checksum that the store was told to verify (`StartedUpload`). A record whose upload can't have any keeps the next
    upload of this version from trying."""
    checksum_failures: int = 0
    """How often the content arrived with another checksum."""
    requests_sent: int = 0
    """When the part requests of a large object were queued, in seconds since the epoch; 0 if they were not."""
    parts: int = 0
    """How many parts were present at `last_progress`."""
    last_progress: int = 0
    """When a part was last added, in seconds since the epoch."""
    stalls: int = 0
    """How often a check found no new part since."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the sync request that asks for the object."""

    @property
    def part_count(self) -> int:
        """Return the number of its parts."""
        return -(-self.size // self.part_length)

    def part_range(self, number: int) -> tuple[int, int]:
        """Return the first byte and the end (exclusive) of part `number`, counted from 1."""
        start = (number - 1) * self.part_length
        return start, min(start + self.part_length, self.size)

    def present_parts(self, listed: Sequence[Part]) -> dict[int, Part]:
        """Return those of the parts that S3 lists which have the right length, by number."""
        found = {}
        for part in listed:
            start, end = self.part_range(part.number)
            if part.number <= self.part_count and part.size == end - start:
                found[part.number] = part
        return found

    def missing_numbers(self, present: Mapping[int, Part]) -> list[int]:
        """Return the numbers of the parts that are not there."""
        return [number for number in range(1, self.part_count + 1) if number not in present]

    def is_same_copy(self, other: UploadRecord) -> bool:
        """Return True if both carry the same version on the same route, with equal attributes and parts."""
        return self._plan == other._plan

    @property
    def _plan(self) -> tuple[str | int, ...]:
        return (
            self.route,
            self.key,
            self.target_key,
            self.etag,
            self.size,
            self.part_length,
            self.stamp,
            self.attributes,
        )


def record_id(route: str, to: str) -> str:
    """Return the id of the record of an upload on `route` to the key `to`."""
    return f"{route}/{to}"
