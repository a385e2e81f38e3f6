"""Which differences need the content of an archived object, which S3 does not return. Pure, with a table test.

Queuing such a key would only produce a message and its refusal in each run, until the object is restored. The listing
shows the restore, and the key is queued then. Differences that can be resolved without content, such as deletions and
equal versions, are queued at once.
"""

from __future__ import annotations

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.model.ledger_entry import LedgerEntry


def needs_archived_content(
    pair: ListedPair, entry: LedgerEntry | None, difference: Difference, *, one_way: bool = False
) -> bool:
    """Return True if a check of this key could do nothing but read archived content.

    In a one-way pair the content here is the only one that is ever read.
    """
    here, there = pair.here, pair.there
    if here is None or not here.archived or difference.is_deletion:
        return False  # of what is there only, nothing is copied by this side
    if entry is not None and (entry.deleted_versions or entry.last_deletion):
        return False  # one of them may be a copy that came after its deletion: it goes, unread
    if there is None:
        return True
    if here.size == there.size:
        return False  # they may be the same version, which only stamps and metadata tell
    # A change here is read here. Any other difference may be resolved with either content: the peer's copy of a former
    # version of ours is overwritten, whatever its class.
    return one_way or there.archived or difference is Difference.CHANGED_HERE
