"""Are two buckets the same? Every object of both is read and compared with the other and with what users wrote."""

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


def digest(content: bytes) -> str:
    """SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Side:
    """One bucket and who reads it."""

    name: SideName
    bucket: str
    s3: Any

    def listing(self) -> dict[str, tuple[str, int]]:
        """(ETag, size) of every current object."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {o["Key"]: (o["ETag"], o["Size"]) for page in pages for o in page.get("Contents", ())}

    def read(self, key: str) -> bytes | None:
        """An object's content, None when there is none."""
        try:
            return bytes(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except ClientError as e:
            if e.response["Error"]["Code"] == "NoSuchKey":
                return None
            raise


@dataclass
class Expected:
    """What users have written and deleted so far: SHA-256 and size by key."""

    contents: dict[str, tuple[str, int]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def write(self, key: str, content: bytes) -> None:
        """A user wrote."""
        self.contents[key] = (digest(content), len(content))
        self.deleted.discard(key)

    def delete(self, key: str) -> None:
        """A user deleted."""
        self.contents.pop(key, None)
        self.deleted.add(key)


@dataclass
class Comparison:
    """The answer. `differences` names every key that is not as it should be, and why."""

    objects: dict[SideName, int]
    bytes: int
    differences: list[str]


def compare(sides: Iterable[Side], expected: Expected, told: Callable[[int], None] = lambda n: None) -> Comparison:
    """Read everything on both sides, byte for byte."""
    one, other = sides
    listings = {side.name: side.listing() for side in (one, other)}
    keys = sorted({*listings[one.name], *listings[other.name], *expected.contents})
    total = 0
    differences: list[str] = []

    def look(key: str) -> tuple[str | None, int]:
        here, there = one.read(key), other.read(key)
        return _difference(key, (one, here), (other, there), expected), 0 if here is None else len(here)

    with ThreadPoolExecutor(THREADS) as pool:
        for n, (difference, size) in enumerate(pool.map(look, keys), 1):
            total += size
            told(n)
            if difference:
                differences.append(difference)
    return Comparison({s: len(listing) for s, listing in listings.items()}, total, differences)


def _difference(key: str, one: tuple[Side, bytes | None], other: tuple[Side, bytes | None], expected: Expected) -> str:
    wanted = expected.contents.get(key)
    for side, content in (one, other):
        if wanted is None and content is not None:
            why = "a user deleted it" if key in expected.deleted else "nobody wrote it"
            return f"{key}: is on {side.name}, though {why}"
        if wanted is not None and content is None:
            return f"{key}: is missing on {side.name}"
        if wanted is not None and content is not None and digest(content) != wanted[0]:
            return f"{key}: {side.name} holds {len(content)} bytes that are not what the last writer wrote"
    if one[1] != other[1]:
        return f"{key}: {one[0].name} and {other[0].name} hold different bytes"
    return ""


def settled(sides: Iterable[Side], expected: Expected) -> list[str]:
    """Keys that the listings show to be not yet as expected: a quick look by size and equal ETags."""
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


def wait_for(condition: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Look until it holds or the time is over; whether it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
