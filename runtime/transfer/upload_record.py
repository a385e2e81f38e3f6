"""A multipart upload under way: what is noted of it in the ledger, so that any worker can go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.model.objects import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRecord:
    """An upload of `key` as the route's source shows it, to be written as `to`.

    What is copied (`etag`, `size`, `stamp`, `attributes`) and how (`length` of all parts but the last; bytes) must be
    the same for an upload to be gone on with. `id` is S3's, `begun` in seconds since the epoch, `checksum` what the
    store was told to see to (`StartedUpload`; a record of an upload that can't have any keeps the next one from
    trying), and
    `corrupt` how often it did not arrive whole. The rest is of giants,
    whose parts are messages: `sent` is when they were sent (0: not yet), `parts` how many were there at `moved`,
    `stalls` how often nothing had moved since, and `look` the fields of the look that asks for all this.
    """

    route: str
    key: str
    target_key: str
    etag: str = ""
    size: int = 0
    part_length: int = 1
    stamp: str = ""
    attributes: str = ""
    upload_id: str = ""
    started: int = 0
    checksum: str = ""
    checksum_failures: int = 0
    requests_sent: int = 0
    parts: int = 0
    last_progress: int = 0
    stalls: int = 0
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Of how many parts it consists."""
        return -(-self.size // self.part_length)

    def span(self, number: int) -> tuple[int, int]:
        """From which byte to which (exclusive) part `number` (from 1) goes."""
        start = (number - 1) * self.part_length
        return start, min(start + self.part_length, self.size)

    def present(self, listed: Sequence[Part]) -> dict[int, Part]:
        """Of the parts that S3 lists those that are right, by number."""
        found = {}
        for part in listed:
            start, end = self.span(part.number)
            if part.number <= self.count and part.size == end - start:
                found[part.number] = part
        return found

    def missing(self, present: Mapping[int, Part]) -> list[int]:
        """The numbers of the parts that are not there."""
        return [number for number in range(1, self.count + 1) if number not in present]

    def is_of(self, other: UploadRecord) -> bool:
        """Return True if both carry the same version, with the same attributes, in the same parts, on the same
        route."""
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
    """The id of the record of an upload on `route` to the key `to`."""
    return f"{route}/{to}"
