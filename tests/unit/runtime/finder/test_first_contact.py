"""Test first contact in the finder: metadata of equal objects is compared once, since listings do not show it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.errors import AccessDeniedError, CredentialRejectedError, PermanentError, UnavailableError
from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.model.objects import Attributes, ListedObject
from dualsync.runtime.model.records import SEEDED
from dualsync.runtime.settings import FirstContact
from tests.support.builders import USER
from tests.support.fakes.gate import run
from tests.support.finder_harness import FinderHarness

PLAIN = Attributes(content_type="text/plain", metadata=(("owner", "a"),))
OTHERS = [
    replace(PLAIN, content_type="text/html"),
    replace(PLAIN, metadata=(("owner", "b"),)),
    replace(PLAIN, metadata=()),
    replace(PLAIN, cache_control="no-store"),
    replace(PLAIN, content_disposition="inline"),
    replace(PLAIN, content_encoding="gzip"),
    replace(PLAIN, content_language="de"),
    replace(PLAIN, expires="0"),
    replace(PLAIN, website_redirect="/x"),
]


def seeded(there: Attributes, here: Attributes = PLAIN, **changes: Any) -> FinderHarness:
    world = FinderHarness(seeded=False, **changes)
    world.there.put("k", b"same", USER, there)
    world.time.now += 60
    world.here.put("k", b"same", USER, here)
    return world


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_equal_objects_with_other_metadata_are_queued_and_counted(other: Attributes) -> None:
    world = seeded(other)
    report = world.find()
    assert report.found == {Difference.OTHER_METADATA: 1}
    assert (report.agreed, report.queued) == (0, 1)
    assert [r.reason for r in world.queued()] == ["equal content, other metadata"]
    assert world.entry("k").synced is None


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_other_metadata_converges_by_the_conflict_rule(other: Attributes) -> None:
    world = seeded(other)
    world.find()
    for _ in range(9):
        world.time.now += 1000
        for message in world.broker.receive(10):
            run(world.worker.process(message))
    there = world.there.current("k")
    assert there is not None
    assert there.seen.attributes == PLAIN
    assert world.entry("k").synced is not None
    assert world.find().found == {}


@pytest.mark.parametrize(
    "alike",
    [PLAIN, replace(PLAIN, storage_class="STANDARD_IA"), replace(PLAIN, tags=(("a", "b"),))],
    ids=["the same", "another storage class", "other tags"],
)
def test_storage_class_and_tags_are_no_difference(alike: Attributes) -> None:
    world = seeded(alike)
    report = world.find()
    assert (report.agreed, report.queued, report.found) == (1, 0, {Difference.UNKNOWN: 1})


def test_metadata_that_is_not_copied_is_no_difference() -> None:
    world = seeded(replace(PLAIN, metadata=(), cache_control="no-store"), include_metadata=False)
    assert world.find().agreed == 1
    world = seeded(replace(PLAIN, content_type="text/html"), include_metadata=False)
    assert world.find().queued == 1


def test_first_contact_by_size_compares_no_metadata_and_no_etag() -> None:
    world = seeded(OTHERS[0], first_contact=FirstContact.SIZE)
    world.here.put("other", b"1", USER)
    world.there.put("other", b"2", USER)
    world.here.put("longer", b"1", USER)
    world.there.put("longer", b"22", USER)
    report = world.find()
    assert (report.agreed, report.queued) == (2, 1)
    assert report.found == {Difference.UNKNOWN: 2, Difference.CHANGED_BOTH: 1}


def test_lost_message_is_queued_again_until_seeding_is_done() -> None:
    world = seeded(OTHERS[0])
    world.both("other", known=False)
    world.find()
    assert world.record(SEEDED) is None
    assert [world.find().queued for _ in range(3)] == [1, 1, 1], "the queue was empty each time"


def test_waiting_message_is_not_queued_again() -> None:
    world = seeded(OTHERS[0])
    world.find()
    world.time.now += 10_000
    report = run(world.finder().run())
    assert (report.queued, report.waiting) == (0, 1)
    assert len(world.broker.letters) == 1


def test_object_that_changed_since_it_was_listed_is_queued() -> None:
    world = seeded(PLAIN)
    listed = world.remote.list

    async def changed(after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        async for page in listed(after, until, prefix):
            world.there.put("k", b"else", USER, PLAIN)
            yield page

    world.remote.list = changed  # type: ignore[method-assign]
    assert world.find().queued == 1
    assert world.entry("k").synced is None


@pytest.mark.parametrize(
    "error", [AccessDeniedError("403"), PermanentError("InvalidRequest", "SSE-C"), UnavailableError("500")], ids=repr
)
@pytest.mark.parametrize("where", ["local", "remote"])
def test_unreadable_pair_fails_alone(error: Exception, where: str) -> None:
    world = FinderHarness(seeded=False)
    world.both("a", "poison", "z", known=False)
    world.only_here("new")
    refuse(getattr(world, where), {"poison"}, error)
    for _ in range(2):
        report = world.find()
        assert report.failed == 1
        assert world.queued_keys() == ["new"]
        assert world.record(SEEDED) is None, "the pair is compared again"
    assert world.entry("a").synced is not None
    assert world.entry("z").synced is not None
    assert {line["key"] for line in world.log.of("finder-key")} == {"poison"}


def test_run_fails_if_the_service_does_not_answer() -> None:
    world = FinderHarness(seeded=False)
    world.both("a", "b", known=False)
    refuse(world.remote, {"a", "b"}, UnavailableError("500"))
    with pytest.raises(UnavailableError):
        world.find()


def test_run_fails_if_the_credential_is_rejected() -> None:
    world = FinderHarness(seeded=False)
    world.both("a", "b", known=False)
    refuse(world.remote, {"a"}, CredentialRejectedError("expired"))
    with pytest.raises(CredentialRejectedError):
        world.find()


def refuse(bucket: Any, keys: set[str], error: Exception) -> None:
    """Let a HEAD of these keys fail with this error."""
    head = bucket.head

    async def failing(key: str, **more: Any) -> Any:
        if key in keys:
            raise error
        return await head(key, **more)

    bucket.head = failing
