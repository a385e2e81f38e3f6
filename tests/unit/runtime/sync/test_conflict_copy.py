"""Test conflict copies: the losing version of a conflict is kept under another name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from dualsync.runtime.errors import PermanentError, PreconditionFailedError
from dualsync.runtime.model.objects import ObjectHead, PutResult
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.sync.conflict_copy import conflict_name, is_conflict_name, keep_loser
from dualsync.runtime.sync.decision import ObservedVersion
from dualsync.runtime.transfer.multipart import SourceChangedError
from tests.support.builders import CN, GLOBAL, USER, Side, settings
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.gate import run

LOSER = OriginVersion(CN, 1_700_000_000, "5D41402abc4b2a76b9719d911017c592-3")


def test_conflict_name_contains_side_time_and_content_hash() -> None:
    assert conflict_name("dir/report.csv", LOSER) == "dir/report.csv.conflict-cn-1700000000-5d41402a"


def test_conflict_names_of_different_versions_differ() -> None:
    others = [
        OriginVersion(GLOBAL, LOSER.modified, LOSER.etag),
        OriginVersion(CN, LOSER.modified + 1, LOSER.etag),
        OriginVersion(CN, LOSER.modified, "0" * 32),
    ]
    assert len({conflict_name("k", i) for i in (LOSER, *others)}) == 4


@pytest.mark.parametrize(
    ("key", "fits"), [("k" * 992, True), ("é" * 496, True), ("k" * 993, False), ("é" * 497, False)]
)
def test_conflict_name_is_empty_if_too_long_for_s3(key: str, fits: bool) -> None:
    name = conflict_name(key, LOSER)
    assert bool(name) is fits
    assert len(name.encode()) <= 1024


def test_conflict_name_length_counts_the_longer_prefix() -> None:
    assert conflict_name("k" * 982, LOSER, "", "p" * 10)
    assert not conflict_name("k" * 983, LOSER, "", "p" * 10)
    assert not conflict_name("k" * 983, LOSER, "p" * 10, "")


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (conflict_name("k", LOSER), True),
        (conflict_name(conflict_name("k", LOSER), LOSER), True),
        ("k", False),
        ("k.conflict-cn-5-5d41402a.txt", False),
        ("k.conflict-us-5-5d41402a", False),
        ("k.conflict-cn-5-5d4", False),
    ],
)
def test_conflict_name_is_recognised(key: str, kept: bool) -> None:
    assert is_conflict_name(key) is kept


class World(Side):
    """A conflict whose losing version is in the peer's bucket."""

    def __init__(self) -> None:
        super().__init__(settings(keep_loser=True))
        self.there.put("k", b"loser", USER)
        version = self.there.current("k")
        assert version is not None
        self.head = version.seen
        self.loser = ObservedVersion(
            version.seen, OriginVersion(GLOBAL, version.seen.modified, version.seen.etag), False
        )
        self.name = conflict_name("k", self.loser.version)

    def keep(self, key: str = "k") -> None:
        run(keep_loser(self.context, key, self.loser, self.context.remote))

    def held(self, key: str) -> list[bytes | None]:
        versions = [store.current(key) for store in (self.here, self.there)]
        return [None if v is None else v.body for v in versions]


def test_loser_is_written_to_both_sides_as_a_replica() -> None:
    world = World()
    world.keep()
    assert world.held(world.name) == [b"loser", b"loser"]
    for store in (world.here, world.there):
        version = store.current(world.name)
        assert version is not None
        assert version.seen.stamp == world.context.stamp(world.name, world.loser.version, 5)


def test_keeping_a_loser_twice_writes_it_once() -> None:
    world = World()
    world.keep()
    before = world.here.current(world.name)
    world.keep()
    assert world.here.current(world.name) is before


def test_conflict_copy_overwrites_no_existing_object() -> None:
    world = World()
    world.here.put(world.name, b"something else", USER)
    world.keep()
    assert world.held(world.name) == [b"something else", b"loser"]


def test_loser_replaced_or_deleted_meanwhile_is_retried() -> None:
    world = World()
    for change in (lambda: world.there.put("k", b"newer", USER), lambda: world.there.delete("k", USER)):
        change()
        with pytest.raises(PreconditionFailedError, match="was replaced while it was kept"):
            world.keep()
    assert world.held(world.name) == [None, None]


def test_loser_replaced_by_the_same_bytes_is_retried() -> None:
    world = World()
    world.time.now += 1
    world.there.put("k", b"loser", USER)
    with pytest.raises(PreconditionFailedError, match="was replaced while it was kept"):
        world.keep()
    assert world.held(world.name) == [None, None]


@pytest.mark.parametrize("side", ["remote", "local"])
def test_loser_is_not_kept_if_its_write_is_refused(side: str) -> None:
    """A refused condition on the ledger's entry does not prove that the copy exists."""
    world = World()

    class Refusing(FakeBucket):
        async def put(self, *arguments: object, **keywords: object) -> PutResult:
            raise PreconditionFailedError("the ledger's entry changed after it was read")

    if side == "remote":
        world.context = replace(world.context, remote=Refusing(world.there, USER))
    else:
        world.context = replace(world.context, local=Refusing(world.here, USER))
    with pytest.raises(PreconditionFailedError, match="the ledger's entry changed"):
        run(keep_loser(world.context, "k", world.loser, FakeBucket(world.there, USER)))


def test_loser_is_not_kept_if_its_read_ends_early() -> None:
    world = World()

    class Torn:
        head: ObjectHead = world.head

        async def read_whole(self) -> bytes | None:
            return None

        async def chunks(self) -> AsyncIterator[bytes]:
            yield b"los"

        async def close(self) -> None:
            pass

    class Holder(FakeBucket):
        async def read(self, key: str) -> Torn:  # type: ignore[override]
            return Torn()

    with pytest.raises(SourceChangedError):
        run(keep_loser(world.context, "k", world.loser, Holder(world.there, USER)))


@pytest.mark.parametrize("key", ["k" * 1000, "k.conflict-cn-5-5d41402a"], ids=["too long", "a kept loser itself"])
def test_loser_without_a_valid_name_is_logged_and_not_kept(key: str) -> None:
    world = World()
    world.keep(key)
    assert list(world.here.keys) == []
    assert list(world.there.keys) == ["k"]
    assert "not kept" in str(world.log.of("conflict")[0]["reason"])


def test_archived_loser_is_dead_lettered_with_its_own_reason() -> None:
    """The winner could travel: unlike an archived object that each run finds again, this waits for an operator."""
    world = World()
    world.there.archive("k")
    with pytest.raises(PermanentError) as e:
        world.keep()
    assert e.value.reason == "loser archived"
