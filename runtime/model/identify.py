"""Which version is this? The answer for an object that one of the two buckets shows, and the stamp for its replica."""

from __future__ import annotations

from dualsync.runtime.model.carried_attributes import digest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry
from dualsync.runtime.model.objects import ListedObject, ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.settings import SideName


def is_unchanged(head: ObjectHead, before: ObjectHead | ListedObject) -> bool:
    """Return True if the bucket still shows what it showed before: the same ETag of the same time."""
    return (head.etag, head.modified) == (before.etag, before.modified)


def object_mark(head: ObjectHead) -> str:
    """Return how a ledger entry names an object that the bucket shows and whose version it does not know."""
    return f"{head.modified};{head.etag}"


def matches_copy(seen: ObjectHead, held: CopyState) -> bool:
    """Return True if the bucket shows the copy that the ledger recorded.

    An unknown time is no difference. A different time is one even with equal bytes: metadata may have changed.
    """
    return seen.etag == held.etag and held.modified in (None, seen.modified)


def identify_version(
    seen: ObjectHead, *, side: SideName, pair: str, key: str, entry: LedgerEntry, local: bool, user_wrote: bool = False
) -> tuple[OriginVersion, bool]:
    """Return the version's identity, and whether a valid stamp marks it as a replica.

    `side` is the bucket's, `entry` the ledger's of the side that asks, `local` whether they are the same.
    `user_wrote` says that an event proves a user to have written exactly this, whatever stamp it carries (a copy of a
    replica carries its stamp along).
    """
    stamp = seen.stamp if seen.stamp is not None and is_valid_stamp(seen.stamp, pair, key, seen.size) else None
    own = OriginVersion(side, seen.modified, seen.etag)
    agreed = entry.synced or entry.expired
    held = None if agreed is None else agreed.local if local else agreed.remote
    if agreed is not None and held is not None and matches_copy(seen, held):
        if local and entry.synced is not None and entry.attributes not in ("", digest(seen.attributes)):
            return _rewritten_version(own, entry, agreed.version), False
        return agreed.version, stamp is not None
    if local and any(d.local == CopyState(seen.etag, seen.modified) for d in entry.deleted_versions):
        # Deleted, and here again just as it was: a user removed the delete marker, which is a new act.
        return _restored_version(own, entry), False
    if stamp is None or user_wrote:
        return own, False
    known = agreed is not None and held is not None and stamp.version == agreed.version
    if known and held is not None and seen.etag != held.etag and not seen.opaque:
        return own, False  # other content under the agreed version's stamp: a user kept the metadata
    return stamp.version, True


def _restored_version(own: OriginVersion, entry: LedgerEntry) -> OriginVersion:
    """Return the identity of a version that a user brought back: later than its deletion, the same until the next."""
    at = max(entry.deleted_at, own.modified) + 1
    while entry.was_deleted(own.as_restored(at)):
        at += 1
    return own.as_restored(at)


def _rewritten_version(own: OriginVersion, entry: LedgerEntry, before: OriginVersion) -> OriginVersion:
    """Return the identity of what a user made of the synced version within its second, by changing metadata only.

    It is later than the synced version, and the same whenever it is asked for until it is recorded.
    """
    at = max(before.modified, own.modified) + 1
    while entry.was_deleted(own.as_restored(at)):
        at += 1
    return own.as_restored(at)


def is_valid_stamp(stamp: Stamp, pair: str, key: str, size: int) -> bool:
    """Return True if the stamp is of this pair, for this key and for content of this size."""
    return stamp.pair == pair and stamp.size == size and stamp.key_hash == key_hash(key)
