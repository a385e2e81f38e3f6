"""Bytes from one bucket to the other: whole or in parts, never a mixture, never a torso."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.copier import MAX_PARTS, Copier, SourceChanged, part_length
from runtime.errors import Changed, GiveUp, Unavailable
from runtime.objects import NOTHING, Attributes, Condition, Part, Seen, Written
from runtime.version import Identity
from tests.core.given import CN, stamp
from tests.fakes.bucket import FakeBucket
from tests.fakes.clock import Time
from tests.fakes.gate import run
from tests.fakes.parallel import Serial
from tests.fakes.store import Store

MIB = 1 << 20
ATTRIBUTES = Attributes(
    content_type="text/plain", cache_control="no-store", storage_class="STANDARD_IA", metadata=(("a", "b"),)
)
STAMP = stamp(Identity(CN, 5, "e"))


@dataclass
class Reading:
    """An object being read; `closed` counts."""

    seen: Seen
    content: tuple[bytes, ...] = ()
    closed: int = 0
    error: Exception | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.content:
            yield chunk
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        self.closed += 1


@dataclass
class World:
    """A source and a target bucket and a copier that goes in parts from nine bytes."""

    source: Store = field(default_factory=lambda: Store("source", "cn-north-1", Time()))
    target: Store = field(default_factory=lambda: Store("target", "us-west-2", Time()))
    copier: Copier = field(default_factory=lambda: Copier(threshold=9, part_size=MIB, parallel=Serial()))

    def reading(self, content: bytes, *chunks: bytes) -> Reading:
        """Put `content` into the source and begin to read it (in `chunks`, if they are given)."""
        self.source.put("k", content, "AIDA", ATTRIBUTES)
        version = self.source.current("k")
        assert version is not None
        return Reading(version.seen, chunks or (content,))

    def copy(self, reading: Reading, condition: Condition = NOTHING, to: str = "") -> Written:
        source, target = FakeBucket(self.source, "AIDA"), FakeBucket(self.target, "AIDA")
        return run(self.copier.copy(source, reading, target, "k", STAMP, condition, to))

    def copied(self, key: str = "k") -> tuple[bytes, Seen] | None:
        version = self.target.current(key)
        return None if version is None else (version.body, version.seen)


@pytest.mark.parametrize("chunks", [(b"",), (), (b"abc",), (b"a", b"b", b"c")])
def test_small_objects_go_whole(chunks: tuple[bytes, ...]) -> None:
    world = World()
    reading = world.reading(b"".join(chunks))
    reading.content = chunks
    written = world.copy(reading)
    copied = world.copied()
    assert copied is not None
    assert copied[0] == b"".join(chunks)
    assert copied[1].etag == written.etag
    assert copied[1].stamp == STAMP
    assert reading.closed


@pytest.mark.parametrize("size", [9, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1])
def test_large_objects_go_in_parts(size: int) -> None:
    world = World()
    content = bytes(i % 251 for i in range(size))
    reading = world.reading(content)
    world.copy(reading)
    copied = world.copied()
    assert copied is not None
    assert copied[0] == content
    assert copied[1].etag.endswith(f"-{-(-size // MIB)}")
    assert copied[1].stamp == STAMP
    assert reading.closed
    assert world.target.uploads == {}


@pytest.mark.parametrize("content", [b"small", b"larger than nine"])
def test_attributes_travel_but_the_storage_class_is_the_targets(content: bytes) -> None:
    world = World()
    world.copy(world.reading(content))
    world.copier = replace(world.copier, include_metadata=False)
    world.copy(world.reading(content), to="bare")
    full, bare = world.copied(), world.copied("bare")
    assert full is not None
    assert bare is not None
    assert full[1].attributes == replace(ATTRIBUTES, storage_class="")
    assert bare[1].attributes == Attributes(content_type="text/plain")


@pytest.mark.parametrize("content", [b"small", b"larger than nine"])
def test_the_condition_holds_or_nothing_is_written(content: bytes) -> None:
    world = World()
    world.target.put("k", b"another", "AIDA")
    for condition in (NOTHING, Condition("no such etag")):
        reading = world.reading(content)
        with pytest.raises(Changed):
            world.copy(reading, condition)
        assert reading.closed
    assert world.target.uploads == {}
    before = world.copied()
    assert before is not None
    assert before[0] == b"another"
    world.copy(world.reading(content), Condition(before[1].etag))
    after = world.copied()
    assert after is not None
    assert after[0] == content


@pytest.mark.parametrize("chunks", [(b"ab",), (b"ab", b""), (b"abcd",)])
def test_a_read_of_another_length_is_not_written(chunks: tuple[bytes, ...]) -> None:
    world = World()
    reading = world.reading(b"abc", *chunks)
    with pytest.raises(SourceChanged, match="of 3 bytes"):
        world.copy(reading)
    assert world.copied() is None
    assert reading.closed


def test_a_read_that_breaks_off_is_closed() -> None:
    world = World()
    reading = world.reading(b"abc", b"a")
    reading.error = Unavailable("reset")
    with pytest.raises(Unavailable):
        world.copy(reading)
    assert reading.closed
    assert world.copied() is None


def test_a_source_replaced_meanwhile_is_never_mixed() -> None:
    world = World()
    reading = world.reading(b"the first version")
    world.source.put("k", b"the later version", "AIDA")
    with pytest.raises(SourceChanged):
        world.copy(reading)
    assert world.copied() is None
    assert world.target.uploads == {}


class Breaking(FakeBucket):
    """A target where a part, and perhaps the clean-up, fails."""

    abort_fails = False

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> Part:
        raise Changed("the reason")

    async def abort_upload(self, key: str, upload_id: str) -> None:
        if self.abort_fails:
            raise Unavailable("no answer to the abort")
        await super().abort_upload(key, upload_id)


@pytest.mark.parametrize("abort_fails", [False, True])
def test_a_failed_upload_is_aborted_and_its_own_error_is_what_counts(abort_fails: bool) -> None:
    world = World()
    target = Breaking(world.target, "AIDA")
    target.abort_fails = abort_fails
    source = FakeBucket(world.source, "AIDA")
    with pytest.raises(Changed, match="the reason"):
        run(world.copier.copy(source, world.reading(b"larger than nine"), target, "k", STAMP, NOTHING))
    assert len(world.target.uploads) == abort_fails


@pytest.mark.parametrize("include_metadata", [True, False])
def test_an_archived_object_is_given_up_with_its_storage_class(include_metadata: bool) -> None:
    world = World()
    world.copier = replace(world.copier, include_metadata=include_metadata)
    reading = world.reading(b"abc")
    glacier = replace(ATTRIBUTES, storage_class="GLACIER")
    reading.seen = replace(reading.seen, archived=True, attributes=glacier)
    with pytest.raises(GiveUp, match="storage class GLACIER: restore it first") as e:
        world.copy(reading)
    assert e.value.reason == "archived"
    assert reading.closed


@given(st.integers(1, 50 << 40), st.integers(5, 512).map(lambda m: m * MIB))
def test_parts_are_whole_mebibytes_few_enough_and_no_smaller_than_told(size: int, smallest: int) -> None:
    length = part_length(size, smallest)
    assert length >= smallest
    assert length % MIB == 0
    assert -(-size // length) <= MAX_PARTS
    assert length == smallest or -(-size // (length - MIB)) > MAX_PARTS


def test_part_length_at_its_limits() -> None:
    assert part_length(1, 5 * MIB) == 5 * MIB
    assert part_length(MAX_PARTS * 5 * MIB, 5 * MIB) == 5 * MIB
    assert part_length(MAX_PARTS * 5 * MIB + 1, 5 * MIB) == 6 * MIB
