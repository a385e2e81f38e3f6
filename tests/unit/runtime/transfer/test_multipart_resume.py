"""Uploads that break off: what is left of them, which worker continues, and when it starts again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.errors import (
    ConcurrentWriteError,
    CredentialRejectedError,
    PermanentError,
    PreconditionFailedError,
    UnavailableError,
    UploadGoneError,
)
from dualsync.runtime.model.objects import Attributes, Part, Precondition, PutResult, StartedUpload
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.records import UPLOAD, Record
from dualsync.runtime.model.streamed_body import StreamedBody
from dualsync.runtime.ports import Route
from dualsync.runtime.transfer.multipart import SourceChangedError
from tests.support.copy_harness import ATTRIBUTES, MIB, CopyHarness, MemoryObjectReader
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.store import Store


class Breaking(FakeBucket):
    """A target where a part, the completion, or the clean-up fails, as long as it is told to."""

    part: Exception | None = None
    completion: Exception | None = None
    abort_fails = False

    async def put_part(
        self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, checksum: str = "", declared: str = ""
    ) -> Part:
        if self.part is not None and number == 2:
            raise self.part
        return await super().put_part(key, upload_id, number, body, checksum, declared)

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        if self.completion is not None:
            raise self.completion
        return await super().complete_upload(key, upload_id, parts, condition, checksum, declared)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        if self.abort_fails:
            raise UnavailableError("no answer to the abort")
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


def broken(**faults: object) -> tuple[CopyHarness, Breaking, Counting]:
    world = CopyHarness()
    target, source = Breaking(world.target, "AIDA"), Counting(world.source)
    world.route = Route(source, target, "local>remote")
    for name, fault in faults.items():
        setattr(target, name, fault)
    return world, target, source


@pytest.mark.parametrize("abort_fails", [False, True])
@pytest.mark.parametrize("when", ["part", "completion"])
@pytest.mark.parametrize(
    "error", [PermanentError("the reason"), UploadGoneError("the reason"), ConcurrentWriteError("the reason")], ids=repr
)
def test_what_fails_for_good_is_aborted_and_its_own_error_is_what_counts(
    error: Exception, when: str, abort_fails: bool
) -> None:
    world, _, _ = broken(**{when: error, "abort_fails": abort_fails})
    with pytest.raises(type(error), match="the reason"):
        world.copy(world.reading(THREE))
    assert len(world.target.uploads) == len(world.noted()) == abort_fails


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("reset"),
        CredentialRejectedError("expired"),
        PreconditionFailedError("412"),
        KeyboardInterrupt(),
    ],
    ids=repr,
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
    world.copy(MemoryObjectReader(version.seen), Precondition(current.seen.etag))
    copied = world.copied()
    assert copied is not None
    assert copied[0] == THREE
    assert copied[1].etag.endswith("-3")
    assert sorted(before + source.starts) in ([0, MIB, MIB, 2 * MIB], [0, MIB, 2 * MIB]), "only the lost part again"
    assert (world.target.uploads, world.noted()) == ({}, [])


def left() -> tuple[CopyHarness, Breaking, Counting]:
    """An upload left after its first part."""
    world, target, source = broken(part=UnavailableError("reset"))
    with pytest.raises(UnavailableError):
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
        world.copier = replace(world.copier, **change)
        version = world.source.current("k")
        assert version is not None
        world.copy(MemoryObjectReader(version.seen))
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
    world.copy(MemoryObjectReader(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    assert world.noted() == []


def test_a_part_of_another_length_is_put_again() -> None:
    world, _, source = left()
    (upload,) = world.target.uploads
    world.target.put_part(upload, 1, b"torn")
    version = world.source.current("k")
    assert version is not None
    world.copy(MemoryObjectReader(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    copied = world.copied()
    assert copied is not None
    assert copied[0] == THREE


@pytest.mark.parametrize("error", [None, UnavailableError("reset"), PreconditionFailedError("412")], ids=repr)
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
        assert world.copy(MemoryObjectReader(version.seen)).etag == etag
    else:
        with pytest.raises(type(error)):
            world.copy(MemoryObjectReader(version.seen))
    assert world.target.uploads == {}
    assert source.starts == [0, 4]


def _never(call: str) -> Any:
    raise_now: Any = _Never()
    return raise_now, raise_now


class _Never:
    def __await__(self) -> Iterator[None]:
        raise AssertionError("the ledger is not asked")


def test_a_long_part_is_sent_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualsync.runtime.transfer.multipart.LONGEST_WHOLE", MIB - 1)
    monkeypatch.setattr("dualsync.runtime.model.streamed_body.PIECE_BYTES", MIB // 2)
    world, _, source = broken()
    world.copy(world.reading(THREE))
    copied = world.copied()
    assert copied is not None
    assert copied[0] == THREE
    assert source.starts == [MIB // 2 * n for n in range(5)]


def test_a_source_replaced_within_a_long_part_is_never_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualsync.runtime.transfer.multipart.LONGEST_WHOLE", MIB - 1)
    monkeypatch.setattr("dualsync.runtime.model.streamed_body.PIECE_BYTES", MIB // 2)
    world, _, source = broken()

    async def replaced(key: str, start: int, end: int, etag: str) -> bytes:
        if start:
            world.source.put("k", b"another" * MIB, "AIDA")
        return await Counting.read_range(source, key, start, end, etag)

    source.read_range = replaced  # type: ignore[method-assign]
    with pytest.raises(SourceChangedError):
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
    world.copy(MemoryObjectReader(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    assert (world.target.uploads, world.noted()) == ({}, [])


def test_who_comes_second_to_note_an_upload_leaves_none_behind() -> None:
    world = CopyHarness()

    class Rival(FakeBucket):
        async def create_upload(
            self, key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = ""
        ) -> StartedUpload:
            first = self.store.create_upload(key, attributes, stamp)
            record = Record(UPLOAD, f"local>remote/{key}", 1, key, {"id": first})
            world.ledger.table.records[UPLOAD, record.id] = record
            return await super().create_upload(key, attributes, stamp)

    world.route = Route(world.route.source, Rival(world.target, "AIDA"), "local>remote")
    with pytest.raises(ConcurrentWriteError):
        world.copy(world.reading(THREE))
    assert list(world.target.uploads) == ["upload-1"]
