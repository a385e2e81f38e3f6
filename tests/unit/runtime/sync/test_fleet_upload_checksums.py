"""Test checksums of objects copied in parts by several workers: no corrupted part becomes visible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.errors import ChecksumMismatchError
from dualsync.runtime.messages import part_request_codec
from dualsync.runtime.messages.parser import parse_part_request
from dualsync.runtime.sync.fleet_upload import STALL_SECONDS
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.multipart import CORRUPT_ATTEMPTS, CORRUPT_SECONDS
from tests.support.builders import USER, settings
from tests.support.fakes.queue import Letter
from tests.support.fakes.store import checksum_of
from tests.support.handlers import handler_of
from tests.unit.runtime.sync.test_fleet_upload import CONTENT, LENGTH, World

KINDS = ["crc32", "crc64nvme", "crc32-", "crc32c-", "sha256-", "xxhash128-"]
EVEN = tuple(CONTENT[at : at + LENGTH] for at in range(0, len(CONTENT), LENGTH))
UNEVEN = (CONTENT[:8], CONTENT[8:15], CONTENT[15:24], CONTENT[24:])


class ChecksummedUpload(World):
    """An object in its users' parts, and a source whose next `flipped` reads are corrupted."""

    flipped = 0

    def begin_with(self, checksum: str, parts: tuple[bytes, ...] = EVEN) -> None:
        upload = self.here.create_upload("k", checksum=checksum)
        for number, part in enumerate(parts, 1):
            self.here.put_part(upload, number, part)
        self.time.now += 1
        self.here.complete_upload(upload, USER)
        self._begin()

    def begin_with_md5(self, *, kms: bool = False) -> None:
        """Write the object in one piece, without a stored checksum, and too large for one request with its MD5."""
        self.here.md5_etags = self.there.md5_etags = True
        self.there.kms = kms
        self.put("k", CONTENT)
        self.context = replace(self.context, copier=replace(self.context.copier, md5_bytes=LENGTH))
        self.worker = handler_of(self.context, health=self.health)
        self._begin()

    def _begin(self) -> None:
        source = self.local
        read_range, read_part = source.read_range, source.read_part

        def maybe_corrupted(body: bytes) -> bytes:
            self.flipped -= self.flipped > 0
            return bytes([body[0] ^ (self.flipped >= 0 and self._wrong)]) + body[1:]

        async def corrupted_range(key: str, start: int, end: int, etag: str) -> bytes:
            self._wrong = self.flipped > 0
            return maybe_corrupted(await read_range(key, start, end, etag))

        async def corrupted_part(key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
            self._wrong = self.flipped > 0
            body, shown = await read_part(key, number, length, etag)
            return maybe_corrupted(body), shown

        source.read_range, source.read_part = corrupted_range, corrupted_part  # type: ignore[method-assign]
        self.work(self.events[-1])

    _wrong = False

    def process_all(self) -> None:
        """Process all messages until the queue is empty."""
        for _ in range(200):
            waiting = sorted(self.waiting(), key=lambda letter: letter.visible)
            if not waiting:
                return
            self.do(waiting[0])
        raise AssertionError("the queue is never empty")

    def checksum(self) -> str:
        version = self.there.current("k")
        assert version is not None
        return version.seen.attributes.checksum

    def source_checksum(self) -> str:
        version = self.here.current("k")
        assert version is not None
        return version.seen.attributes.checksum


def checksummed_upload() -> ChecksummedUpload:
    return ChecksummedUpload(settings())


def dead_letter_reasons(w: ChecksummedUpload) -> list[str]:
    return [str(fields["reason"]) for fields in w.log.of("outcome") if fields["outcome"] == "buried"]


@pytest.mark.parametrize("checksum", KINDS)
def test_parts_are_copied_with_their_checksums(checksum: str) -> None:
    w = checksummed_upload()
    w.begin_with(checksum)
    assert len(w.parts()) == 4
    w.process_all()
    assert (w.arrived(), w.checksum()) == (CONTENT, w.source_checksum())
    assert (w.there.uploads, w.upload(), dead_letter_reasons(w)) == ({}, None, [])


@pytest.mark.parametrize("flips", [1, 3])
@pytest.mark.parametrize("checksum", KINDS)
def test_corrupted_read_is_repeated_and_the_correct_copy_arrives(checksum: str, flips: int) -> None:
    w = checksummed_upload()
    w.begin_with(checksum)
    w.flipped = flips
    w.process_all()
    assert w.flipped == 0
    assert (w.arrived(), w.checksum()) == (CONTENT, w.source_checksum())
    assert [event.name for event in w.events] == ["ObjectCreated:CompleteMultipartUpload"]
    assert (w.there.uploads, w.upload(), dead_letter_reasons(w)) == ({}, None, [])


@pytest.mark.parametrize(("checksum", "reason"), [("crc32-", "stuck"), ("crc32", "corrupt")])
def test_object_that_is_always_corrupted_is_dead_lettered(checksum: str, reason: str) -> None:
    w = checksummed_upload()
    w.begin_with(checksum)
    w.flipped = 1 << 30
    for _ in range(2000):
        waiting = sorted(w.waiting(), key=lambda letter: letter.visible)
        if not waiting:
            break
        w.do(waiting[0])
    assert w.waiting() == []
    assert w.arrived() is None
    assert {text.split(":")[0] for text in dead_letter_reasons(w)} == {reason}
    assert len(dead_letter_reasons(w)) < 10
    if reason == "corrupt":
        w.flipped = 0
        w.time.now += CORRUPT_SECONDS
        w.work(w.events[-1])
        w.process_all()
        assert (w.arrived(), w.checksum()) == (CONTENT, w.source_checksum()), "a later request copies it"


@pytest.mark.parametrize("kms", [False, True])
def test_object_without_a_stored_checksum_is_compared_with_its_md5(kms: bool) -> None:
    w = checksummed_upload()
    w.begin_with_md5(kms=kms)
    assert len(w.parts()) == 4
    w.process_all()
    assert (w.arrived(), w.checksum()) == (CONTENT, checksum_of("crc32", CONTENT))
    assert (w.there.uploads, w.upload(), dead_letter_reasons(w)) == ({}, None, [])


@pytest.mark.parametrize("kms", [False, True])
@pytest.mark.parametrize("part", range(4))
def test_corrupted_part_of_another_worker_differs_from_the_md5(part: int, kms: bool) -> None:
    w = checksummed_upload()
    w.begin_with_md5(kms=kms)
    for number, letter in enumerate(w.parts()):
        w.flipped = number == part
        w.do(letter)
    assert w.arrived() is None
    w.process_all()
    assert (w.arrived(), w.checksum()) == (CONTENT, checksum_of("crc32", CONTENT))
    assert [event.name for event in w.events] == ["ObjectCreated:Put"]
    assert (w.there.uploads, w.upload(), dead_letter_reasons(w)) == ({}, None, [])


def test_corrupted_read_of_the_whole_starts_no_upload() -> None:
    w = checksummed_upload()
    w.flipped = 1
    w.begin_with_md5()
    assert (w.parts(), w.there.uploads, w.upload()) == ([], {}, None)
    w.process_all()
    assert (w.arrived(), w.checksum()) == (CONTENT, checksum_of("crc32", CONTENT))


def test_object_that_never_has_its_md5_is_dead_lettered() -> None:
    w = checksummed_upload()
    w.flipped = 1 << 30
    w.begin_with_md5()
    w.process_all()
    assert (w.arrived(), w.upload()) == (None, None)
    assert [text.split(":")[0] for text in dead_letter_reasons(w)] == ["corrupt"]


def test_small_object_that_is_always_corrupted_is_dead_lettered() -> None:
    w = ChecksummedUpload(settings())
    event = w.put("k", b"small")
    attempts = 0

    async def put(*_: object) -> None:
        nonlocal attempts
        attempts += 1
        raise ChecksumMismatchError("BadDigest")

    w.remote.put = put  # type: ignore[method-assign,assignment]
    w.work(event)
    w.process_all()
    assert attempts == CORRUPT_ATTEMPTS + 1
    assert [text.split(":")[0] for text in dead_letter_reasons(w)] == ["corrupt"]


def test_part_that_is_always_corrupted_is_requested_again_by_a_later_check() -> None:
    w = checksummed_upload()
    w.begin_with("sha256-")
    w.flipped = 1 << 30
    tries = 0
    letter: Letter | None = w.parts()[0]
    first = parse_part_request(w.parts()[0].body, w.context.authenticator)
    while letter is not None:
        w.do(letter)
        tries += 1
        letter = next(
            (
                x
                for x in w.parts()
                if (p := parse_part_request(x.body, w.context.authenticator)) and first and p.first == first.first
            ),
            None,
        )
    assert tries == CORRUPT_ATTEMPTS + 1
    w.flipped = 0
    w.time.now += STALL_SECONDS
    w.process_all()
    assert (w.arrived(), w.checksum()) == (CONTENT, w.source_checksum())


@pytest.mark.parametrize("checksum", ["sha256-", "crc32c-"])
def test_upload_restarts_without_checksums_if_part_lengths_differ(checksum: str) -> None:
    w = checksummed_upload()
    w.begin_with(checksum, UNEVEN)
    before = w.upload()
    w.process_all()
    assert before is not None
    assert before.checksum
    assert (w.arrived(), w.checksum()) == (CONTENT, "")
    assert (w.there.uploads, w.upload(), dead_letter_reasons(w)) == ({}, None, [])


def test_unfit_checksum_is_recorded_despite_a_concurrent_update_of_the_upload_record() -> None:
    """Otherwise each new upload would begin with a checksum that its parts cannot have."""
    w = checksummed_upload()
    w.begin_with("sha256-", UNEVEN)
    read_part = w.local.read_part

    async def meanwhile(key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        upload = w.upload()
        assert upload is not None
        await w.ledger.claim(
            upload_record_codec.encode(replace(upload, requests_sent=upload.requests_sent + 1)),
            upload_record_codec.encode(upload),
        )
        return await read_part(key, number, length, etag)

    w.local.read_part = meanwhile  # type: ignore[method-assign]
    for letter in w.parts():
        w.do(letter)
    plain = w.upload()
    assert plain is not None
    assert not plain.checksum
    w.process_all()
    assert (w.arrived(), w.checksum()) == (CONTENT, "")
    assert (w.there.uploads, w.upload(), dead_letter_reasons(w)) == ({}, None, [])


@pytest.mark.parametrize("checksum", KINDS)
def test_parts_are_copied_without_checksums_if_the_store_refuses_them(checksum: str) -> None:
    w = checksummed_upload()
    w.there.refuses_declared_checksums = True
    w.begin_with(checksum)
    w.process_all()
    assert (w.arrived(), w.checksum()) == (CONTENT, "")
    assert (w.there.uploads, w.upload(), dead_letter_reasons(w)) == ({}, None, [])


def test_upload_of_another_version_may_have_checksums_again() -> None:
    w = checksummed_upload()
    w.begin_with("sha256-", UNEVEN)
    for letter in w.parts():
        w.do(letter)
    plain = w.upload()
    assert plain is not None
    assert not plain.checksum
    other = replace(plain, etag="another-4", checksum="sha256:AA==-4")
    assert upload_record_codec.decode(upload_record_codec.encode(plain)) == plain
    assert not plain.is_same_copy(other)
    assert all(part_request_codec.MEMBER not in letter.body for letter in w.checks())
