"""Test the decision's truth table, one row per test, from side `cn`'s point of view."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from dualsync.runtime.messages.sync_request import Cause
from dualsync.runtime.model.ledger_entry import AnnouncedWrite, CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import Attributes, ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import ConflictPolicy, FirstContact, SideName
from dualsync.runtime.sync.decision import (
    WAIT_ATTEMPTS,
    WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN,
    WAIT_ATTEMPTS_IN_A_TIE,
    Action,
    KeyState,
    ObservedVersion,
    decide,
)
from tests.support.builders import CN, GLOBAL, stamp

NEVER_WAIT = max(WAIT_ATTEMPTS, WAIT_ATTEMPTS_IN_A_TIE, WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN)
NEWEST = ConflictPolicy.NEWEST


def users(side: SideName, modified: int, etag: str) -> ObservedVersion:
    """Return a version that a user wrote in that side's bucket."""
    return ObservedVersion(ObjectHead(etag, 3, modified), OriginVersion(side, modified, etag), False)


def replica(of: ObservedVersion, modified: int) -> ObservedVersion:
    """Return a worker's copy of a version, written at that time."""
    return ObservedVersion(ObjectHead(of.head.etag, 3, modified, stamp(of.version)), of.version, True)


def proof(local: ObservedVersion, remote: ObservedVersion) -> SyncedVersion:
    return SyncedVersion(
        local.version,
        CopyState(local.head.etag, local.head.modified),
        CopyState(remote.head.etag, remote.head.modified),
    )


OLD, MINE, LATER = users(CN, 10, "old"), users(CN, 20, "mine"), users(CN, 40, "later")
THEIRS = users(GLOBAL, 30, "theirs")
OLD_THERE, MINE_THERE, LATER_THERE = replica(OLD, 11), replica(MINE, 21), replica(LATER, 41)
THEIRS_HERE = replica(THEIRS, 31)
NEVER = LedgerEntry("k")
AGREED = LedgerEntry("k", 1, synced=proof(OLD, OLD_THERE))
AGREED_THEIRS = LedgerEntry("k", 1, synced=proof(THEIRS_HERE, THEIRS))
EXPIRED = LedgerEntry("k", 1, expired=proof(OLD, OLD_THERE))
DEAD = LedgerEntry("k", 1, deleted_versions=(proof(OLD, OLD_THERE),), last_deletion="5", deleted_at=50)
DEAD_BY_EVENT = replace(DEAD, deleted_at=1)
"""As `DEAD`, with a deletion known from an event alone."""
DEAD_THEIRS = LedgerEntry("k", 1, deleted_versions=(proof(THEIRS_HERE, THEIRS),), last_deletion="5", deleted_at=50)
KNOWN_DEAD = replace(AGREED_THEIRS, last_deletion="5", deleted_at=25)
OLDEST_HERE = replica(users(GLOBAL, 15, "oldest"), 31)
KNOWN_OLDEST = LedgerEntry(
    "k", 1, synced=proof(OLDEST_HERE, users(GLOBAL, 15, "oldest")), last_deletion="5", deleted_at=25
)
OVERWRITTEN = LedgerEntry(
    "k",
    1,
    synced=KNOWN_OLDEST.synced,
    previous=proof(MINE, MINE_THERE),
    deleted_versions=(proof(MINE, MINE_THERE),),
    last_deletion="5",
    first_modified=16,
)
"""The oldest version was here at 16, ours was written over it and deleted, and the oldest one arrived again at 31."""
RECORDED = replace(OVERWRITTEN, first_modified=31, overwrite=AnnouncedWrite(MINE.version, OLDEST_HERE.version))
"""The oldest version arrived here once, at 31, and ours had been written over it there, and deleted here."""
TOUCHED = ObservedVersion(ObjectHead("touched", 3, 45, stamp(MINE.version)), MINE.version, True)
"""Ours there, copied onto itself by a user, who kept the stamp."""
TOUCHED_HERE = replica(users(GLOBAL, 45, "touched"), 46)
TOUCHED_MINE = ObservedVersion(ObjectHead("touched", 3, 45, stamp(THEIRS.version)), THEIRS.version, True)
MISNAMED = ObservedVersion(ObjectHead("mine", 3, 60, stamp(MINE.version)), OriginVersion(CN, 45, "touched"), True)
TOUCHED_MINE_THERE = replica(users(CN, 45, "touched"), 46)
LATER_OVER_DEAD = replace(DEAD_THEIRS, synced=proof(LATER, LATER_THERE))
ANNOUNCED = replace(NEVER, pending=AnnouncedWrite(OLD.version, THEIRS.version))
UNRECORDED = LedgerEntry("k", 1, last_deletion="5", deleted_at=50)


@dataclass(frozen=True)
class Row:
    name: str
    action: Action
    local: ObservedVersion | None = None
    remote: ObservedVersion | None = None
    entry: LedgerEntry = NEVER
    cause: Cause = Cause.CREATED
    deletion: bool = False
    travel: bool = True
    settled: bool = False
    alone: bool = False
    stale: bool = False
    unsure: bool = False
    attempt: int = NEVER_WAIT
    superseded: str = ""
    wrote: ObservedVersion | None = None
    policy: ConflictPolicy = NEWEST
    loser: ObservedVersion | None = None
    same: bool | None = False
    contact: FirstContact = FirstContact.CHECKSUM
    metadata: bool = True
    expires: bool = False


D, FINDING, REMOVED = Action, Cause.FINDER, Cause.REMOVED
COPY_OF_THEIRS = ObservedVersion(ObjectHead("theirs", 3, 35), OriginVersion(CN, 35, "theirs"), False)
RELABELLED = replace(
    COPY_OF_THEIRS, head=replace(COPY_OF_THEIRS.head, attributes=Attributes(content_type="text/plain"))
)
DATED = replace(
    users(CN, 35, "mine"), head=ObjectHead("mine", 3, 35, attributes=Attributes(metadata=(("mtime", "1"),)))
)
TAGGED = replace(users(CN, 35, "mine"), head=ObjectHead("mine", 3, 35, attributes=Attributes(tags=(("a", "b"),))))
LONGER = replace(users(CN, 35, "mine"), head=ObjectHead("mine", 4, 35))
SIZE = FirstContact.SIZE
ROWS = [
    Row("on neither side", D.RECORD_TOMBSTONE, cause=REMOVED),
    # on both sides
    Row("the same version", D.RECORD_SYNCED, MINE, MINE_THERE),
    Row("the same content by users of both", D.RECORD_SYNCED, COPY_OF_THEIRS, THEIRS),
    Row("the same bytes with other metadata are a conflict", D.PUSH, RELABELLED, THEIRS, loser=THEIRS),
    Row("as agreed here, a former version of ours there", D.PUSH, MINE, OLD_THERE, LedgerEntry("k", 1, proof(MINE,
    MINE))),
    Row("as agreed here, changed there, by event", D.NOTHING, OLD, THEIRS, AGREED),
    Row("as agreed here, changed there, by finding", D.PULL, OLD, THEIRS, AGREED, FINDING),
    Row("changed here, as agreed there", D.PUSH, MINE, OLD_THERE, AGREED),
    Row("changed here, as agreed there, by finding", D.PUSH, MINE, OLD_THERE, AGREED, FINDING),
    Row("written here over a replica, as agreed there", D.PUSH, LATER, THEIRS, AGREED_THEIRS),
    Row("written here, a late copy of the dead there", D.PUSH, LATER, replica(OLD, 55), DEAD),
    Row("a replica here, a late copy of the dead there", D.DELETE_REMOTE, THEIRS_HERE, replica(OLD, 55), DEAD),
    Row("the same, its deletion known from an event only", D.PUSH, THEIRS_HERE, replica(OLD, 55), DEAD_BY_EVENT),
    Row("a replica here, a user's version there", D.NOTHING, THEIRS_HERE, users(GLOBAL, 60, "x")),
    Row("a user's version here, a former one of ours there", D.PUSH, LATER, OLD_THERE),
    # first contact: both sides held the key before the program
    Row("contents of one size are compared first", D.COMPARE, MINE, THEIRS, same=None),
    Row("also while a conflict would wait", D.COMPARE, MINE, THEIRS, same=None, attempt=0),
    Row("the same content in other parts", D.RECORD_SYNCED, MINE, THEIRS, same=True),
    Row("the same content in other parts, other metadata", D.PUSH, RELABELLED, THEIRS, same=None, loser=THEIRS),
    Row("metadata that is not copied is no difference", D.COMPARE, DATED, THEIRS, same=None, metadata=False),
    Row("the content type always is", D.PUSH, RELABELLED, THEIRS, same=None, metadata=False, loser=THEIRS),
    Row("tags are no difference, as no HEAD shows them", D.COMPARE, TAGGED, THEIRS, same=None),
    Row("another size is not compared", D.PUSH, LONGER, THEIRS, same=None, loser=THEIRS),
    Row("equal sizes are enough if so configured", D.RECORD_SYNCED, MINE, THEIRS, same=None, contact=SIZE),
    Row("metadata does not count then", D.RECORD_SYNCED, RELABELLED, THEIRS, same=None, contact=SIZE),
    Row("sizes do not count for what was synced before", D.PUSH, LATER, THEIRS, AGREED, contact=SIZE, loser=THEIRS),
    Row("what was synced before is not compared", D.PUSH, LATER, THEIRS, AGREED, same=None, loser=THEIRS),
    Row("nor after a deletion", D.PUSH, LATER, THEIRS, DEAD, same=None, loser=THEIRS),
    Row("nor a replica", D.NOTHING, THEIRS_HERE, users(GLOBAL, 60, "x"), same=None),
    # conflicts
    Row("a conflict waits for echoes", D.WAIT, MINE, THEIRS, attempt=WAIT_ATTEMPTS - 1),
    Row("in a tie longer", D.WAIT, users(CN, 30, "x"), THEIRS, attempt=WAIT_ATTEMPTS_IN_A_TIE - 1),
    Row("a conflict won", D.PUSH, LATER, THEIRS, loser=THEIRS),
    Row("a conflict lost, by event", D.NOTHING, MINE, THEIRS, loser=MINE),
    Row("a conflict lost, by finding: the peer decides", D.NOTHING, MINE, THEIRS, cause=FINDING, loser=MINE),
    Row("a conflict lost to a replica of the peer's own", D.PULL, MINE, replica(THEIRS, 31), cause=FINDING),
    Row("a tie goes to cn", D.PUSH, users(CN, 30, "x"), THEIRS, loser=THEIRS),
    Row("cn preferred", D.PUSH, MINE, THEIRS, policy=ConflictPolicy.PREFER_CN, loser=THEIRS),
    Row("global preferred", D.NOTHING, LATER, THEIRS, policy=ConflictPolicy.PREFER_GLOBAL, loser=LATER),
    Row(
        "the later one loses to the preferred side, if no echo says that it had seen the other",
        D.WAIT, MINE, THEIRS, policy=ConflictPolicy.PREFER_CN, attempt=WAIT_ATTEMPTS_IN_A_TIE - 1,
    ),
    Row("both changed since agreed", D.PUSH, LATER, THEIRS, AGREED, loser=THEIRS),
    Row("a copy here of what the peer shows under a stamp", D.RECORD_SYNCED, TOUCHED_HERE, TOUCHED),
    Row("a copy there of what is here under a stamp", D.RECORD_SYNCED, TOUCHED_MINE, TOUCHED_MINE_THERE),
    Row("a copy of this side's version with the values that the peer shows", D.WAIT, MISNAMED, TOUCHED, attempt=0),
    Row("crossed, both deleted since", D.DELETE_BOTH, THEIRS_HERE, OLD_THERE, KNOWN_DEAD, wrote=OLD),
    Row("the same by a stamp alone", D.PUSH, THEIRS_HERE, OLD_THERE, KNOWN_DEAD),
    Row("the same where only creations travel", D.PUSH, THEIRS_HERE, OLD_THERE, KNOWN_DEAD, travel=False),
    Row("crossed, ours deleted after it may have won", D.DELETE_BOTH, OLDEST_HERE, MINE_THERE, KNOWN_OLDEST,
    wrote=MINE),
    Row("the same by its stamp alone", D.PUSH, OLDEST_HERE, MINE_THERE, KNOWN_OLDEST),
    Row("ours, deleted here, was written over what is here again", D.DELETE_BOTH, OLDEST_HERE, MINE_THERE, OVERWRITTEN),
    Row("the same, here once only", D.PUSH, OLDEST_HERE, MINE_THERE, replace(OVERWRITTEN, first_modified=31)),
    Row("the same, here once, and the write over it is recorded", D.DELETE_BOTH, OLDEST_HERE, MINE_THERE, RECORDED),
    Row("the same, with an expiry in its stead", D.PUSH, OLDEST_HERE, MINE_THERE, RECORDED, expires=True),
    Row("the same, with a write over another version", D.PUSH, OLDEST_HERE, MINE_THERE,
        replace(RECORDED, overwrite=AnnouncedWrite(MINE.version, THEIRS.version))),
    Row("the same, not deleted here as far as is known", D.WAIT, OLDEST_HERE, MINE_THERE,
        replace(RECORDED, deleted_versions=(), last_deletion=""), attempt=0),
    Row("the same, not deleted", D.PUSH, OLDEST_HERE, MINE_THERE, replace(OVERWRITTEN, deleted_versions=())),
    Row(
        "the same, a stamp of ours on other bytes", D.PUSH, OLDEST_HERE,
        replace(MINE_THERE, head=replace(MINE_THERE.head, etag="other")), OVERWRITTEN,
    ),
    Row("a stamp there that names a deleted version", D.PUSH, LATER, replica(THEIRS, 90), LATER_OVER_DEAD, FINDING),
    Row("until its own event is read", D.NOTHING, LATER, replica(THEIRS, 90), LATER_OVER_DEAD),
    Row("an old version copied back by a user there", D.NOTHING, THEIRS_HERE, replica(OLD, 9_000), KNOWN_DEAD),
    Row("the same by finding", D.PULL, THEIRS_HERE, replica(OLD, 9_000), KNOWN_DEAD, FINDING),
    Row("crossed, not known yet", D.WAIT, THEIRS_HERE, OLD_THERE, AGREED_THEIRS, attempt=0),
    Row("crossed replicas: our holder of the newer writes it", D.PUSH, THEIRS_HERE, OLD_THERE),
    Row("crossed replicas: the peer's holder of the newer writes it", D.NOTHING, THEIRS_HERE, LATER_THERE),
    Row("ours, gone here, has replaced what is a copy here now", D.PUSH, THEIRS_HERE, OLD_THERE, ANNOUNCED, attempt=1),
    Row("the same, at once", D.WAIT, THEIRS_HERE, OLD_THERE, ANNOUNCED, attempt=0),
    Row("the same, and to undo it is announced", D.PUSH, THEIRS_HERE, OLD_THERE,
    replace(NEVER, pending=AnnouncedWrite(THEIRS.version, OLD.version)), attempt=1),
    Row("the same as the later version", D.PUSH, THEIRS_HERE, LATER_THERE,
    replace(NEVER, pending=AnnouncedWrite(LATER.version, THEIRS.version))),
    Row("the same, and the copy here is known", D.PUSH, THEIRS_HERE, LATER_THERE,
    replace(AGREED_THEIRS, pending=AnnouncedWrite(LATER.version, THEIRS.version)), attempt=1),
    Row("it may have expired here", D.NOTHING, THEIRS_HERE, LATER_THERE,
    replace(NEVER, pending=AnnouncedWrite(LATER.version, THEIRS.version)), expires=True),
    Row("only creations travel", D.NOTHING, THEIRS_HERE, LATER_THERE,
    replace(NEVER, pending=AnnouncedWrite(LATER.version, THEIRS.version)), travel=False),
    Row("what it replaced is not certain", D.NOTHING, THEIRS_HERE, LATER_THERE,
    replace(NEVER, pending=AnnouncedWrite(LATER.version, None))),
    Row("another write was announced", D.NOTHING, THEIRS_HERE, LATER_THERE, ANNOUNCED),
    # on this side only
    Row("as agreed here, gone there, by event", D.NOTHING, OLD, None, AGREED),
    Row("as agreed here, gone there, by finding", D.NOTHING, OLD, None, AGREED, FINDING),
    Row("as agreed here, gone there, proven", D.DELETE_LOCAL, OLD, None, AGREED, FINDING, deletion=True),
    Row("proven, but only creations travel", D.NOTHING, OLD, None, AGREED, FINDING, deletion=True, travel=False),
    Row("changed here, gone there: an edit beats a deletion", D.PUSH, MINE, None, AGREED),
    Row("changed here, gone there, proven too", D.PUSH, MINE, None, AGREED, FINDING, deletion=True),
    Row("new here", D.PUSH, MINE),
    Row("new here over a tombstone", D.PUSH, LATER, None, DEAD),
    Row("a replica is never copied back", D.NOTHING, THEIRS_HERE),
    Row("not even by a finding, while it is young", D.NOTHING, THEIRS_HERE, cause=FINDING),
    Row("marked unmatched when no ledger entry names it", D.MARK_UNMATCHED, THEIRS_HERE, cause=FINDING, settled=True),
    Row("and copied when it is found unmatched again", D.PUSH, THEIRS_HERE, cause=FINDING, settled=True,
    alone=True),
    Row("same, beside another tombstone", D.MARK_UNMATCHED, THEIRS_HERE, None, UNRECORDED, FINDING, settled=True),
    Row("the same beside the proof of another", D.MARK_UNMATCHED, THEIRS_HERE, None, AGREED, FINDING, settled=True),
    Row("a copy after its deletion", D.DELETE_LOCAL, replica(THEIRS, 60), None, DEAD_THEIRS),
    Row("the same beside another version", D.DELETE_LOCAL, replica(THEIRS, 60), LATER_THERE, DEAD_THEIRS),
    Row("but its stamp deletes no newer version at the peer", D.NOTHING, replica(THEIRS, 60), users(GLOBAL, 90, "n"),
    DEAD_THEIRS, FINDING),
    # at the peer only
    Row("deleted here, as agreed there", D.DELETE_REMOTE, None, OLD_THERE, AGREED, REMOVED),
    Row("deleted here, as agreed there, proven", D.DELETE_REMOTE, None, OLD_THERE, AGREED, FINDING, deletion=True),
    Row("deleted here before the synced version arrived", D.NOTHING, None, OLD_THERE, AGREED, REMOVED, stale=True),
    Row("deleted here, in an unknown order", D.WAIT, None, OLD_THERE, AGREED, REMOVED, attempt=0, unsure=True),
    Row("the same after waiting", D.DELETE_REMOTE, None, OLD_THERE, AGREED, REMOVED, unsure=True),
    Row("gone here, as agreed there, by another event", D.NOTHING, None, OLD_THERE, AGREED),
    Row("gone here, as agreed there, by finding", D.NOTHING, None, OLD_THERE, AGREED, FINDING),
    Row("deleted here, but only creations travel", D.NOTHING, None, OLD_THERE, AGREED, REMOVED, travel=False),
    Row("deleted here, changed there: an edit beats a deletion", D.NOTHING, None, THEIRS, AGREED, REMOVED),
    Row("deleted after an expiry here", D.DELETE_REMOTE, None, OLD_THERE, EXPIRED, REMOVED),
    Row("deleted before the expired version arrived", D.NOTHING, None, OLD_THERE, EXPIRED, REMOVED, stale=True),
    Row("expired here, kept there", D.NOTHING, None, OLD_THERE, EXPIRED, FINDING, deletion=True),
    Row("deleted here before its copy was recorded", D.DELETE_REMOTE, None, MINE_THERE, UNRECORDED),
    Row("the same where only creations travel", D.NOTHING, None, MINE_THERE, UNRECORDED, travel=False),
    Row("our version there, no deletion known here", D.NOTHING, None, MINE_THERE),
    Row("a late copy of the dead there", D.DELETE_REMOTE, None, replica(OLD, 55), DEAD),
    Row("brought back there by a user", D.NOTHING, None, replica(OLD, 45), DEAD),
    Row("a copy of the event's version, deleted since", D.DELETE_REMOTE, None, MINE_THERE, superseded="mine"),
    Row("new there", D.NOTHING, None, THEIRS, cause=FINDING),
    Row("new there over a tombstone", D.NOTHING, None, THEIRS, DEAD, REMOVED),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    decision = decide(
        KeyState(
            side=CN,
            cause=row.cause,
            attempt=row.attempt,
            entry=row.entry,
            local=row.local,
            remote=row.remote,
            policy=row.policy,
            may_delete=row.deletion,
            deletions_travel=row.travel,
            settled=row.settled,
            unmatched=row.alone,
            stale=row.stale,
            order_unknown=row.unsure,
            superseded_etag=row.superseded,
            unrecorded=row.wrote.version if row.wrote else None,
            same_content=row.same,
            first_contact=row.contact,
            include_metadata=row.metadata,
            expires=row.expires,
        )
    )
    assert (decision.action, decision.loser) == (row.action, row.loser.version if row.loser else None)
