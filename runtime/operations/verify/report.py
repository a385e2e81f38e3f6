"""A comparison's report: counts of everything, names of some, and the same as data, text and a page."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.operations.verify.compare import ComparisonCounts, ComparisonDepth, Difference
from dualsync.runtime.operations.verify.reasons import Cause

MAX_NAMED_DIFFERENCES = 1000
"""Differences that are named in the report. All are counted, and written to the list if there is one."""
MAX_FOLDERS = 1000
"""First folders that are counted apart."""
NEXT_STEPS: dict[str, str] = {
    str(Cause.HELD): "`dualsync deletions list`, then `dualsync deletions approve` or `dualsync deletions reject`",
    str(Cause.PAUSED): "`dualsync resume`",
    str(Cause.DELETED): "`dualsync status`; `dualsync explain KEY`",
    str(Cause.CHANGED): "`dualsync status`; `dualsync drain` waits for what is on its way",
    str(Cause.CHANGED_BOTH): "`dualsync status`; `dualsync drain` waits for what is on its way",
    str(Cause.MISSED): "`dualsync dlq list`; `dualsync reconcile` queues what no event has announced",
    str(Cause.DISAGREED): "`dualsync reconcile`",
    str(Cause.ARCHIVED): "restore the objects in S3: they are copied after that",
    str(Cause.SIMILAR): "`dualsync verify --content all` reads the content",
}
"""The next command per cause."""
AGES = (
    (300, "up to 5 min"),
    (3600, "up to 1 h"),
    (86400, "up to 1 d"),
    (604_800, "up to 7 d"),
    (2_592_000, "up to 30 d"),
    (math.inf, "older"),
)
SIZES = (
    (1 << 10, "up to 1 KiB"),
    (1 << 20, "up to 1 MiB"),
    (1 << 27, "up to 128 MiB"),
    (1 << 30, "up to 1 GiB"),
    (math.inf, "larger"),
)


@dataclass(frozen=True, slots=True)
class ExplainedDifference:
    """A difference with its likely cause."""

    difference: Difference
    """The difference."""
    cause: Cause
    """Its likely cause."""

    @property
    def data(self) -> dict[str, Any]:
        """For programs."""
        pair = self.difference.pair
        return {
            "key": pair.key,
            "kind": str(self.difference.kind),
            "why": str(self.cause),
            "fault": self.cause.is_fault,
            "detail": self.difference.detail,
            **{
                side: None if item is None else {"size": item.size, "etag": item.etag, "modified": item.modified}
                for side, item in (("cn", pair.cn), ("global", pair.global_))
            },
        }


@dataclass(slots=True, kw_only=True)
class Report:
    """The result of a comparison. Times in seconds since the epoch."""

    pair: str
    """Name of the pair."""
    buckets: tuple[str, str]
    """Names of the buckets, `cn`'s first."""
    prefix: str
    """Prefix of the compared keys, relative to the sides' prefixes; empty for all."""
    depth: ComparisonDepth
    """How closely the objects were compared."""
    started: float
    """When the comparison started."""
    finished: float = 0.0
    """When it ended; 0 while it runs."""
    seen: ComparisonCounts = field(default_factory=ComparisonCounts)
    """Counts of what was compared."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Differences per kind."""
    causes: Counter[str] = field(default_factory=Counter)
    """Differences per cause."""
    folders: Counter[str] = field(default_factory=Counter)
    """Differences per first folder."""
    ages: Counter[str] = field(default_factory=Counter)
    """Differences per age of the newer object."""
    sizes: Counter[str] = field(default_factory=Counter)
    """Differences per size of the larger object."""
    progress: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the start, keys compared), a point now and then."""
    faults: int = 0
    """Differences that count as wrong."""
    differences: int = 0
    """All differences."""
    named: list[ExplainedDifference] = field(default_factory=list)
    """The first differences, by name."""

    @property
    def is_consistent(self) -> bool:
        """Whether both sides are the same, except for changes under way and those that the settings exclude."""
        return not self.faults

    def add(self, explained: ExplainedDifference) -> None:
        """Count one difference."""
        pair = explained.difference.pair
        items = [item for item in (pair.cn, pair.global_) if item is not None]
        self.differences += 1
        self.faults += explained.cause.is_fault
        self.kinds[str(explained.difference.kind)] += 1
        self.causes[str(explained.cause)] += 1
        folder = pair.key.split("/", 1)[0] + "/" if "/" in pair.key else "(no folder)"
        self.folders[folder if folder in self.folders or len(self.folders) < MAX_FOLDERS else "(others)"] += 1
        age = self.started - max(item.modified for item in items)
        self.ages[next(name for limit, name in AGES if age <= limit)] += 1
        size = max(item.size for item in items)
        self.sizes[next(name for limit, name in SIZES if size <= limit)] += 1
        if len(self.named) < MAX_NAMED_DIFFERENCES:
            self.named.append(explained)

    def add_progress_point(self, seconds: float, seen: ComparisonCounts) -> None:
        """Add a point of the progress, `seconds` after the start; drop every second one when there are many."""
        self.seen = seen
        self.progress.append((seconds, max(seen.cn, seen.global_)))
        if len(self.progress) > 400:
            self.progress = self.progress[::2]

    @property
    def verdict(self) -> str:
        """One sentence."""
        if not self.differences:
            return "Both sides are the same."
        under_way = self.causes[str(Cause.UNDER_WAY)]
        wanted = self.causes[str(Cause.WANTED)]
        rest = f"{under_way} on their way, {wanted} so by the settings"
        if self.is_consistent:
            return f"Both sides are the same, but for {rest}."
        differ = "1 key differs" if self.faults == 1 else f"{self.faults} keys differ"
        return f"{differ}; besides, {rest}."

    @property
    def next_steps(self) -> list[str]:
        """The commands for what was found, the most frequent cause first."""
        steps = [NEXT_STEPS[cause] for cause, _ in self.causes.most_common() if cause in NEXT_STEPS]
        return list(dict.fromkeys(steps))

    @property
    def data(self) -> dict[str, Any]:
        """For programs."""
        seen, depth = self.seen, self.depth
        return {
            "pair": self.pair,
            "buckets": {"cn": self.buckets[0], "global": self.buckets[1]},
            "prefix": self.prefix,
            "started": self.started,
            "finished": self.finished,
            "looked_at": {
                "content": str(depth.content),
                "metadata": depth.metadata,
                "tags": depth.tags,
                "sample_percent": depth.sample,
            },
            "same": self.is_consistent,
            "verdict": self.verdict,
            "keys": {
                "cn": seen.cn,
                "global": seen.global_,
                "equal": seen.equal,
                "looked_at_closely": seen.checked_closely,
            },
            "bytes": {"cn": seen.cn_bytes, "global": seen.global_bytes, "read": seen.read_bytes},
            "faults": self.faults,
            "differences": self.differences,
            "kinds": dict(self.kinds),
            "causes": dict(self.causes),
            "folders": dict(self.folders.most_common(50)),
            "ages": dict(self.ages),
            "sizes": dict(self.sizes),
            "next_steps": self.next_steps,
            "named": [explained.data for explained in self.named],
        }
