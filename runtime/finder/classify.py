"""The three-way decision over two listings and the ledger: is there anything that events missed? Pure, table-tested.

A listing knows no stamps, so a finding only says that a key must be looked at; the worker's careful look decides. What
a finding does settle is whether that look may delete: only with an entry that proves that both sides held the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry
from dualsync.runtime.model.objects import ListedObject


class Difference(StrEnum):
    """What the finder saw, from this side's point of view."""

    NEW_HERE = "new here"
    NEW_THERE = "new at the peer"
    CHANGED_HERE = "changed here"
    CHANGED_THERE = "changed at the peer"
    CHANGED_BOTH = "differs on both sides"
    DELETED_HERE = "deleted here"
    DELETED_THERE = "deleted at the peer"
    UNKNOWN = "equal, but not in the ledger"

    @property
    def is_deletion(self) -> bool:
        """Would acting on it delete?"""
        return self in (Difference.DELETED_HERE, Difference.DELETED_THERE)


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes an absence no deletion: lifecycle rules, or that deletions do not travel at all."""

    local_expires: bool = False
    remote_expires: bool = False
    deletions_travel: bool = True


def classify(pair: ListedPair, entry: LedgerEntry | None, rules: Rules) -> Difference | None:
    """None: as agreed, or the peer's business."""
    here, there = pair.here, pair.there
    agreed = entry.synced if entry is not None else None
    here_same = here is not None and agreed is not None and _same(here, agreed.local)
    there_same = there is not None and agreed is not None and _same(there, agreed.remote)
    if here is not None and there is not None:
        if here_same and there_same:
            return None
        if agreed is None:
            alike = here.etag == there.etag and here.size == there.size
            return Difference.UNKNOWN if alike and entry is None else Difference.CHANGED_BOTH
        if here_same:
            return Difference.CHANGED_THERE
        return Difference.CHANGED_HERE if there_same else Difference.CHANGED_BOTH
    if here is not None:
        if here_same:
            return Difference.DELETED_THERE if rules.deletions_travel and not rules.remote_expires else None
        return Difference.CHANGED_HERE if agreed is not None else Difference.NEW_HERE
    if there is None or entry is None:
        return None  # the peer's finder sees it as new there
    if there_same:
        return Difference.DELETED_HERE if rules.deletions_travel and not rules.local_expires else None
    if entry.expired is not None and _same(there, entry.expired.remote):
        return None
    return Difference.CHANGED_THERE if agreed is not None else Difference.NEW_THERE


def _same(row: ListedObject, held: CopyState) -> bool:
    return row.etag == held.etag and held.modified in (None, row.modified)
