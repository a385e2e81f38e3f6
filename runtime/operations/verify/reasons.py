"""Why two sides differ on a key, as far as ledgers, settings and pauses show it. Pure.

The comparison does not depend on this: a difference is one whatever is said here of its cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry
from dualsync.runtime.model.objects import ARCHIVES
from dualsync.runtime.operations.verify.bucket_lister import Item
from dualsync.runtime.operations.verify.compare import Difference, Kind
from dualsync.runtime.settings import Events, OnLifecycleExpiry, SideName


class Cause(StrEnum):
    """The likely cause of a difference. The first two are no fault."""

    UNDER_WAY = "changed lately: probably on its way"
    """The change is younger than the grace period."""
    WANTED = "so by the pair's settings"
    """The pair's settings exclude the change."""
    PAUSED = "the direction is paused"
    """An operator paused the direction."""
    HELD = "deleted on one side, and held for your decision"
    """The finder holds its deletions."""
    DELETED = "deleted on one side, and the deletion has not travelled"
    """One side deleted the object; the ledger proves that both held it."""
    CHANGED = "changed on one side since both agreed, and not carried yet"
    """One side has another version than the ledger."""
    CHANGED_BOTH = "changed on both sides since they agreed"
    """Both sides have another version than the ledger."""
    MISSED = "no ledger has an entry: its event was lost, is a dead letter, or is still to be handled"
    """Neither ledger has an entry of the key."""
    ARCHIVED = "archived: it can't be read until it is restored"
    """The object is in an archive storage class."""
    DISAGREED = "both ledgers say that the sides agree on this: the sides were changed without an event"
    """Both ledgers call the sides synced."""
    SIMILAR = "the content is equal or unknown: look at the detail"
    """No difference is proven."""

    @property
    def is_fault(self) -> bool:
        """Whether it counts as wrong. What is under way or wanted does not."""
        return self not in (Cause.UNDER_WAY, Cause.WANTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is the same for all keys."""

    now: float
    """When the comparison started, seconds since the epoch."""
    grace: float
    """Younger differences count as on their way, in seconds."""
    events: Events = Events.CREATE_AND_DELETE
    """Which changes travel."""
    on_expiry: OnLifecycleExpiry = OnLifecycleExpiry.IGNORE
    """What an expiry means for the other side."""
    paused: frozenset[SideName] = frozenset()
    """Sides whose direction is paused."""
    held: frozenset[SideName] = frozenset()
    """Sides whose finder holds deletions."""
    include_metadata: bool = True
    """Whether user metadata travels."""
    source: SideName | None = None
    """The source of a one-way pair; None for a two-way one."""
    destination_expires: bool = False
    """Whether a lifecycle rule expires objects of a one-way pair's destination."""


def likely_cause(
    difference: Difference, cn: LedgerEntry | None, global_: LedgerEntry | None, at: Circumstances
) -> Cause:
    """Return the likely cause of one difference; `cn` and `global_` are the key's ledger entries."""
    a, b = difference.pair.cn, difference.pair.global_
    newest = max(item.modified for item in (a, b) if item is not None)
    touched = max((entry.updated for entry in (cn, global_) if entry is not None), default=0)
    if at.now - max(newest, touched) < at.grace:
        return Cause.UNDER_WAY
    if difference.kind in (Kind.METADATA, Kind.TAGS, Kind.UNSURE, Kind.UNREADABLE):
        wanted = difference.kind is Kind.METADATA and not at.include_metadata
        return Cause.WANTED if wanted or difference.kind is Kind.TAGS else Cause.SIMILAR
    if a is None or b is None:
        return _cause_if_one_sided(a or b, SideName.CN if b is None else SideName.GLOBAL, cn, global_, at)
    return _cause_if_on_both(a, b, cn, global_, at)


def _cause_if_one_sided(
    item: Item | None, there: SideName, cn: LedgerEntry | None, global_: LedgerEntry | None, at: Circumstances
) -> Cause:
    """Return the cause where only `there` has the key."""
    here, gone = (cn, global_) if there is SideName.CN else (global_, cn)
    if item is None:
        return Cause.MISSED
    if at.source is not None and there is not at.source and not _is_synced_version(item, gone, local=False):
        return Cause.WANTED  # it exists only at the destination, where it stays
    if at.source is there and _is_synced_version(item, here, local=True) and item.storage_class not in ARCHIVES:
        return Cause.WANTED if at.destination_expires else _or_paused(Cause.CHANGED, there, at)
    if gone is not None and gone.expired is not None and at.on_expiry is OnLifecycleExpiry.IGNORE:
        return Cause.WANTED
    deleted = (_is_synced_version(item, here, local=True), _is_synced_version(item, gone, local=False))
    if any(deleted):
        if at.events is Events.CREATE:
            return Cause.WANTED
        # The hold goes first: to resume the direction would not end it.
        return Cause.HELD if at.held else _or_paused(Cause.DELETED, there.peer, at)
    if item.storage_class in ARCHIVES:
        return Cause.ARCHIVED
    if here is not None and here.synced is not None:
        return _or_paused(Cause.CHANGED, there, at)
    return _or_paused(Cause.MISSED, there, at)


def _cause_if_on_both(
    a: Item, b: Item, cn: LedgerEntry | None, global_: LedgerEntry | None, at: Circumstances
) -> Cause:
    ours = _is_synced_version(a, cn, local=True) or _is_synced_version(a, global_, local=False)
    theirs = _is_synced_version(b, cn, local=False) or _is_synced_version(b, global_, local=True)
    if ours and theirs:
        return Cause.DISAGREED
    if ours:
        return _or_paused(Cause.CHANGED, SideName.GLOBAL, at)
    if theirs:
        return _or_paused(Cause.CHANGED, SideName.CN, at)
    known = any(entry is not None and entry.synced is not None for entry in (cn, global_))
    cause = Cause.CHANGED_BOTH if known else Cause.MISSED
    return Cause.PAUSED if at.paused else cause


def _is_synced_version(item: Item, entry: LedgerEntry | None, *, local: bool) -> bool:
    """Return True if it is the version that `entry` records as synced."""
    if entry is None or entry.synced is None:
        return False
    held: CopyState = entry.synced.local if local else entry.synced.remote
    return item.etag == held.etag and held.modified in (None, item.modified)


def _or_paused(cause: Cause, carrier: SideName, at: Circumstances) -> Cause:
    return Cause.PAUSED if (at.source or carrier) in at.paused else cause
