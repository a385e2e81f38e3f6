"""Compare the attributes of pairs with equal ETags that have no ledger entry, before they are recorded as the same.

A listing shows no metadata. Both buckets may hold the same bytes under another content type or other metadata, if they
were filled by different tools. Such a pair is queued, and the worker applies the conflict rule.
"""

from __future__ import annotations

from collections.abc import Sequence

from dualsync.runtime.errors import (
    CredentialRejectedError,
    DualSyncError,
    FatalError,
    ThrottledError,
    UnavailableError,
)
from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.model.carried_attributes import select_carried
from dualsync.runtime.model.conflict_order import wins
from dualsync.runtime.model.identify import is_unchanged
from dualsync.runtime.model.ledger_entry import CopyState, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.ports import Bucket
from dualsync.runtime.settings import FirstContact, Settings

HEADS_AT_ONCE = 100
"""Pairs whose objects are examined at a time. A round trip to the peer takes 250 ms."""


async def attributes_differ(pair: ListedPair, local: Bucket, remote: Bucket, settings: Settings) -> bool:
    """Return True if the pair is to be queued: its attributes differ, or it changed since it was listed."""
    if settings.first_contact is FirstContact.SIZE:
        return False
    here, there = await local.head(pair.key), await remote.head(pair.key)
    if here is None or there is None or pair.here is None or pair.there is None:
        return True
    if not (is_unchanged(here, pair.here) and is_unchanged(there, pair.there)):
        return True
    of_here, of_there = (
        select_carried(h.attributes, include_metadata=settings.include_metadata) for h in (here, there)
    )
    return of_here != of_there


async def compare_attributes(
    pair: ListedPair, local: Bucket, remote: Bucket, settings: Settings
) -> bool | DualSyncError:
    """Return whether the pair is to be queued, or the error of an object that can't be read: no key ends the run.

    Raises `CredentialRejectedError` and `FatalError`.
    """
    try:
        return await attributes_differ(pair, local, remote, settings)
    except (CredentialRejectedError, FatalError):
        raise
    except DualSyncError as error:
        return error


def unreadable_pairs(
    pairs: Sequence[ListedPair], found: Sequence[bool | DualSyncError]
) -> list[tuple[ListedPair, DualSyncError]]:
    """Return the pairs whose objects can't be read, with their errors.

    Raises the first error if none of several pairs got an answer: then the service is at fault.
    """
    failed = [(pair, error) for pair, error in zip(pairs, found, strict=True) if isinstance(error, DualSyncError)]
    if len(failed) == len(pairs) > 1 and all(isinstance(e, ThrottledError | UnavailableError) for _, e in failed):
        raise failed[0][1]
    return failed


def synced_version(pair: ListedPair, settings: Settings) -> SyncedVersion | None:
    """Return what both sides hold, under the name of the conflict rule's winner, so that both sides use one name."""
    here, there = pair.here, pair.there
    if here is None or there is None:
        return None
    ours = OriginVersion(settings.side, here.modified, here.etag)
    theirs = OriginVersion(settings.side.peer, there.modified, there.etag)
    version = ours if wins(ours, theirs, settings.conflict_policy) else theirs
    return SyncedVersion(version, CopyState(here.etag, here.modified), CopyState(there.etag, there.modified))
