"""Test interrupted multipart uploads: what remains, which worker resumes them, and when they restart."""

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
    """A target whose second part, completion or abort fails while its fault is set."""

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
    """A source that records the start of each range read."""

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
def test_failed_upload_is_aborted_and_raises_its_own_error(error: Exception, when: str, abort_fails: bool) -> None:
    world, _, _ = broken(**{when: error, "abort_fails": abort_fails})
    with pytest.raises(type(error), match="the reason"):
        world.copy(world.reading(THREE))
    assert len(world.target.uploads) == len(world.upload_records()) == abort_fails


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
def test_interrupted_upload_is_kept_and_resumed(error: BaseException, when: str) -> None:
    world, target, source = broken(**{when: error})
    with pytest.raises(type(error)):
        world.copy(world.reading(THREE))
    assert world.upload_records() == ["local>remote/k"]
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
    assert sorted(before + source.starts) in ([0, MIB, MIB, 2 * MIB], [0, MIB, 2 * MIB]), (
        "reads only the lost part again"
    )
    assert (world.target.uploads, world.upload_records()) == ({}, [])


def interrupted() -> tuple[CopyHarness, Breaking, Counting]:
    """Return a copy that was interrupted after its first part."""
    world, target, source = broken(part=UnavailableError("reset"))
    with pytest.raises(UnavailableError):
        world.copy(world.reading(THREE))
    target.part = None
    source.starts = []
    return world, target, source


def test_upload_restarts_for_another_version_of_the_source() -> None:
    world, _, source = interrupted()
    world.copy(world.reading(b"a" * len(THREE)))
    copied = world.copied()
    assert copied is not None
    assert set(copied[0]) == {ord("a")}
    assert source.starts == [0, MIB, 2 * MIB]
    assert (world.target.uploads, world.upload_records()) == ({}, [])


def test_upload_restarts_with_other_parts_or_attributes() -> None:
    for change in ({"part_size": 2 * MIB}, {"include_metadata": False}):
        world, _, source = interrupted()
        world.copier = replace(world.copier, **change)
        version = world.source.current("k")
        assert version is not None
        world.copy(MemoryObjectReader(version.seen))
        copied = world.copied()
        assert copied is not None
        assert copied[0] == THREE
        assert source.starts[0] == 0
        assert (world.target.uploads, world.upload_records()) == ({}, [])


def test_upload_restarts_if_it_was_aborted_meanwhile() -> None:
    world, _, source = interrupted()
    world.target.uploads.clear()
    version = world.source.current("k")
    assert version is not None
    world.copy(MemoryObjectReader(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    assert world.upload_records() == []


def test_part_of_another_length_is_uploaded_again() -> None:
    world, _, source = interrupted()
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
def test_upload_of_a_small_object_is_not_recorded(error: Exception | None) -> None:
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


def test_long_part_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualsync.runtime.transfer.multipart.MAX_BUFFERED_PART_BYTES", MIB - 1)
    monkeypatch.setattr("dualsync.runtime.model.streamed_body.PIECE_BYTES", MIB // 2)
    world, _, source = broken()
    world.copy(world.reading(THREE))
    copied = world.copied()
    assert copied is not None
    assert copied[0] == THREE
    assert source.starts == [MIB // 2 * n for n in range(5)]


def test_source_replaced_during_a_streamed_part_is_never_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualsync.runtime.transfer.multipart.MAX_BUFFERED_PART_BYTES", MIB - 1)
    monkeypatch.setattr("dualsync.runtime.model.streamed_body.PIECE_BYTES", MIB // 2)
    world, _, source = broken()

    async def replaced(key: str, start: int, end: int, etag: str) -> bytes:
        if start:
            world.source.put("k", b"another" * MIB, "AIDA")
        return await Counting.read_range(source, key, start, end, etag)

    source.read_range = replaced  # type: ignore[method-assign]
    with pytest.raises(SourceChangedError):
        world.copy(world.reading(THREE))
    assert (world.copied(), world.target.uploads, world.upload_records()) == (None, {}, [])


class WithoutListing(Breaking):
    """A store that cannot list parts."""

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> None:
        return None


def test_upload_restarts_if_the_store_lists_no_parts() -> None:
    world, _, source = interrupted()
    world.route = Route(source, WithoutListing(world.target, "AIDA"), "local>remote")
    version = world.source.current("k")
    assert version is not None
    world.copy(MemoryObjectReader(version.seen))
    assert source.starts == [0, MIB, 2 * MIB]
    assert (world.target.uploads, world.upload_records()) == ({}, [])


def test_second_worker_to_record_an_upload_aborts_its_own() -> None:
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
