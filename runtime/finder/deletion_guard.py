"""The deletion guard: deletions of a finder run above a limit wait for an operator's approval.

All deletions of a run are held back until every range is compared, so that the limits count all of them. An approval
is for one run. Copies are never held back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.finder.report import Report
from dualsync.runtime.model.records import APPROVAL_ID, DELETION_APPROVAL, HELD_DELETION, HELD_ID, Record
from dualsync.runtime.ports import Clock, Ledger
from dualsync.runtime.settings import Settings

FREE_SHARE = 10
"""Deletions that need no approval, whatever share of the keys they are."""
SAMPLE = 100
"""Most held keys that the record lists."""
MAX_SAMPLE_CHARACTERS = 256
"""Characters of such a key. JSON writes one in up to 12 bytes, and the record has room for 400 KB (DynamoDB's largest
item)."""


async def read_approval(ledger: Ledger) -> Record | None:
    """Return an operator's approval of held deletions, if there is one."""
    return await ledger.get_record(DELETION_APPROVAL, APPROVAL_ID)


@dataclass(slots=True)
class DeletionGuard:
    """Holds back the deletions of one run, and decides at its end whether they are queued."""

    settings: Settings
    """The limits."""

    approval: Record | None
    """An operator's approval, which this run uses up."""

    ranges: list[RangeProgress] = field(default_factory=list)
    """The ranges of the run, each with its deletions so far."""

    @property
    def approved_count(self) -> int:
        """Number of deletions that an operator has approved."""
        value = self.approval.data.get("up_to", 0) if self.approval is not None else 0
        return max(0, value) if type(value) is int else 0

    @property
    def held_back(self) -> list[tuple[str, Difference]]:
        """The deletions that are held back, range by range."""
        return [deletion for each in self.ranges for deletion in each.kept]

    def hold_back(self, progress: RangeProgress, key: str, difference: Difference) -> bool:
        """Count a deletion. Return False if it is approved and may be queued at once, else remember it.

        More than the limits allow need not be remembered: they are held anyway, and the record lists a sample.
        """
        progress.report.deletions += 1
        if sum(each.report.deletions for each in self.ranges) <= self.approved_count:
            return False
        most = max(self.settings.deletion_limit, SAMPLE, FREE_SHARE)
        if sum(len(each.kept) for each in self.ranges) < most:
            progress.kept.append((key, difference))
        return True

    async def decide(self, report: Report, ledger: Ledger, clock: Clock) -> Sequence[tuple[str, Difference]]:
        """Return the deletions to queue at the end of the run; none if they are held.

        `report.reason` and `report.held` say whether and why. The held deletions' record is written or removed.
        """
        if self.approval is not None:
            await ledger.remove_record(self.approval)
        waiting = report.deletions - min(report.deletions, self.approved_count)
        report.reason = self._too_many(report, waiting)
        if not report.reason:
            held = await ledger.get_record(HELD_DELETION, HELD_ID)
            if held is not None:
                await ledger.remove_record(held)
            return self.held_back
        report.held = waiting
        sample = [_sample_line(key, difference) for key, difference in self.held_back[:SAMPLE]]
        data = {"count": waiting, "reason": report.reason, "sample": sample}
        await ledger.record(Record(HELD_DELETION, HELD_ID, int(clock.now()), data=data))
        return ()

    def _too_many(self, report: Report, deletions: int) -> str:
        """Return which limit these deletions exceed, in words; empty for none."""
        settings, counters = self.settings, report.counters
        if not deletions:
            return ""
        if not counters.here or not counters.there:
            return "one bucket's listing is empty, which usually means a wrong bucket or prefix"
        if deletions > settings.deletion_limit:
            return f"{deletions} deletions, more than {settings.deletion_limit} (DUALSYNC_DELETION_LIMIT)"
        total = max(counters.here, counters.there)
        if deletions > FREE_SHARE and deletions * 100 > settings.deletion_limit_percent * total:
            return (
                f"{deletions} deletions of {total} keys, more than {settings.deletion_limit_percent} %"
                " (DUALSYNC_DELETION_LIMIT_PERCENT)"
            )
        return ""


def _sample_line(key: str, difference: Difference) -> str:
    """Return a held deletion for the record. The middle of a long key is left out, and the line says so."""
    if len(key) <= MAX_SAMPLE_CHARACTERS:
        return f"{difference}: {key}"
    half = MAX_SAMPLE_CHARACTERS // 2
    return f"{difference}, shortened: {key[:half]}…{key[1 - half :]}"
