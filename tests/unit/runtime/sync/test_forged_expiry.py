"""Test forged lifecycle events: they delete nothing and hide no user's write or deletion."""

from __future__ import annotations

import json
from itertools import product

import pytest

from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.settings import OnLifecycleExpiry
from tests.support.builders import DEDICATED, ROLE, USER, Side, settings
from tests.support.fakes.gate import run
from tests.support.fakes.version import Versioning
from tests.unit.runtime.sync.test_forged_messages import HIGH, LOW, PEERS_OWN_USER, etag_of, held, record, send

NAMES = (
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
)
LIFECYCLE = "s3.amazonaws.com"
"""The principal of lifecycle events (Amazon S3 User Guide, "Event message structure")."""
FORGED = list(product(NAMES, (LIFECYCLE, USER, DEDICATED, f"{ROLE}:i-0"), ("", LOW, HIGH), ("", "null", "v1")))


def forged(name: str, by: str, sequencer: str, version: str) -> str:
    """Return a message with one expiry event."""
    document = json.loads(record(name, sequencer, by=by, version=version))
    if by == LIFECYCLE:
        document["Records"][0]["userIdentity"]["principalId"] = by
    return json.dumps(document)


def synced(mode: OnLifecycleExpiry, versioning: Versioning) -> Side:
    world = Side(settings(on_lifecycle_expiry=mode), versioning=versioning)
    world.work(world.put("k", b"abc"))
    return world


@pytest.mark.parametrize("versioning", Versioning)
@pytest.mark.parametrize("mode", OnLifecycleExpiry)
def test_forged_expiry_deletes_nothing_and_hides_no_later_change(
    mode: OnLifecycleExpiry, versioning: Versioning
) -> None:
    for fields in FORGED:
        world = synced(mode, versioning)
        send(world, forged(*fields))
        assert (held(world.here), held(world.there)) == (b"abc", b"abc"), fields
        world.work(world.put("k", b"v2"))
        assert held(world.there) == b"v2", fields
        world.work(world.delete("k"))
        assert held(world.there) is None, fields


@pytest.mark.parametrize("seconds", [0, 1], ids=["in the second of the write", "a second after it"])
@pytest.mark.parametrize("versioning", Versioning)
@pytest.mark.parametrize("mode", OnLifecycleExpiry)
def test_forged_expiry_does_not_hide_a_user_deletion_that_is_read_later(
    mode: OnLifecycleExpiry, versioning: Versioning, seconds: int
) -> None:
    for fields in FORGED:
        world = synced(mode, versioning)
        world.time.now += seconds
        world.here.delete("k", USER)
        deletion = world.events[-1]
        send(world, forged(*fields))
        world.work(deletion)
        assert held(world.there) is None, fields
        world.work(world.put("k", b"v3"))
        assert held(world.there) == b"v3", fields


@pytest.mark.parametrize("mode", OnLifecycleExpiry)
def test_forged_expiry_of_an_object_that_was_never_here_deletes_nothing_at_the_peer(mode: OnLifecycleExpiry) -> None:
    for fields in FORGED:
        world = Side(settings(on_lifecycle_expiry=mode))
        world.time.now += 1
        world.there.put("k", b"theirs", PEERS_OWN_USER)
        for text in (
            forged(*fields),
            record("ObjectRemoved:Delete", HIGH),
            record("ObjectCreated:Put", LOW, etag_of(world.there), by=DEDICATED),
            forged(*fields),
        ):
            send(world, text)
        run(world.worker.process(world.signed(SyncRequest("k", Cause.FINDER, full_check=True, may_delete=True))))
        assert held(world.there) == b"theirs", fields


@pytest.mark.parametrize("sequencer", [LOW, HIGH])
@pytest.mark.parametrize("name", ["ObjectCreated:Put", "ObjectCreated:Copy", "ObjectTagging:Put", "ObjectAcl:Put"])
@pytest.mark.parametrize("by", [USER, DEDICATED, f"{ROLE}:i-0"])
def test_forged_creation_does_not_delete_the_peers_copy_of_an_expired_object(
    by: str, name: str, sequencer: str
) -> None:
    """The key had been deleted by a user before, so that an earlier event can be of a deleted version."""
    world = synced(OnLifecycleExpiry.IGNORE, Versioning.NEVER)
    world.work(world.delete("k"))
    world.work(world.put("k", b"v2"))
    world.here.expire("k")
    world.work()
    assert (held(world.here), held(world.there)) == (None, b"v2")
    for _ in range(2):
        send(world, record(name, sequencer, etag_of(world.there), by=by))
        run(world.worker.process(world.signed(SyncRequest("k", Cause.FINDER, full_check=True, may_delete=True))))
    assert held(world.there) == b"v2"


@pytest.mark.parametrize("name", ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"])
@pytest.mark.parametrize("by", [DEDICATED, f"{ROLE}:i-0"])
@pytest.mark.parametrize("sequencer", [LOW, HIGH])
def test_forged_worker_deletion_after_an_expiry_does_not_hide_a_user_deletion(
    sequencer: str, by: str, name: str
) -> None:
    world = synced(OnLifecycleExpiry.IGNORE, Versioning.ENABLED)
    world.here.expire("k")
    world.work()
    assert (held(world.here), held(world.there)) == (None, b"abc")
    world.time.now += 5
    world.here.delete("k", USER)
    deletion = world.events[-1]
    world.events.clear()
    send(world, record(name, sequencer, by=by))
    world.work(deletion)
    assert held(world.there) is None
