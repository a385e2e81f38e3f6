"""Which findings could only end at content that S3 does not give: an archived object's. Pure, table-tested.

A look at such a one would be a message and its refusal in each run, until somebody restores the object. The listing
tells of the restore, and then it is a finding like any. Whatever may end otherwise is looked at: a deletion, and the
agreement on what turns out to be the same, need no content.
"""

from __future__ import annotations

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.model.ledger_entry import LedgerEntry


def unreadable(pair: ListedPair, entry: LedgerEntry | None, difference: Difference) -> bool:
    """Would a look at this do nothing but read archived content?"""
    here, there = pair.here, pair.there
    if here is None or not here.archived or difference.is_deletion:
        return False  # of what is there only, nothing is copied by this side
    if entry is not None and (entry.deleted_versions or entry.last_deletion):
        return False  # one of them may be a copy that came after its deletion: it goes, unread
    if there is None:
        return True
    if here.size == there.size:
        return False  # they may be the same version, which only stamps and metadata tell
    # A change here is read here. Any other difference may end with either content: the peer's copy of a former version
    # of ours is written over, whatever class it is in.
    return there.archived or difference is Difference.CHANGED_HERE
