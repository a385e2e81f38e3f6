"""Which version of this program a side's workers and its finder run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from dualsync.runtime.model.records import FINDER_RUN, WORKER, is_alive
from dualsync.runtime.operations.context import Side

FIRST_VERSION = "0.1.0"
"""The version whose records do not name a version."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What runs at one side."""

    side: Side
    """The side."""
    workers: Mapping[str, int]
    """Living workers per version."""
    finder: str
    """The version of the finder's last run; empty when it has not run yet."""


async def read_versions(side: Side, now: int) -> Versions:
    """Read the versions that workers and finder wrote into the ledger."""
    workers: Counter[str] = Counter()
    async for record in side.ledger.records(WORKER):
        if is_alive(record, now):
            workers[str(record.data.get("version") or FIRST_VERSION)] += 1
    finder = ""
    async for record in side.ledger.records(FINDER_RUN):
        finder = str(record.data.get("version") or FIRST_VERSION)
    return Versions(side, dict(workers), finder)
