"""Test that a write over the peer's object is announced in the ledger before it is made, and what becomes of that."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import AnnouncedWrite
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import Direction
from dualsync.runtime.sync.decision import WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN
from tests.support.builders import PEERS_USER, USER, Journal, Side, settings
from tests.support.fakes.gate import run

WRITES = ("ledger.put", "remote.put")
CHECK = SyncRequest("k", Cause.FINDER, full_check=True, attempt=WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN)


def conflict(journal: Journal, **changes: object) -> Side:
    """Return a side on which a user wrote later than a user of the peer."""
    world = Side(settings(**changes), gate=journal.gate)
    world.there.put("k", b"theirs", USER)
    world.put("k", b"mine")
    return world


def version(world: Side, here: bool) -> OriginVersion:
    """Return the identity of a user's object."""
    held = (world.here if here else world.there).current("k")
    assert held is not None
    side = world.context.side if here else world.context.side.peer
    return OriginVersion(side, held.seen.modified, held.seen.etag)


def test_conflict_is_announced_before_the_peer_is_written_and_then_recorded() -> None:
    journal = Journal()
    world = conflict(journal)
    run(world.worker.process(world.signed(CHECK)))
    assert [call for call in journal.calls if call in WRITES] == ["ledger.put", "remote.put", "ledger.put"]
    entry = world.entry()
    assert entry.synced is not None
    assert entry.pending is None


def test_write_without_a_known_end_stays_announced() -> None:
    journal = Journal()
    world = conflict(journal)
    mine, theirs = version(world, True), version(world, False)
    journal.faults["remote.put"] = UnavailableError("no answer")
    run(world.worker.process(world.signed(CHECK)))
    assert world.entry().pending == AnnouncedWrite(mine, theirs)
    assert world.entry().synced is None


def test_write_over_the_synced_version_is_not_announced() -> None:
    journal = Journal()
    world = Side(settings(), gate=journal.gate)
    world.work(world.put("k", b"old"))
    world.put("k", b"new")
    journal.calls.clear()
    run(world.worker.process(world.signed(CHECK)))
    assert [call for call in journal.calls if call in WRITES] == ["remote.put", "ledger.put"]


def test_each_write_is_announced_as_long_as_the_end_of_one_is_not_known() -> None:
    journal = Journal()
    world = conflict(journal)
    journal.faults["remote.put"] = UnavailableError("no answer")
    run(world.worker.process(world.signed(CHECK)))
    world.there.delete("k", USER)
    event = world.put("k", b"mine, again")
    world.work(event)
    assert world.entry().pending == AnnouncedWrite(version(world, True), None)


def test_one_way_pair_announces_nothing() -> None:
    journal = Journal()
    world = conflict(journal, direction=Direction.CN_TO_GLOBAL)
    run(world.worker.process(world.signed(CHECK)))
    assert [call for call in journal.calls if call in WRITES] == ["remote.put", "ledger.put"]


@pytest.mark.parametrize("attempt", [0, WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN - 1, WAIT_ATTEMPTS_IF_MAY_HAVE_WRITTEN])
def test_key_is_checked_again_some_times_while_a_write_over_what_both_hold_may_be_under_way(attempt: int) -> None:
    world = Side(settings())
    world.there.put("k", b"theirs", USER)
    theirs = version(world, False)
    world.here.put("k", b"theirs", PEERS_USER, stamp=world.context.stamp("k", theirs, 6))
    mine = OriginVersion(world.context.side, theirs.modified, "mine")
    world.ledger.table.entries["k"] = replace(world.entry(), revision=1, pending=AnnouncedWrite(mine, theirs))
    run(world.worker.process(world.signed(replace(CHECK, attempt=attempt))))
    assert world.entry().pending == AnnouncedWrite(mine, theirs)
    assert world.outcomes() == {"agreed": 1}
    sent = [json.loads(letter.body)[sync_request_codec.MEMBER]["attempt"] for letter in world.broker.letters.values()]
    assert sent == ([attempt + 1] if attempt < CHECK.attempt else [])


def test_check_that_follows_is_never_later_than_the_queue_allows() -> None:
    world = Side(settings(retry_delay_seconds=100))
    assert [world.context.delay_after(attempt) for attempt in (0, 1, 3, 4, 90)] == [100, 200, 800, 900, 900]
