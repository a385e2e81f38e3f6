"""A whole comparison: the buckets, the likely causes from the ledgers, the report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.deletions import held_deletions
from dualsync.runtime.operations.verify.compare import Comparison, ComparisonCounts, ComparisonDepth, Difference
from dualsync.runtime.operations.verify.reasons import Circumstances, likely_cause
from dualsync.runtime.operations.verify.report import ExplainedDifference, Report
from dualsync.runtime.service.operator_controls import read_controls

BATCH = 100
"""Keys asked of a ledger at a time."""


async def verify(
    context: OperatorContext,
    depth: ComparisonDepth,
    *,
    prefix: str = "",
    grace: float,
    on_progress: Callable[[ComparisonCounts], None],
    each: Callable[[dict[str, Any]], None] | None = None,
) -> Report:
    """Compare all keys that start with `prefix`. Changes younger than `grace` seconds count as on their way.

    `each` gets every difference as data, also those that the report does not name.
    """
    cn, global_ = context.both()
    begun = context.clock.monotonic()
    report = Report(
        pair=context.pair,
        buckets=(cn.settings.local_bucket, global_.settings.local_bucket),
        prefix=prefix,
        depth=depth,
        started=context.clock.now(),
    )
    at = Circumstances(
        now=report.started,
        grace=grace,
        events=cn.settings.events,
        on_expiry=cn.settings.on_lifecycle_expiry,
        paused=frozenset([side.name for side in (cn, global_) if (await read_controls(side.ledger)).paused]),
        held=frozenset([hold.side.name for hold in await held_deletions(context) if hold.approval is None]),
        source=cn.settings.direction.source,
        destination_expires=any(side.settings.remote_expires for side in context.carriers),
        include_metadata=cn.settings.include_metadata and global_.settings.include_metadata,
    )

    def note(seen: ComparisonCounts) -> None:
        report.add_progress_point(context.clock.monotonic() - begun, seen)
        on_progress(seen)

    comparison = Comparison(cn.lister, global_.lister, depth, prefix, [await side.scope() for side in context.carriers])
    async for found in comparison.run(note):
        for start in range(0, len(found), BATCH):
            for explained in await _explained(cn, global_, found[start : start + BATCH], at):
                report.add(explained)
                if each is not None:
                    each(explained.data)
    report.finished = context.clock.now()
    report.add_progress_point(context.clock.monotonic() - begun, comparison.seen)
    return report


async def _explained(cn: Side, global_: Side, found: list[Difference], at: Circumstances) -> list[ExplainedDifference]:
    keys = [difference.pair.key for difference in found]
    ours, theirs = await asyncio.gather(cn.ledger.get_many(keys), global_.ledger.get_many(keys))
    return [ExplainedDifference(d, likely_cause(d, ours.get(d.pair.key), theirs.get(d.pair.key), at)) for d in found]
