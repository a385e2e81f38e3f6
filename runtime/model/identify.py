"""Which version is this? The answer for an object that one of the two buckets shows, and the stamp for its replica."""

from __future__ import annotations

from dualsync.runtime.model.ledger_entry import Entry, Held
from dualsync.runtime.model.objects import Seen
from dualsync.runtime.model.origin_version import Identity, Stamp, key_hash
from dualsync.runtime.settings import SideName


def same(seen: Seen, held: Held) -> bool:
    """Is what the bucket shows what it held then? An unknown time is no difference; another time is, with equal bytes:
    metadata may have changed."""
    return seen.etag == held.etag and held.modified in (None, seen.modified)


def name_version(
    seen: Seen, *, side: SideName, pair: str, key: str, entry: Entry, local: bool, user_wrote: bool = False
) -> tuple[Identity, bool]:
    """The version's identity, and whether it is a replica (a valid stamp says so).

    `side` is the bucket's, `entry` the ledger's of the side that asks, `local` whether they are the same.
    `user_wrote` says that an event proves a user to have written exactly this, whatever stamp it carries (a copy of a
    replica carries its stamp along).
    """
    stamp = seen.stamp if seen.stamp is not None and valid(seen.stamp, pair, key, seen.size) else None
    own = Identity(side, seen.modified, seen.etag)
    agreed = entry.agreed or entry.expired
    held = None if agreed is None else agreed.local if local else agreed.remote
    if agreed is not None and held is not None and same(seen, held):
        return agreed.identity, stamp is not None
    if local and any(d.local == Held(seen.etag, seen.modified) for d in entry.dead):
        # Deleted, and here again just as it was: a user removed the delete marker, which is a new act.
        return _restored(own, entry), False
    if stamp is None or user_wrote:
        return own, False
    known = agreed is not None and held is not None and stamp.identity == agreed.identity
    if known and held is not None and seen.etag != held.etag and not seen.opaque:
        return own, False  # other content under the agreed version's stamp: a user kept the metadata
    return stamp.identity, True


def _restored(own: Identity, entry: Entry) -> Identity:
    """Later than its deletion, and the same whenever it is asked for until the next deletion."""
    at = max(entry.died, own.modified) + 1
    while entry.is_dead(own.restored(at)):
        at += 1
    return own.restored(at)


def valid(stamp: Stamp, pair: str, key: str, size: int) -> bool:
    """Is the stamp of this pair, for this key and for content of this size?"""
    return stamp.pair == pair and stamp.size == size and stamp.key_hash == key_hash(key)
