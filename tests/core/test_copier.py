"""Bytes from one bucket to the other: whole or in parts, never a mixture, never a torso."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.copier import MAX_PARTS, Copier, part_length
from runtime.errors import Busy, Changed, CredentialRejected, GiveUp, Unavailable, UploadGone
from runtime.objects import NOTHING, Attributes, Condition, Part, Seen, Written
from runtime.parts import SourceChanged
from runtime.pieces import Pieces
from runtime.record import UPLOAD, Record
from runtime.upload import Route
from runtime.version import Identity, Stamp
from tests.core.given import CN, stamp
from tests.fakes.bucket import FakeBucket
from tests.fakes.clock import FakeClock, Time
from tests.fakes.gate import run
from tests.fakes.ledger import FakeLedger
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
    ledger: FakeLedger = field(default_factory=FakeLedger)

    def __post_init__(self) -> None:
        clock = FakeClock(Time())
        self.copier = Copier(threshold=9, part_size=MIB, parallel=Serial(), ledger=self.ledger, clock=clock)
        self.route = Route(FakeBucket(self.source, "AIDA"), FakeBucket(self.target, "AIDA"), "local>remote")

    def reading(self, content: bytes, *chunks: bytes) -> Reading:
        """Put `content` into the source and begin to read it (in `chunks`, if they are given)."""
        self.source.put("k", content, "AIDA", ATTRIBUTES)
        version = self.source.current("k")
        assert version is not None
        return Reading(version.seen, chunks or (content,))

    def copy(self, reading: Reading, condition: Condition = NOTHING, to: str = "") -> Written:
        return run(self.copier.copy(self.route, reading, "k", STAMP, condition, to))

    def noted(self) -> list[str]:
        return [record.id for record in self.ledger.table.records.values() if record.kind == UPLOAD]

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


@pytest.mark.parametrize("include_metadata", [True, False])
def test_the_storage_class_is_the_sources_where_that_is_asked_for(include_metadata: bool) -> None:
    world = World()
    world.copier = replace(world.copier, keep_class=True, include_metadata=include_metadata)
    world.copy(world.reading(b"small"))
    copied = world.copied()
    assert copied is not None
    assert copied[1].attributes.storage_class == "STANDARD_IA"


@pytest.mark.parametrize("content", [b"small", b"larger than nine"])
def test_the_condition_holds_or_nothing_is_written(content: bytes) -> None:
    world = World()
    world.target.put("k", b"another", "AIDA")
    for condition in (NOTHING, Condition("no such etag")):
        reading = world.reading(content)
        with pytest.raises(Changed):
            world.copy(reading, condition)
        assert reading.closed
    assert len(world.target.uploads) <= 1, "what a 412 left is left only once"
    before = world.copied()
    assert before is not None
    assert before[0] == b"another"
    world.copy(world.reading(content), Condition(before[1].etag))
    after = world.copied()
    assert after is not None
    assert after[0] == content
    assert world.target.uploads == {}


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
    """A target where a part, the completion, or the clean-up fails, as long as it is told to."""

    part: Exception | None = None
    completion: Exception | None = None
    abort_fails = False

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes | Pieces) -> Part:
        if self.part is not None and number == 2:
            raise self.part
        return await super().put_part(key, upload_id, number, body)

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[Part], condition: Condition, checksum: str = ""
    ) -> Written:
        if self.completion is not None:
            raise self.completion
        return await super().complete_upload(key, upload_id, parts, condition, checksum)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        if self.abort_fails:
            raise Unavailable("no answer to the abort")
        await super().abort_upload(key, upload_id)


class Counting(FakeBucket):
    """A source that counts the ranges read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, "AIDA")
        self.starts: list[int] = []

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        self.starts.append(start)
        return await super().read_range(key, start, end, etag)


THREE = b"x" * (2 * MIB) + b"yz"


def broken(**faults: object) -> tuple[World, Breaking, Counting]:
    world = World()
    target, source = Breaking(world.target, "AIDA"), Counting(world.source)
    world.route = Route(source, target, "local>remote")
    for name, fault in faults.items():
        setattr(target, name, fault)
    return world, target, source


@pytest.mark.parametrize("abort_fails", [False, True])
@pytest.mark.parametrize("when", ["part", "completion"])
@pytest.mark.parametrize("error", [GiveUp("the reason"), UploadGone("the reason"), Busy("the reason")], ids=repr)
def test_what_fails_for_good_is_aborted_and_its_own_error_is_what_counts(
    error: Exception, when: str, abort_fails: bool
) -> None:
    world, _, _ = broken(**{when: error, "abort_fails": abort_fails})
    with pytest.raises(type(error), match="the reason"):
        world.copy(world.reading(THREE))
    assert len(world.target.uploads) == len(world.noted()) == abort_fails


@pytest.mark.parametrize(
    "error", [Unavailable("reset"), CredentialRejected("expired"), Changed("412"), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("when", ["part", "completion"])
def test_what_may_go_on_is_left_and_gone_on_with(error: BaseException, when: str) -> None:
    world, target, source = broken(**{when: error})
    with pytest.raises(type(error)):
        world.copy(world.reading(THREE))
    assert world.noted() == ["local>remote/k"]
    target.part = target.completion = None
    world.target.put("k", b"written meanwhile", "AIDA")
    current = world.target.current("k")
    assert current is not None
    before, source.starts = source.starts, []
    version = world.source.current("k")
    assert version is not None
    world.copy(Reading(version.seen), Condition(current.seen.etag))
    copied = world.copied()
    assert copied is not None
    assert copied[0] == THREE
    assert copied[1].etag.endswith("-3")
    assert sorted(before + source.starts) in ([0, MIB, MIB, 2 * MIB], [0, MIB, 2 * MIB]), "only the lost part again"
    assert (world.target.uploads, world.noted()) == ({}, [])


def left() -> tuple[World, Breaking, Counting]:
    """An upload left after its first part."""
    world, target, source = broken(part=Unavailable("reset"))
    with pytest.raises(Unavailable):
        world.copy(world.reading(THREE))
    target.part = None
    source.starts = []
    return world, target, source


def test_another_version_of_the_source_starts_anew() -> None:
    world, _, source = left()
    world.copy(world.reading(b"a" * len(THREE)))
    copied = world.copied()
    assert copied is not None
    assert set(copied[0]) == {ord("a")}
    assert source.starts == [0, MIB, 2 * MIB]
    assert (world.target.uploads, world.noted()) == ({}, [])


def test_other_parts_or_attributes_start_anew() -> None:
    for change in ({"part_size": 2 * MIB}, {"include_metadata": False}):
        world, _, source = left()
        world.copier = replace(world.copier, **change)  # type: ignore[arg-type]
        version = world.source.current("k")
        assert version is not None
        world.copy(Reading(version.seen))
        copied = world.copied()
        assert copied is not None
        assert copied[0] == THREE
        assert source.starts[0] == 0
        assert (world.target.uploads, world.noted()) == ({}, [])


def test_an_upload_that_was_aborted_meanwhile_starts_anew() -> None:
    world, _, source = left()
    world.target.uploads.clear()
    version = world.source.current("k")
    assert version is not None
    world.copy(Reading(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    assert world.noted() == []


def test_a_part_of_another_length_is_put_again() -> None:
    world, _, source = left()
    (upload,) = world.target.uploads
    world.target.put_part(upload, 1, b"torn")
    version = world.source.current("k")
    assert version is not None
    world.copy(Reading(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    copied = world.copied()
    assert copied is not None
    assert copied[0] == THREE


@pytest.mark.parametrize("error", [None, Unavailable("reset"), Changed("412")], ids=repr)
def test_a_small_object_in_the_sources_parts_is_not_noted(error: Exception | None) -> None:
    world, _, source = broken(completion=error)
    upload = world.source.create_upload("k", ATTRIBUTES)
    world.source.put_part(upload, 1, b"abcd")
    world.source.put_part(upload, 2, b"ef")
    etag = world.source.complete_upload(upload, "AIDA").etag
    version = world.source.current("k")
    assert version is not None
    world.ledger = FakeLedger(gate=_never)
    world.copier = replace(world.copier, ledger=world.ledger)
    if error is None:
        assert world.copy(Reading(version.seen)).etag == etag
    else:
        with pytest.raises(type(error)):
            world.copy(Reading(version.seen))
    assert world.target.uploads == {}
    assert source.starts == [0, 4]


def _never(call: str) -> Any:
    raise_now: Any = _Never()
    return raise_now, raise_now


class _Never:
    def __await__(self) -> Iterator[None]:
        raise AssertionError("the ledger is not asked")


def test_a_long_part_is_sent_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.parts.LONGEST_WHOLE", MIB - 1)
    monkeypatch.setattr("runtime.pieces.PIECE_BYTES", MIB // 2)
    world, _, source = broken()
    world.copy(world.reading(THREE))
    copied = world.copied()
    assert copied is not None
    assert copied[0] == THREE
    assert source.starts == [MIB // 2 * n for n in range(5)]


def test_a_source_replaced_within_a_long_part_is_never_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.parts.LONGEST_WHOLE", MIB - 1)
    monkeypatch.setattr("runtime.pieces.PIECE_BYTES", MIB // 2)
    world, _, source = broken()

    async def replaced(key: str, start: int, end: int, etag: str) -> bytes:
        if start:
            world.source.put("k", b"another" * MIB, "AIDA")
        return await Counting.read_range(source, key, start, end, etag)

    source.read_range = replaced  # type: ignore[method-assign]
    with pytest.raises(SourceChanged):
        world.copy(world.reading(THREE))
    assert (world.copied(), world.target.uploads, world.noted()) == (None, {}, [])


class Blind(Breaking):
    """A store that can't list parts."""

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> None:
        return None


def test_a_store_that_lists_no_parts_starts_anew() -> None:
    world, _, source = left()
    world.route = Route(source, Blind(world.target, "AIDA"), "local>remote")
    version = world.source.current("k")
    assert version is not None
    world.copy(Reading(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    assert (world.target.uploads, world.noted()) == ({}, [])


def test_who_comes_second_to_note_an_upload_leaves_none_behind() -> None:
    world = World()

    class Rival(FakeBucket):
        async def create_upload(self, key: str, attributes: Attributes, stamp: Stamp | None) -> str:
            first = self.store.create_upload(key, attributes, stamp)
            record = Record(UPLOAD, f"local>remote/{key}", 1, key, {"id": first})
            world.ledger.table.records[UPLOAD, record.id] = record
            return await super().create_upload(key, attributes, stamp)

    world.route = Route(world.route.source, Rival(world.target, "AIDA"), "local>remote")
    with pytest.raises(Busy):
        world.copy(world.reading(THREE))
    assert list(world.target.uploads) == ["upload-1"]


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
