"""Test a process that stops and resumes: it writes and deletes nothing based on what it read before the stop."""

from __future__ import annotations

import pytest

from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.transfer.observed_bucket import MAX_AGE_SECONDS, MAX_READS
from tests.support.builders import CN, PEERS_USER, USER, Side, settings, stamp, synced_version
from tests.support.fakes.gate import run
from tests.support.fakes.notification import body
from tests.support.fakes.store import Store
from tests.support.stalls import Stalls

PEERS_OWN_USER = "AIDAUSEROFGLOBAL00000"
STALL = 45.0
"""Seconds that the process stops."""


def stalling(call: str) -> tuple[Side, Stalls]:
    stalls = Stalls(call)
    return Side(settings(), gate=stalls.gate), stalls


def held(store: Store) -> bytes | None:
    version = store.current("k")
    return None if version is None else version.body


def synced(call: str) -> tuple[Side, Stalls]:
    """Return a side with an object of its own, synced and unchanged since."""
    world, stalls = stalling(call)
    world.work(world.put("k", b"abc"))
    assert held(world.there) == b"abc"
    stalls.calls.clear()
    return world, stalls


def test_deletion_decided_before_a_stop_spares_the_same_bytes_written_since_at_the_peer() -> None:
    world, stalls = synced("local.head")
    event = world.delete("k")

    def users() -> None:
        world.time.now += STALL
        world.there.put("k", b"abc", PEERS_OWN_USER)

    stalls.during, stalls.armed = users, True
    world.work(event)
    assert held(world.there) == b"abc"
    assert world.outcomes()["postponed"] == 1


def test_deletion_decided_before_a_stop_is_dropped_if_the_key_was_written_here_since() -> None:
    world, stalls = synced("local.head")
    event = world.delete("k")

    def users() -> None:
        world.time.now += STALL
        world.here.put("k", b"abc", USER)

    stalls.during, stalls.armed = users, True
    world.work(event)
    assert held(world.there) == b"abc"


def test_write_decided_before_a_stop_does_not_replace_the_same_bytes_written_since() -> None:
    world, stalls = stalling("local.get")
    world.time.now += 1
    world.there.put("k", b"old", PEERS_OWN_USER)
    world.time.now += 60
    event = world.put("k", b"new")

    def users() -> None:
        world.time.now += STALL
        world.there.put("k", b"old", PEERS_OWN_USER)

    request = SyncRequest("k", Cause.CREATED, etag=event.etag, sequencer=event.sequencer, full_check=True, attempt=9)
    stalls.during, stalls.armed = users, True
    run(world.worker.process(world.signed(request)))
    assert held(world.there) == b"old"
    assert world.outcomes()["copied"] == 0


def test_write_decided_before_a_stop_is_dropped_if_the_copy_was_written_and_deleted_since() -> None:
    """Another worker wrote the copy and recorded it, and a user deleted it: the peer's bucket is as before."""
    world, stalls = stalling("local.get")
    event = world.put("k", b"abc")
    version = OriginVersion(CN, world.here.now(), event.etag)

    def meanwhile() -> None:
        world.time.now += STALL
        world.there.put("k", b"abc", PEERS_USER, stamp=stamp(version))
        run(world.context.write(LedgerEntry("k"), LedgerEntry("k", synced=synced_version(version))))
        world.there.delete("k", PEERS_OWN_USER)

    stalls.during, stalls.armed = meanwhile, True
    world.work(event)
    assert held(world.there) is None
    assert world.outcomes()["copied"] == 0
    assert world.log.of("outcome")[-1]["reason"] == "the ledger's entry of 'k' changed after it was read"


def deletion_in_full(world: Side) -> SyncRequest:
    event = world.delete("k")
    return SyncRequest("k", Cause.REMOVED, sequencer=event.sequencer, event_time=world.time.now, full_check=True)


def test_unchanged_object_is_read_again_after_a_stop_and_acted_on() -> None:
    world, stalls = synced("local.get")
    request = deletion_in_full(world)

    def stop() -> None:
        world.time.now += STALL

    stalls.during, stalls.armed = stop, True
    run(world.worker.process(world.signed(request)))
    assert held(world.there) is None
    assert (stalls.calls.count("local.head"), stalls.calls.count("remote.head")) == (1, 2)


def test_no_object_is_read_twice_without_a_stop() -> None:
    world, stalls = synced("")
    run(world.worker.process(world.signed(deletion_in_full(world))))
    assert held(world.there) is None
    assert (stalls.calls.count("local.head"), stalls.calls.count("remote.head")) == (0, 1)


def test_request_is_postponed_if_buckets_answer_too_slowly() -> None:
    world, stalls = synced("remote.head")
    request = deletion_in_full(world)

    def slow() -> None:
        world.time.now += MAX_AGE_SECONDS + 1
        stalls.armed = True

    stalls.during, stalls.armed = slow, True
    run(world.worker.process(world.signed(request)))
    assert held(world.there) == b"abc"
    assert stalls.calls.count("remote.head") == MAX_READS + 1
    assert world.outcomes()["postponed"] == 1


@pytest.mark.parametrize("taken", [True, False], ids=["another worker has it", "no worker has it yet"])
def test_message_that_became_visible_during_a_stop_is_skipped(taken: bool) -> None:
    world, stalls = synced("local.head")
    message = world.message(body(world.delete("k")))

    def stop() -> None:
        world.time.now += world.broker.visibility + 1
        if taken:
            assert world.broker.take(message.letter) is not None

    stalls.during, stalls.armed = stop, True
    run(world.worker.process(message))
    assert held(world.there) == b"abc"
    assert not message.letter.deleted
    line = world.log.of("outcome")[-1]
    assert (line["outcome"], line["reason"]) == (
        "skipped",
        "the message became visible again: another worker may have it",
    )
    run(world.worker.process(world.broker.take(message.letter) or world.message(message.body)))
    assert held(world.there) is None
