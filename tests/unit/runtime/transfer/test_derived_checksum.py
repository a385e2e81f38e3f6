"""Test large objects in one piece whose MD5 S3 cannot compute from parts: its CRC32 is derived and compared."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any, cast

import pytest

from dualsync.runtime.aws.http.body_memory import Admission
from dualsync.runtime.errors import ChecksumMismatchError, UnavailableError
from dualsync.runtime.model.checksums import md5_etag_checksum
from dualsync.runtime.model.objects import Attributes, StartedUpload
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.ports import Bucket, Route
from dualsync.runtime.transfer import digest_reader
from dualsync.runtime.transfer.derived_checksum import can_derive, derive
from dualsync.runtime.transfer.multipart import SourceChangedError, UploadInProgressError
from dualsync.runtime.transfer.upload_record import UploadRecord
from dualsync.runtime.transfer.upload_record_codec import decode, digest_attributes, encode
from tests.support.copy_harness import ATTRIBUTES, STAMP, CopyHarness, MemoryObjectReader
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.gate import run
from tests.support.fakes.store import Store, checksum_of

CONTENT = b"abcdefghABCDEFGHab"
PART = 8
READS = 3
"""Reads of the whole content, and also its parts."""
CRC32 = checksum_of("crc32", CONTENT)


@pytest.fixture(autouse=True)
def _small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_reader, "PIECE_BYTES", PART)


class Flipping(FakeBucket):
    """A source whose `nth` read (from 0) has one wrong bit."""

    def __init__(self, store: Store, nth: int = -1) -> None:
        super().__init__(store, "AIDA")
        self.nth = nth
        self.reads: list[tuple[int, int]] = []

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        body = await super().read_range(key, start, end, etag)
        self.reads.append((start, end))
        return bytes([body[0] ^ 1]) + body[1:] if len(self.reads) == self.nth + 1 else body


class Breaking(FakeBucket):
    """A target that stores only the parts before `broken`."""

    broken = 0

    async def put_part(self, key: str, upload_id: str, number: int, *rest: Any) -> Any:
        if self.broken and number >= self.broken:
            raise UnavailableError("reset")
        return await super().put_part(key, upload_id, number, *rest)


class Case(CopyHarness):
    """An object in one piece without a stored checksum, which is too large for one request."""

    def __init__(self, nth: int = -1, *, kms: bool = False, checksum: str = "") -> None:
        super().__init__()
        self.source.md5_etags = self.target.md5_etags = True
        self.target.kms = kms
        self.from_, self.to = Flipping(self.source, nth), Breaking(self.target, "AIDA")
        self.route = Route(self.from_, self.to, "local>remote")
        self.copier = replace(self.copier, part_size=PART, md5_bytes=PART)
        self.source.put("k", CONTENT, "AIDA", replace(ATTRIBUTES, checksum=checksum))

    def transfer(self) -> None:
        version = self.source.current("k")
        assert version is not None
        self.copy(MemoryObjectReader(version.seen))

    def record(self) -> UploadRecord:
        (record,) = self.ledger.table.records.values()
        return decode(record)

    def arrived(self, checksum: str = CRC32) -> bool:
        """Return True if the whole content arrived and was compared, False if nothing arrived."""
        copied = self.copied()
        if copied is None:
            return False
        assert (copied[0], copied[1].attributes.checksum) == (CONTENT, checksum)
        assert (self.target.uploads, self.upload_records()) == ({}, [])
        return True


@pytest.mark.parametrize("kms", [False, True])
def test_large_object_is_copied_in_parts_with_a_derived_checksum(kms: bool) -> None:
    c = Case(kms=kms)
    c.transfer()
    assert c.arrived()
    assert c.from_.reads == [(0, 8), (8, 16), (16, 18)] * 2, "once in order, and once for the parts"


@pytest.mark.parametrize("kms", [False, True])
@pytest.mark.parametrize("nth", range(2 * READS))
def test_corrupted_read_never_becomes_visible(nth: int, kms: bool) -> None:
    c = Case(nth, kms=kms)
    with pytest.raises(ChecksumMismatchError):
        c.transfer()
    assert not c.arrived()
    assert c.target.uploads == {}
    c.transfer()
    assert c.arrived()


@pytest.mark.parametrize("nth", range(READS))
def test_content_that_does_not_have_its_md5_starts_no_upload(nth: int) -> None:
    c = Case(nth)
    with pytest.raises(ChecksumMismatchError, match="content-md5"):
        c.transfer()
    assert len(c.from_.reads) == READS
    assert c.upload_records() == []


def interrupted(nth: int) -> Case:
    """Return a copy that an earlier process ended after its first part."""
    c = Case(nth)
    c.to.broken = 2
    with pytest.raises(UnavailableError):
        c.transfer()
    assert c.record().checksum == CRC32
    c.to.broken = 0
    return c


def test_resumed_upload_is_compared_without_another_read_of_the_whole() -> None:
    c = interrupted(-1)
    before = len(c.from_.reads)
    c.transfer()
    assert c.arrived()
    assert c.from_.reads[before:] == [(8, 16), (16, 18)]


def test_corrupted_part_of_an_earlier_process_is_noticed() -> None:
    c = interrupted(READS)
    with pytest.raises(ChecksumMismatchError):
        c.transfer()
    assert not c.arrived()
    assert c.record().checksum_failures == 1
    c.transfer()
    assert c.arrived()


def test_upload_that_is_not_compared_is_not_continued() -> None:
    """A worker of version 0.1 starts such uploads."""
    c = Case()
    upload_id = c.target.create_upload("k", ATTRIBUTES, STAMP, "AIDA")
    c.target.put_part(upload_id, 1, b"ABCDEFGH")
    plain = replace(ATTRIBUTES, storage_class="")
    upload = UploadRecord(
        route=c.route.name,
        key="k",
        target_key="k",
        etag=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
        size=len(CONTENT),
        part_length=PART,
        stamp=STAMP.encode(),
        attributes=digest_attributes(plain),
        upload_id=upload_id,
    )
    run(c.ledger.claim(encode(upload), None))
    c.transfer()
    assert c.arrived()


def test_several_workers_get_an_upload_with_a_derived_checksum() -> None:
    c = Case()
    c.copier = replace(c.copier, giant=PART)
    for _ in range(2):
        with pytest.raises(UploadInProgressError) as raised:
            c.transfer()
        assert raised.value.upload.checksum == CRC32
    assert len(c.from_.reads) == READS, "once, and not with each check"


def test_source_that_changes_while_it_is_read_starts_no_upload() -> None:
    c = Case()

    async def replaced(key: str, start: int, end: int, etag: str) -> bytes:
        if start:
            c.source.put("k", b"another version", "AIDA")
        return await FakeBucket.read_range(c.from_, key, start, end, etag)

    c.from_.read_range = replaced  # type: ignore[method-assign]
    with pytest.raises(SourceChangedError):
        c.transfer()
    assert (c.copied(), c.target.uploads, c.upload_records()) == (None, {}, [])


def test_store_that_refuses_checksums_gets_the_object_without_one() -> None:
    c = Case()
    c.target.unsupported_checksums.add("crc32")
    c.transfer()
    assert c.arrived("")


def test_etag_that_is_no_md5_is_not_compared() -> None:
    c = Case()
    c.source.md5_etags = False
    c.source.put("k", CONTENT, "AIDA", ATTRIBUTES)
    c.transfer()
    assert c.arrived("")
    assert len(c.from_.reads) == READS


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("nth", [-1, 0, READS])
def test_stored_digest_is_compared_if_one_request_is_too_short(
    kind: str, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualsync.runtime.transfer.copier.MAX_PART_BYTES", PART)
    c = Case(nth, checksum=f"{kind}:")
    if nth >= 0:
        with pytest.raises(ChecksumMismatchError):
            c.transfer()
        assert not c.arrived()
    c.transfer()
    assert c.arrived()


def test_smaller_object_is_sent_in_one_request_with_its_md5() -> None:
    c = Case()
    c.copier = replace(c.copier, md5_bytes=len(CONTENT))
    created: list[str] = []

    async def create_upload(key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = "") -> StartedUpload:
        created.append(key)
        raise AssertionError

    c.to.create_upload = create_upload  # type: ignore[method-assign]
    c.transfer()
    assert c.arrived("")
    assert created == []


async def test_piece_is_released_before_the_next_is_read() -> None:
    """Otherwise many objects, each holding one piece, would deadlock on the memory bound."""
    admission = Admission(PART)

    class Reads:
        async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
            piece = await admission.body(end - start)
            piece[:] = CONTENT[start:end]
            return cast(bytes, piece)

    exact = md5_etag_checksum(hashlib.md5(CONTENT, usedforsecurity=False).hexdigest())
    both = (derive(cast(Bucket, Reads()), "k", "e", len(CONTENT), exact) for _ in range(2))
    assert await asyncio.wait_for(asyncio.gather(*both), 60) == [CRC32, CRC32]
    assert admission.held_bytes == 0


def test_only_a_digest_of_the_whole_content_is_replaced() -> None:
    texts = (
        "content-md5:AA==",
        "sha256:AA==",
        "crc32:AA==",
        "crc64nvme:AA==",
        "sha256:AA==-2",
        "xxhash3:AA==",
        "",
        "md5:",
    )
    assert [can_derive(text) for text in texts] == [True, True, False, False, False, False, False, False]
