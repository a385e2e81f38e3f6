"""What travelled in a period: the side's own metrics, and the log lines of what failed or was skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.errors import DualSyncError
from dualsync.runtime.log import Outcome
from dualsync.runtime.operations.audit import read_audit_trail
from dualsync.runtime.operations.context import OperatorContext, Side

MAX_LOG_LINES = 500
"""Log lines that are read per direction and kind at most; the counts are of everything."""
MAX_ACTS = 1000
"""Newest acts of operators that are searched."""
COUNTED_METRICS: Mapping[str, str] = {
    "copied": "TransferredObjects",
    "bytes": "CompletedBytes",
    "deleted": "DeletedObjects",
    "failed": "FailedObjects",
    "conflicts": "Conflicts",
    "echoes": "EchoesSuppressed",
    "postponed": "Postponed",
}
"""What is reported, and the metric that counts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionReport:
    """One direction in a period."""

    name: str
    """`cn->global`."""
    totals: Mapping[str, int] | None
    """Counts by the names of `COUNTED_METRICS`; None: the metrics are not visible to this operator."""
    failed: Sequence[Mapping[str, Any]] | None
    """Log lines of what failed or became a dead letter; None: the logs are not visible."""
    skipped: Sequence[Mapping[str, Any]] | None
    """Log lines of what was skipped; None: the logs are not visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReport:
    """The pair's directions in a period. Times in seconds since the epoch."""

    pair: str
    """The pair."""
    since: float
    """The period's begin."""
    until: float
    """Its end."""
    directions: Sequence[DirectionReport] = ()
    """Those that can be seen."""
    acts: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """What operators did in that time."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Sides whose ledger, which has these acts, can't be read, and why."""

    @property
    def has_failures(self) -> bool:
        """Whether something failed."""
        return any((d.totals or {}).get("failed") or d.failed for d in self.directions)

    @property
    def is_complete(self) -> bool:
        """Whether everything that the report shows could be read."""
        return not self.unread and all(None not in (d.totals, d.failed, d.skipped) for d in self.directions)


async def report(context: OperatorContext, since: float, until: float) -> PeriodReport:
    """Read what travelled from `since` to `until`. Reads only."""
    sides = context.carriers
    directions = await asyncio.gather(*(_direction_report(side, since, until) for side in sides))
    acts: dict[str, dict[str, Any]] = {}
    unread: dict[str, str] = {}
    for side in sides:
        try:
            records = await read_audit_trail(side, MAX_ACTS)
        except DualSyncError as e:
            unread[str(side.name)] = str(e)
            continue
        for record in records:
            if since <= record.time < until:
                known = acts.setdefault(record.id, {**record.data, "time": record.time, "sides": []})
                known["sides"].append(str(side.name))
    ordered = sorted(acts.values(), key=lambda act: int(act["time"]))
    return PeriodReport(pair=context.pair, since=since, until=until, directions=directions, acts=ordered, unread=unread)


async def _direction_report(side: Side, since: float, until: float) -> DirectionReport:
    sums, failed, skipped = await asyncio.gather(
        side.metrics.metric_sums(list(COUNTED_METRICS.values()), since, until),
        side.history.outcomes([Outcome.FAILED, Outcome.BURIED], since, until, MAX_LOG_LINES),
        side.history.outcomes([Outcome.SKIPPED], since, until, MAX_LOG_LINES),
    )
    totals = None if sums is None else {name: int(sums.get(metric, 0)) for name, metric in COUNTED_METRICS.items()}
    return DirectionReport(name=side.direction, totals=totals, failed=failed, skipped=skipped)
