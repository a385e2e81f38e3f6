"""Test the decision of a one-way pair with source `cn`, one row per test, and properties of all states."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import pytest

from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import Attributes, ObjectHead
from dualsync.runtime.settings import Direction, FirstContact
from dualsync.runtime.sync import one_way
from dualsync.runtime.sync.decision import Action, KeyState, ObservedVersion
from tests.support.builders import CN, settings
from tests.unit.runtime.sync import test_decision as two_way
from tests.unit.runtime.sync.test_decision import (
    AGREED,
    AGREED_THEIRS,
    COPY_OF_THEIRS,
    DEAD,
    EXPIRED,
    LATER,
    MINE,
    MINE_THERE,
    NEVER,
    NEVER_WAIT,
    OLD,
    OLD_THERE,
    THEIRS,
    THEIRS_HERE,
    UNRECORDED,
)

IN_PARTS = replace(THEIRS, head=ObjectHead("x-2", 3, 30))
FINDING, REMOVED = Cause.FINDER, Cause.REMOVED
RELABELLED_THERE = replace(MINE_THERE, head=replace(MINE_THERE.head, attributes=Attributes(content_type="text/html")))


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
    attempt: int = 0
    same: bool | None = False
    contact: FirstContact = FirstContact.CHECKSUM


D = Action
ROWS = [
    Row("on neither side", D.RECORD_TOMBSTONE, cause=REMOVED),
    Row("new at the source", D.PUSH, MINE),
    Row("new at the source, by finding", D.PUSH, MINE, cause=FINDING),
    Row("a replica at the source is its object too", D.PUSH, THEIRS_HERE),
    Row("missing at the destination, by finding", D.PUSH, OLD, entry=AGREED, cause=FINDING),
    Row("missing at the destination, by a repeated event", D.PUSH, OLD, entry=AGREED),
    Row("missing at the destination though it was deleted here once", D.PUSH, MINE, entry=DEAD),
    Row("the same version", D.RECORD_SYNCED, MINE, MINE_THERE),
    Row("the same version with other metadata there", D.PUSH, MINE, RELABELLED_THERE),
    Row("the same content, written by users of both", D.RECORD_SYNCED, COPY_OF_THEIRS, THEIRS),
    Row("other content at first contact", D.PUSH, MINE, THEIRS),
    Row("other content there is later: the source's content wins", D.PUSH, MINE, THEIRS, cause=FINDING),
    Row("it may be the same in other parts", D.COMPARE, MINE, IN_PARTS, same=None),
    Row("equal sizes are enough", D.RECORD_SYNCED, MINE, THEIRS, contact=FirstContact.SIZE),
    Row("changed at the source", D.PUSH, LATER, OLD_THERE, AGREED),
    Row("changed at the destination, by event", D.PUSH, OLD, THEIRS, AGREED),
    Row("changed at the destination, by finding", D.PUSH, OLD, THEIRS, AGREED, FINDING),
    Row("changed at the destination, at the first attempt", D.PUSH, LATER, THEIRS, AGREED, attempt=0),
    Row("a former version there", D.PUSH, MINE, OLD_THERE, AGREED),
    Row("a replica here, other content there", D.PUSH, THEIRS_HERE, MINE_THERE),
    Row("as agreed while the pair was two-way, changed there", D.PUSH, THEIRS_HERE, LATER, AGREED_THEIRS),
    Row("only at the destination", D.NOTHING, remote=THEIRS),
    Row("only at the destination, by finding", D.NOTHING, remote=THEIRS, cause=FINDING, deletion=True),
    Row("deleted here, unchanged there", D.DELETE_REMOTE, None, OLD_THERE, AGREED, REMOVED),
    Row("deleted here, unchanged there, by finding", D.DELETE_REMOTE, None, OLD_THERE, AGREED, FINDING, deletion=True),
    Row("deleted here, deletions do not travel", D.NOTHING, None, OLD_THERE, AGREED, REMOVED, travel=False),
    Row("deleted here, changed there", D.NOTHING, None, THEIRS, AGREED, REMOVED),
    Row("deleted here, changed there, by finding", D.NOTHING, None, THEIRS, AGREED, FINDING, deletion=True),
    Row("gone here, no deletion known", D.NOTHING, None, OLD_THERE, AGREED, FINDING),
    Row("expired here", D.NOTHING, None, OLD_THERE, EXPIRED, FINDING, deletion=True),
    Row("a copy that came after its deletion", D.DELETE_REMOTE, None, replace(
        OLD_THERE, head=replace(OLD_THERE.head, modified=60)), DEAD, FINDING),
    Row("deleted before its copy was recorded", D.DELETE_REMOTE, None, MINE_THERE, UNRECORDED, REMOVED),
]  # fmt: skip


def state(row: Row) -> KeyState:
    return KeyState(
        side=CN,
        cause=row.cause,
        attempt=row.attempt,
        entry=row.entry,
        local=row.local,
        remote=row.remote,
        may_delete=row.deletion,
        deletions_travel=row.travel,
        same_content=row.same,
        first_contact=row.contact,
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row) -> None:
    assert one_way.decide(state(row)).action is row.action


AT_SOURCE = {D.PULL, D.DELETE_LOCAL, D.DELETE_BOTH, D.MARK_UNMATCHED}


def test_no_decision_writes_or_deletes_at_the_source_or_waits_for_the_peer() -> None:
    """Check all rows of the two-way table, with each cause and attempt."""
    seen = set()
    for row, cause, attempt in itertools.product(two_way.ROWS, Cause, (0, NEVER_WAIT)):
        given = KeyState(
            side=CN,
            cause=cause,
            attempt=attempt,
            entry=row.entry,
            local=row.local,
            remote=row.remote,
            policy=row.policy,
            may_delete=row.deletion,
            deletions_travel=row.travel,
            settled=row.settled,
            stale=row.stale,
            order_unknown=row.unsure,
            unmatched=row.alone,
            superseded_etag=row.superseded,
            first_contact=row.contact,
            include_metadata=row.metadata,
            same_content=row.same,
        )
        found = one_way.decide(given)
        seen.add(found.action)
        assert found.action not in AT_SOURCE, (row.name, cause)
        assert found.action is not D.WAIT or row.unsure, (row.name, cause)
        assert found.loser is None, "a one-way pair has no conflicts"
        if row.local is not None:
            assert found.action in (D.PUSH, D.RECORD_SYNCED, D.COMPARE), (row.name, cause)
    assert seen == {D.PUSH, D.RECORD_SYNCED, D.COMPARE, D.NOTHING, D.DELETE_REMOTE, D.RECORD_TOMBSTONE, D.WAIT}


def test_two_way_pair_uses_the_two_way_table() -> None:
    row = Row("", D.PULL, OLD, THEIRS, AGREED, FINDING)
    assert one_way.decide_for(settings(), state(row)).action is D.PULL
    assert one_way.decide_for(settings(direction=Direction.CN_TO_GLOBAL), state(row)).action is D.PUSH


def test_echo_from_two_way_operation_is_only_checked() -> None:
    echo = SyncRequest("k", Cause.REMOVED, Actor.ECHO, sequencer="5", etag="e", may_delete=True)
    found = one_way.as_check(settings(direction=Direction.CN_TO_GLOBAL), echo)
    assert (found.cause, found.actor, found.may_delete, found.sequencer) == (Cause.FINDER, Actor.USER, False, "")
    assert one_way.as_check(settings(), echo) == echo


def test_part_requests_to_the_source_are_refused() -> None:
    there, here = (PartRequest("k", route, "k", "id", 1, 2) for route in ("local>remote", "remote>local"))
    mode = settings(direction=Direction.CN_TO_GLOBAL)
    assert not one_way.is_refused(mode, there)
    assert one_way.is_refused(mode, here)
    assert not one_way.is_refused(settings(), here)
