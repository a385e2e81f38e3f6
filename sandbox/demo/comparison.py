"""Compares two buckets object by object with each other and with the objects that users wrote."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName

THREADS = 12
"""Objects that are read at a time."""


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Side:
    """One bucket with a client that reads it."""

    name: SideName
    """The side."""

    bucket: str
    """Name of the bucket."""

    s3: Any
    """S3 client of a user in the side's account."""

    def listing(self) -> dict[str, tuple[str, int]]:
        """Return ETag and size of every current object."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {o["Key"]: (o["ETag"], o["Size"]) for page in pages for o in page.get("Contents", ())}

    def read(self, key: str) -> bytes | None:
        """Return an object's content, None when there is no object."""
        try:
            return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as e:
            if e.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise


@dataclass
class Expected:
    """Writes and deletions of users so far."""

    contents: dict[str, tuple[str, int]] = field(default_factory=dict)
    """SHA-256 and size by key."""

    deleted: set[str] = field(default_factory=set)
    """Keys whose last change was a deletion."""

    def write(self, key: str, content: bytes) -> None:
        """Record that a user wrote an object."""
        self.contents[key] = (digest(content), len(content))
        self.deleted.discard(key)

    def delete(self, key: str) -> None:
        """Record that a user deleted an object."""
        self.contents.pop(key, None)
        self.deleted.add(key)


@dataclass
class Comparison:
    """The result of a comparison."""

    objects: dict[SideName, int]
    """Number of objects per side."""

    bytes: int
    """Bytes read on the first side."""

    differences: list[str]
    """One line per key that is not as expected, with the reason."""


def compare(sides: Iterable[Side], expected: Expected, report: Callable[[int], None] = lambda n: None) -> Comparison:
    """Read and compare every object of both sides; `report` is called with the number of keys so far."""
    one, other = sides
    listings = {side.name: side.listing() for side in (one, other)}
    keys = sorted({*listings[one.name], *listings[other.name], *expected.contents})
    total = 0
    differences: list[str] = []

    def compare_key(key: str) -> tuple[str | None, int]:
        here, there = one.read(key), other.read(key)
        return _difference(key, (one, here), (other, there), expected), 0 if here is None else len(here)

    with ThreadPoolExecutor(THREADS) as pool:
        for n, (difference, size) in enumerate(pool.map(compare_key, keys), 1):
            total += size
            report(n)
            if difference:
                differences.append(difference)
    return Comparison({s: len(listing) for s, listing in listings.items()}, total, differences)


def _difference(key: str, one: tuple[Side, bytes | None], other: tuple[Side, bytes | None], expected: Expected) -> str:
    wanted = expected.contents.get(key)
    for side, content in (one, other):
        if wanted is None and content is not None:
            why = "a user deleted it" if key in expected.deleted else "no user wrote it"
            return f"{key}: is on {side.name}, although {why}"
        if wanted is not None and content is None:
            return f"{key}: is missing on {side.name}"
        if wanted is not None and content is not None and digest(content) != wanted[0]:
            return f"{key}: {side.name} holds {len(content)} bytes that differ from the last write"
    if one[1] != other[1]:
        return f"{key}: {one[0].name} and {other[0].name} hold different bytes"
    return ""


def unsettled(sides: Iterable[Side], expected: Expected) -> list[str]:
    """Return the keys whose sizes and ETags in the listings are not yet as expected."""
    one, other = sides
    here, there = one.listing(), other.listing()
    sizes = {key: size for key, (_, size) in expected.contents.items()}
    late = [k for k, size in sizes.items() if here.get(k, _NONE)[1] != size or not _alike(here, there, k)]
    return late + sorted(({*here, *there}) - set(expected.contents))


_NONE = ("", -1)


def _alike(here: Mapping[str, tuple[str, int]], there: Mapping[str, tuple[str, int]], key: str) -> bool:
    a, b = here.get(key, _NONE), there.get(key, _NONE)
    parts = "-" in a[0] or "-" in b[0]
    return a[1] == b[1] and (parts or a[0] == b[0])


QUIET_SECONDS = 0.3
"""Time without a log line of a worker after which the buckets are listed."""

LISTING_SECONDS = 3.0
"""Time after which the buckets are listed although workers log."""


class Lull:
    """Decides when to list the buckets: when the workers have stopped logging.

    The emulator is one process. Listings of a thousand objects, one after the other, would take from the workers about
    as much of its time as they use themselves.
    """

    def __init__(self, lines: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._lines, self._clock = lines, clock
        self._seen = lines()
        self._changed = self._listed = clock()

    def __call__(self) -> bool:
        """Return True if a listing is due, and count it as made."""
        now, seen = self._clock(), self._lines()
        if seen != self._seen:
            self._seen, self._changed = seen, now
        quiet = now - max(self._changed, self._listed) >= QUIET_SECONDS
        if not quiet and now - self._listed < LISTING_SECONDS:
            return False
        self._listed = now
        return True


def wait_for(condition: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Poll until `condition` holds or `seconds` have passed, and return whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
