"""A principal that may send to the queue, without the key, can delete, overwrite or hide nothing.

The attacker has every ETag, time, sequencer and principal. docs/security.md lists what each message is believed for.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import SideName
from tests.support.builders import CN, DEDICATED, GLOBAL, PEERS_USER, ROLE, USER, Side, settings, stamp
from tests.support.fakes.gate import run
from tests.support.fakes.notification import body
from tests.support.fakes.store import Store
from tests.support.fakes.version import Versioning
from tests.support.stalls import Stalls

LOW, HIGH = "1", "f" * 32
EARLY, LATE = "1971-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"
PEERS_OWN_USER = "AIDAUSEROFGLOBAL00000"
WHO = (USER, DEDICATED, f"{ROLE}:i-0")


def held(store: Store, key: str = "k") -> bytes | None:
    version = store.current(key)
    return None if version is None else version.body


def side(**changes: Any) -> Side:
    return Side(settings(**changes))


def etag_of(store: Store) -> str:
    version = store.current("k")
    assert version is not None
    return version.seen.etag


def send(world: Side, text: str) -> None:
    run(world.worker.process(world.message(text)))


def own(world: Side, request: SyncRequest) -> None:
    """Process a message in the runtime's own format, without an authenticator."""
    send(world, sync_request_codec.encode(request))


def record(name: str, sequencer: str, etag: str = "", *, by: str = USER, time: str = LATE, version: str = "") -> str:
    """Return a message with one event of the bucket, as S3 writes it."""
    fields = {"key": "k", "eTag": etag, "sequencer": sequencer} | ({"versionId": version} if version else {})
    event = {
        "eventName": name,
        "eventTime": time,
        "userIdentity": {"principalId": f"AWS:{by}"},
        "s3": {"bucket": {"name": "bucket-cn"}, "object": fields},
    }
    return json.dumps({"Records": [event]})


def synced() -> Side:
    """Return a side with an object of its own, synced and unchanged since."""
    world = side()
    world.work(world.put("k", b"abc"))
    assert held(world.there) == b"abc"
    return world


def replica(versioning: Versioning = Versioning.NEVER) -> Side:
    """Return a side with an object of the peer, synced and unchanged since, after its echo was read."""
    world = Side(settings(), versioning=versioning)
    world.time.now += 1
    there = world.there.put("k", b"abc", PEERS_OWN_USER)
    version = OriginVersion(GLOBAL, world.there.now(), there.etag)
    world.time.now += 5
    world.here.put("k", b"abc", DEDICATED, stamp=stamp(version))
    world.work()
    assert world.entry().synced is not None
    return world


# -- synced objects


@pytest.mark.parametrize("make", [synced, replica])
@pytest.mark.parametrize("time", [EARLY, LATE])
@pytest.mark.parametrize("by", WHO)
def test_forged_events_in_any_order_delete_no_synced_object(make: Any, time: str, by: str) -> None:
    world = make()
    etag = etag_of(world.here)
    for created in (USER, DEDICATED, f"{ROLE}:i-0"):
        send(world, record("ObjectCreated:Put", LOW, etag, by=created, time=time))
        send(world, record("ObjectRemoved:Delete", "e" * 32, by=by, time=time))
        send(world, record("ObjectCreated:Put", HIGH, etag, by=created, time=time))
        send(world, sync_request_codec.encode(SyncRequest("k", Cause.FINDER)))
        run(world.worker.process(world.signed(SyncRequest("k", Cause.FINDER, full_check=True, may_delete=True))))
    assert (held(world.here), held(world.there)) == (b"abc", b"abc")


@pytest.mark.parametrize("make", [synced, replica])
@pytest.mark.parametrize("actor", Actor)
def test_forged_messages_in_our_own_format_delete_no_synced_object(make: Any, actor: Actor) -> None:
    world = make()
    etag = etag_of(world.here)
    for cause, sequencer in ((Cause.CREATED, "0" * 31 + "1"), (Cause.REMOVED, "e" * 32), (Cause.CREATED, HIGH)):
        own(world, SyncRequest("k", cause, actor, sequencer=sequencer, etag=etag, full_check=True))
    own(world, SyncRequest("k", Cause.FINDER, may_delete=True))
    own(world, SyncRequest("k", Cause.EXPIRED, sequencer=HIGH))
    assert (held(world.here), held(world.there)) == (b"abc", b"abc")
    assert world.entry().synced is not None


# -- objects on one side only


def new_at_peer() -> Side:
    world = side()
    world.time.now += 1
    world.there.put("k", b"theirs", PEERS_OWN_USER)
    return world


@pytest.mark.parametrize("removal", ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"])
def test_forged_events_do_not_delete_a_peers_object_that_was_never_here(removal: str) -> None:
    world = new_at_peer()
    etag = etag_of(world.there)
    for sequencer in (LOW, HIGH):
        send(world, record(removal, HIGH))
        send(world, record("ObjectCreated:Put", sequencer, etag, by=DEDICATED, version="null"))
        send(world, record(removal, HIGH + "", by=USER))
    assert world.entry().synced is None
    run(world.worker.process(world.signed(SyncRequest("k", Cause.FINDER, full_check=True, may_delete=True))))
    assert held(world.there) == b"theirs"


@pytest.mark.parametrize("by", ["cn", "global"])
def test_forged_proof_of_a_write_deletes_nothing(by: str) -> None:
    world = new_at_peer() if by == "global" else side()
    if by == "cn":
        world.put("k", b"only copy")
    store = world.here if by == "cn" else world.there
    version = OriginVersion(CN if by == "cn" else GLOBAL, store.now(), etag_of(store))
    copy = CopyState(version.etag, version.modified)
    for cause in Cause:
        own(
            world,
            SyncRequest(
                "k",
                cause,
                sequencer=HIGH,
                event_time=world.time.now,
                full_check=True,
                may_delete=True,
                unrecorded=SyncedVersion(version, copy, copy),
            ),
        )
    assert held(store) is not None


def test_forged_echo_does_not_let_an_older_object_overwrite_a_newer_one() -> None:
    world = side()
    world.put("k", b"old")
    world.time.now += 60
    world.there.put("k", b"new", PEERS_OWN_USER)
    etag = etag_of(world.there)
    send(world, record("ObjectCreated:Put", LOW, etag, by=DEDICATED))
    for _ in range(8):
        world.work()
        own(world, SyncRequest("k", Cause.FINDER, attempt=99, full_check=True))
    assert held(world.there) == b"new"


def test_copy_that_arrives_while_a_forged_echo_is_handled_is_not_deleted() -> None:
    """A suspended bucket names its current version `null`, which can be read as a former version after it arrived."""
    stalls = Stalls("local.head")
    world = Side(settings(), gate=stalls.gate, versioning=Versioning.SUSPENDED)
    world.time.now += 1
    etag = world.there.put("k", b"abc", PEERS_OWN_USER).etag
    version = OriginVersion(GLOBAL, world.there.now(), etag)
    send(world, record("ObjectRemoved:Delete", HIGH))
    send(world, record("ObjectRemoved:Delete", HIGH))
    assert world.entry().last_deletion

    def arrive() -> None:
        world.here.put("k", b"abc", DEDICATED, stamp=stamp(version))

    stalls.during, stalls.armed = arrive, True
    send(world, record("ObjectCreated:Put", LOW, etag, by=DEDICATED, version="null"))
    assert (held(world.here), held(world.there)) == (b"abc", b"abc")
    world.work()
    assert (held(world.here), held(world.there)) == (b"abc", b"abc")


# -- order


RAISING = {
    "own": sync_request_codec.encode(SyncRequest("k", Cause.FINDER, sequencer=HIGH)),
    "removed": record("ObjectRemoved:DeleteMarkerCreated", HIGH),
    "removed early": record("ObjectRemoved:Delete", HIGH, time=EARLY),
    "removed by a worker": record("ObjectRemoved:Delete", HIGH, by=DEDICATED),
    "expired": record("LifecycleExpiration:Delete", HIGH),
    "created": "",
}
"""Forged messages that raise the highest sequencer of the key; the last one needs an ETag."""


def raised(name: str) -> Side:
    """Return a synced object whose ledger entry has the highest possible sequencer, set by a forged message."""
    world = synced()
    send(world, RAISING[name] or record("ObjectCreated:Put", HIGH, etag_of(world.here)))
    return world


@pytest.mark.parametrize("name", RAISING)
def test_forged_sequencer_makes_no_later_event_stale(name: str) -> None:
    world = raised(name)
    for content in (b"v2", b"v3"):
        world.work(world.put("k", content))
        assert held(world.there) == content
        world.work(world.delete("k"))
        assert held(world.there) is None
    world.work(world.put("k", b"v4"))
    assert held(world.there) == b"v4"


@pytest.mark.parametrize("origin", [GLOBAL, CN])
@pytest.mark.parametrize("name", RAISING)
def test_forged_event_of_a_users_write_is_not_believed_once_the_copys_echo_was_read(
    name: str, origin: SideName
) -> None:
    """A forged sequencer hides the echo of the next copy, so that the ledger does not learn its version."""
    world = replica()
    send(world, record(name, HIGH, etag_of(world.here), by=DEDICATED))
    send(world, record("ObjectRemoved:Delete", HIGH))
    world.time.now += 5
    world.there.delete("k", PEERS_OWN_USER)
    world.here.put("k", b"def", DEDICATED, stamp=stamp(OriginVersion(origin, world.there.now(), "other")))
    world.work()
    forged = SyncRequest("k", Cause.CREATED, sequencer=HIGH, etag=etag_of(world.here), attempt=9, full_check=True)
    run(world.worker.process(world.signed(forged)))
    assert (held(world.here), held(world.there)) == (b"def", None)


@pytest.mark.parametrize("versioning", Versioning)
@pytest.mark.parametrize("arrives", ["pushed", "pulled", "pulled, its event read"])
@pytest.mark.parametrize("name", RAISING)
def test_forged_sequencer_hides_no_deletion_in_the_second_of_an_arrival(
    name: str, arrives: str, versioning: Versioning
) -> None:
    world = raised(name)
    world.here.versioning = versioning
    if arrives == "pushed":
        world.work(world.put("k", b"v2"))
    else:
        world.time.now += 1
        world.there.put("k", b"v2", PEERS_OWN_USER)
        run(world.worker.process(world.signed(SyncRequest("k", Cause.FINDER, full_check=True))))
    assert (held(world.here), held(world.there)) == (b"v2", b"v2")
    if arrives == "pulled, its event read":
        world.work()
    world.here.delete("k", USER)
    world.work()
    assert (held(world.here), held(world.there)) == (None, None)


def test_forged_sequencer_does_not_let_a_write_be_recorded_that_is_older_than_a_deletion() -> None:
    """The entry changes with the deletion. So a write under way cannot be recorded, and the key is checked again."""
    world = synced()
    world.work(world.delete("k"))
    send(world, record("ObjectRemoved:Delete", HIGH))
    before = world.entry()
    world.time.now += 6  # an event's time is at most 5 s later than its message's
    world.here.put("k", b"def", USER)
    world.here.delete("k", USER)
    deletion = world.events[-1]
    world.events.clear()
    world.work(deletion)
    assert world.entry().revision > before.revision
    assert world.entry().deleted_at == world.here.now()


def test_forged_worker_deletion_does_not_hide_a_user_deletion() -> None:
    world = synced()
    event = world.delete("k")
    send(world, record("ObjectRemoved:Delete", HIGH, by=DEDICATED))
    assert world.entry().synced is not None
    world.work(event)
    assert held(world.there) is None


def test_replayed_deletion_deletes_nothing() -> None:
    world = synced()
    deletion = world.delete("k")
    world.work(deletion)
    world.work(world.put("k", b"v2"))
    world.here.expire("k")
    world.work(deletion)
    assert held(world.there) == b"v2"


# -- records of others


def test_records_of_another_bucket_are_dropped_and_counted() -> None:
    world = synced()
    foreign = json.loads(record("ObjectRemoved:Delete", HIGH))
    foreign["Records"][0]["s3"]["bucket"]["name"] = "another"
    before = world.entry()
    send(world, json.dumps(foreign))
    assert world.entry() == before
    line = world.log.of("outcome")[-1]
    assert (line["outcome"], line["reason"]) == ("skipped", "a record of another bucket: 'another'")
    assert not world.broker.letters


def test_unsigned_part_request_only_checks_its_key() -> None:
    world = side()
    world.put("k", b"abc")
    send(world, part_request_codec.encode(PartRequest("k", "local>remote", "victim", "upload", 1, 1)))
    assert (held(world.there), held(world.there, "victim")) == (b"abc", None)


# -- the stamp


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED])
def test_forged_stamp_does_not_delete_newer_content(versioning: Versioning) -> None:
    """The stamp names a version that was deleted before. The peer's newer content is deleted on neither side."""
    world = Side(settings(), versioning=versioning)
    world.time.now += 1
    there = world.there.put("k", b"old", PEERS_OWN_USER)
    old = OriginVersion(GLOBAL, world.there.now(), there.etag)
    world.here.put("k", b"old", DEDICATED, stamp=stamp(old))
    world.work()
    world.work(world.delete("k"))
    assert held(world.there) is None
    world.time.now += 20
    world.there.put("k", b"newer", PEERS_OWN_USER)
    world.time.now += 600
    world.here.put("k", b"old", USER, stamp=stamp(old))  # and its event is lost
    for _ in range(4):
        world.time.now += 7200
        run(world.worker.process(world.signed(SyncRequest("k", Cause.FINDER, full_check=True, may_delete=True))))
    assert held(world.there) == b"newer"
    assert held(world.here) is not None


# -- the ledger


def test_unreadable_entry_is_replaced_by_any_message_of_its_key() -> None:
    world = synced()
    broken = LedgerEntry("k", world.entry().revision, unreadable="null is not an ETag")
    world.ledger.table.entries["k"] = broken
    own(world, SyncRequest("k", Cause.FINDER))
    entry = world.entry()
    assert (entry.unreadable, entry.revision, entry.synced is not None) == ("", broken.revision + 1, True)
    world.work(world.delete("k"))
    assert held(world.there) is None


def test_unreadable_entry_proves_no_deletion() -> None:
    world = synced()
    event = world.delete("k")
    world.ledger.table.entries["k"] = LedgerEntry("k", world.entry().revision, unreadable="not JSON")
    run(world.worker.process(world.message(body(event))))
    assert world.entry().unreadable == ""
    assert held(world.there) in (None, b"abc")


def test_authenticated_proof_of_a_write_is_believed() -> None:
    world = side()
    world.put("k", b"abc")
    local = world.here.current("k")
    assert local is not None
    version = OriginVersion(CN, local.seen.modified, local.seen.etag)
    written = world.there.put("k", b"abc", PEERS_USER, stamp=stamp(version)).etag
    proof = SyncedVersion(version, CopyState(version.etag, version.modified), CopyState(written))
    request = SyncRequest("k", Cause.CREATED, etag=version.etag, full_check=True, unrecorded=proof)
    run(world.worker.process(world.signed(replace(request, attempt=1))))
    known = world.entry().synced
    assert known is not None
    assert known.version == version
