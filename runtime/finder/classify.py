"""Compare a key's listing rows on both sides with the ledger and name the difference that events missed.

Pure, with a table test. Listings have no stamps, so a difference only means that the key must be checked; the worker's
full check decides. A deletion is a difference only where a ledger entry proves that both sides held the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry
from dualsync.runtime.model.objects import ListedObject
from dualsync.runtime.settings import Events, FirstContact, Settings

SKEW_SECONDS = 60
"""Seconds by which this machine's clock and the peer's bucket may differ."""


class Difference(StrEnum):
    """A difference between the listings and the ledger, from this side's point of view."""

    NEW_HERE = "new here"
    """Only this side has the key, and no synced version is recorded."""

    NEW_THERE = "new at the peer"
    """Only the peer has the key, and the entry records no synced version."""

    CHANGED_HERE = "changed here"
    """This side's object is not the synced version, the peer's is, or the peer has none."""

    CHANGED_THERE = "changed at the peer"
    """The peer's object is not the synced version, this side's is, or this side has none."""

    CHANGED_BOTH = "differs on both sides"
    """Neither object is the synced version, or none is recorded and the objects differ."""

    DELETED_HERE = "deleted here"
    """The peer still holds the synced version, this side has no object."""

    DELETED_THERE = "deleted at the peer"
    """This side still holds the synced version, the peer has no object."""

    MISSING_THERE = "missing at the destination"
    """As `DELETED_THERE` in a one-way pair: the object is copied again."""

    UNKNOWN = "equal, but not in the ledger"
    """Both sides hold equal objects, and the ledger has no entry: the ledger gets one."""

    OTHER_METADATA = "equal content, other metadata"
    """As `UNKNOWN`, but the content type or other metadata differ: the conflict rule decides."""

    @property
    def is_deletion(self) -> bool:
        """True for differences that are resolved by deleting an object."""
        return self in (Difference.DELETED_HERE, Difference.DELETED_THERE)


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings under which a missing key is not a deletion."""

    local_expires: bool = False
    """A lifecycle rule expires objects of this side's bucket."""

    remote_expires: bool = False
    """A lifecycle rule expires objects of the peer's bucket."""

    deletions_travel: bool = True
    """Deletions are synchronised at all."""

    equal_sizes: bool = False
    """Objects of equal size without a ledger entry are equal (`FirstContact.SIZE`)."""

    one_way: bool = False
    """This side is the source of a one-way pair: what exists only at the peer stays, and no absence there deletes."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        """Return the rules of a side's settings."""
        return cls(
            local_expires=settings.local_expires,
            remote_expires=settings.remote_expires,
            deletions_travel=settings.events is not Events.CREATE,
            equal_sizes=settings.first_contact is FirstContact.SIZE,
            one_way=settings.direction.one_way,
        )


def classify(pair: ListedPair, entry: LedgerEntry | None, rules: Rules) -> Difference | None:
    """Return the difference; None if both sides are as recorded, or if the peer's finder handles it."""
    here, there = pair.here, pair.there
    agreed = entry.synced if entry is not None else None
    here_same = here is not None and agreed is not None and _same(here, agreed.local)
    there_same = there is not None and agreed is not None and _same(there, agreed.remote)
    if rules.one_way and there is not None and entry is not None:
        there_same = there_same and not _written_since(there, entry)
    if here is not None and there is not None:
        if here_same and there_same:
            return None
        if agreed is None:
            alike = here.size == there.size and (here.etag == there.etag or rules.equal_sizes)
            return Difference.UNKNOWN if alike and entry is None else Difference.CHANGED_BOTH
        if here_same:
            return Difference.CHANGED_THERE
        return Difference.CHANGED_HERE if there_same else Difference.CHANGED_BOTH
    if here is not None:
        if here_same and rules.one_way:
            return None if rules.remote_expires else Difference.MISSING_THERE
        if here_same:
            return Difference.DELETED_THERE if rules.deletions_travel and not rules.remote_expires else None
        return Difference.CHANGED_HERE if agreed is not None else Difference.NEW_HERE
    if there is None or entry is None:
        return None  # the peer's finder sees it as new there
    if there_same:
        return Difference.DELETED_HERE if rules.deletions_travel and not rules.local_expires else None
    if rules.one_way or (entry.expired is not None and _same(there, entry.expired.remote)):
        return None
    return Difference.CHANGED_THERE if agreed is not None else Difference.NEW_THERE


def _written_since(there: ListedObject, entry: LedgerEntry) -> bool:
    """Return True if the peer's object was written after its copy was recorded: its metadata may be other.

    A two-way pair gets an event of such a write. A copy's entry lacks the time of the peer's object until a check.
    """
    unread = entry.synced is not None and entry.synced.remote.modified is None
    return unread and there.modified > entry.updated + SKEW_SECONDS


def _same(row: ListedObject, held: CopyState) -> bool:
    return row.etag == held.etag and held.modified in (None, row.modified)
