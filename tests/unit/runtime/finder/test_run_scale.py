"""Test a finder run over a million keys: listings are streamed, so memory does not grow with the buckets."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.model.origin_version import OriginVersion
from tests.support.builders import CN
from tests.support.finder_harness import FinderHarness
from tests.support.pages import paged

OLD = 1_700_000_000
CHANGED, GONE, NEW = 9_973, 99_991, 49_999
"""Each key whose number is a multiple has changed at the peer, is missing there, or exists only there."""


class Listed:
    """A bucket that only lists numbered keys, made page by page; `there` makes it the peer's."""

    def __init__(self, keys: int, *, there: bool) -> None:
        self._keys = keys
        self._there = there

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        for page in paged(self._rows()):
            yield page

    def _rows(self) -> Iterator[ListedObject]:
        for i in range(1, self._keys + 1):
            if i % GONE == 0 and self._there:
                continue
            if i % NEW == 0 and not self._there:
                continue
            etag = "new" if self._there and i % CHANGED == 0 else "etag"
            yield ListedObject(f"key-{i:09}", etag, 10, OLD)


class Proven:
    """A ledger whose entries prove each key synced, and that keeps none in memory."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.asked = 0

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        self.asked += len(keys)
        held = CopyState("etag", OLD)
        return {k: LedgerEntry(k, 1, SyncedVersion(OriginVersion(CN, OLD, "etag"), held, held)) for k in keys}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


def find(keys: int, *, seeded: bool = True) -> None:
    """Run the finder over these keys, and print what it found and how far its memory grew, in KiB."""
    world = FinderHarness(seeded=seeded)
    ledger = Proven(world.ledger)
    world.source, world.target = Listed(keys, there=False), Listed(keys, there=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = world.find(ledger=ledger)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(f"{report.counters.here} {report.queued} {len(world.broker.letters)} {ledger.asked} {grown}")


def found(keys: int, *, seeded: bool = True) -> list[int]:
    """Return what `find` prints in a process of its own."""
    code = f"from tests.unit.runtime.finder.test_run_scale import find; find({keys}, seeded={seeded})"
    return [int(n) for n in subprocess.check_output([sys.executable, "-c", code], text=True).split()]


def test_run_over_a_million_keys_needs_a_few_megabytes() -> None:
    here, queued, letters, asked, grown = found(1_000_000)
    assert here == 1_000_000 - 1_000_000 // NEW
    differing = 1_000_000 // CHANGED + 1_000_000 // GONE + 1_000_000 // NEW
    assert asked == differing, "the ledger is asked about what differs only"
    assert queued == letters == differing
    assert grown < 16 << 10, "memory must not grow with the buckets"


def test_memory_does_not_grow_if_all_keys_must_be_recorded() -> None:
    _, queued, _, asked, grown = found(100_000, seeded=False)
    assert asked >= 99_000
    assert queued
    assert grown < 16 << 10
