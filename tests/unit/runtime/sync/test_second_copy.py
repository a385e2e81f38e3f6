"""Test a copy that was written again after its deletion: it is deleted as well, if the bucket has shown two copies."""

from __future__ import annotations

import itertools

import pytest

from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.origin_version import OriginVersion
from tests.support.builders import DEDICATED, GLOBAL, USER, Side, settings, stamp
from tests.support.fakes.gate import run
from tests.support.fakes.notification import body
from tests.support.fakes.version import Versioning
from tests.unit.runtime.sync.test_forged_messages import (
    HIGH,
    LOW,
    PEERS_OWN_USER,
    etag_of,
    held,
    record,
    replica,
    send,
)


def copied_twice(*, same_second: bool, encrypted: bool) -> tuple[Side, list[str]]:
    """Return a versioned bucket with two copies of the peer's version, and the unread messages of their events."""
    world = Side(settings(), versioning=Versioning.ENABLED)
    world.here.kms = encrypted
    world.time.now += 1
    etag = world.there.put("k", b"abc", PEERS_OWN_USER).etag
    copy = stamp(OriginVersion(GLOBAL, world.there.now(), etag))
    world.here.put("k", b"abc", DEDICATED, stamp=copy)
    world.here.delete("k", USER)
    if not same_second:
        world.time.now += 5
    world.here.put("k", b"abc", DEDICATED, stamp=copy)
    messages = [body(event) for event in world.events]
    world.events.clear()
    return world, messages


@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("same_second", [True, False])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_copy_written_again_after_its_deletion_is_deleted_in_any_order_of_events(
    order: tuple[int, ...], same_second: bool, encrypted: bool
) -> None:
    """Version ids distinguish two copies of the same second, which S3's times do not."""
    world, messages = copied_twice(same_second=same_second, encrypted=encrypted)
    for number in order:
        send(world, messages[number])
        world.work()
    assert (held(world.here), held(world.there)) == (None, None)


@pytest.mark.parametrize("versioning", Versioning)
def test_copy_written_again_is_deleted_if_the_first_one_was_recorded_before_its_event_was_read(
    versioning: Versioning,
) -> None:
    world = Side(settings(), versioning=versioning)
    world.time.now += 1
    etag = world.there.put("k", b"abc", PEERS_OWN_USER).etag
    copy = stamp(OriginVersion(GLOBAL, world.there.now(), etag))
    world.here.put("k", b"abc", DEDICATED, stamp=copy)
    run(world.worker.process(world.signed(SyncRequest("k", Cause.FINDER, full_check=True))))
    assert world.entry().synced is not None
    world.time.now += 5
    world.here.delete("k", USER)
    arrival, deletion = world.events
    world.events.clear()
    world.work(arrival)
    world.time.now += 5
    world.here.put("k", b"abc", DEDICATED, stamp=copy)
    world.work(deletion)
    world.work()
    assert (held(world.here), held(world.there)) == (None, None)


def test_forged_version_id_does_not_count_as_a_second_copy() -> None:
    world = replica(Versioning.ENABLED)
    current = world.here.current("k")
    assert current is not None
    for version in ("forged", current.version_id, "null"):
        send(world, record("ObjectCreated:Put", LOW, etag_of(world.here), by=DEDICATED, version=version))
        send(world, record("ObjectRemoved:Delete", "e" * 32))
        send(world, record("ObjectCreated:Put", HIGH, etag_of(world.here), by=DEDICATED, version=version))
    assert (held(world.here), held(world.there)) == (b"abc", b"abc")
