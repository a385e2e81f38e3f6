"""Test checksums from source to target, per kind: the copy has the source's checksum, or nothing becomes visible."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pytest

from dualsync.runtime.errors import ChecksumMismatchError, PermanentError, UnavailableError
from dualsync.runtime.model.checksums import composite_parts, is_linear, kind, value
from dualsync.runtime.model.objects import Attributes, ObjectHead, PutResult
from dualsync.runtime.ports import Route
from tests.support.copy_harness import ATTRIBUTES, CopyHarness, MemoryObjectReader
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.store import Store, checksum_of

CRC = ("crc32", "crc32c", "crc64nvme")
OTHERS = ("md5", "sha1", "sha256", "sha512", "xxhash64", "xxhash128", "some-day")
COMPOSITE = tuple(kind for kind in CRC + OTHERS if kind != "crc64nvme")
"""crc64nvme has no composite type ("Full object and composite checksum types", User Guide)."""
COMPUTED = ("crc32", "md5", "sha1", "sha256", "sha512")
EVEN = (b"abcdefgh", b"ABCDEFGH", b"ab")
UNEVEN = (b"abcdefgh", b"ABCDEFG", b"Hab")
CONTENT = b"".join(EVEN)


class Flipping(FakeBucket):
    """A source that flips one bit of its `nth` read (from 0), or of that read and all later ones."""

    def __init__(self, store: Store, nth: int, always: bool = False) -> None:
        super().__init__(store, "AIDA")
        self.nth, self.always = nth, always
        self.reads: list[object] = []

    def _flip(self, what: object, body: bytes) -> bytes:
        self.reads.append(what)
        wrong = len(self.reads) > self.nth if self.always else len(self.reads) == self.nth + 1
        return bytes([body[0] ^ 1]) + body[1:] if wrong else body

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        return self._flip((start, end), await super().read_range(key, start, end, etag))

    async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        body, checksum = await super().read_part(key, number, length, etag)
        return self._flip(number, body), checksum


@dataclass
class Case:
    """A source, and the copier to test."""

    world: CopyHarness
    source: Flipping

    @property
    def seen(self) -> ObjectHead:
        version = self.world.source.current("k")
        assert version is not None
        return version.seen

    def copy(self) -> PutResult:
        return self.world.copy(MemoryObjectReader(self.seen))

    def arrived(self) -> bool:
        """Return True if the whole content arrived with the source's checksum, False if nothing arrived."""
        copied = self.world.copied()
        if copied is None:
            return False
        assert copied[0] == CONTENT
        assert copied[1].attributes.checksum == self.seen.attributes.checksum != ""
        assert (self.world.target.uploads, self.world.upload_records()) == ({}, [])
        return True


def case(checksum: str, *parts: bytes, nth: int = -1, always: bool = False, threshold: int = 9) -> Case:
    """Return a source with that checksum, in these parts or in one piece.

    The checksum is written as `UploadRecord.checksum` of the fake store.
    """
    world = CopyHarness()
    source = Flipping(world.source, nth, always)
    world.route = Route(source, world.route.target, "local>remote")
    world.copier = replace(world.copier, threshold=threshold, part_size=8)
    if parts:
        upload = world.source.create_upload("k", ATTRIBUTES, checksum=checksum)
        for number, part in enumerate(parts, 1):
            world.source.put_part(upload, number, part)
        world.source.complete_upload(upload, "AIDA")
    else:
        world.source.put("k", CONTENT, "AIDA", replace(ATTRIBUTES, checksum=f"{checksum}:"))
    return Case(world, source)


NOTED, SMALL = 9, 1000
"""Part thresholds: the upload is recorded, or a small object is copied at once in its source's parts."""
Kind = tuple[str, tuple[bytes, ...], int]
ONE: list[Kind] = [(name, (), NOTED) for name in CRC + OTHERS]
WHOLE: list[Kind] = [(name, EVEN, threshold) for name in CRC for threshold in (NOTED, SMALL)]
OF_PARTS: list[Kind] = [(f"{name}-", EVEN, threshold) for name in COMPOSITE for threshold in (NOTED, SMALL)]


def _name(value: object) -> str | None:
    return "parts" if isinstance(value, tuple) else None


@pytest.mark.parametrize(("checksum", "parts", "threshold"), ONE + WHOLE + OF_PARTS, ids=_name)
def test_replica_has_the_checksum_of_its_source(checksum: str, parts: tuple[bytes, ...], threshold: int) -> None:
    c = case(checksum, *parts, threshold=threshold)
    c.copy()
    assert c.arrived()


@pytest.mark.parametrize(
    ("checksum", "parts", "threshold", "nth"),
    [
        (*shape, nth)
        for shape in ONE + WHOLE + OF_PARTS
        for nth in (range(3) if shape[1] or shape[0] in CRC else range(1))
    ],
    ids=_name,
)
def test_corrupted_read_never_becomes_visible(
    checksum: str, parts: tuple[bytes, ...], threshold: int, nth: int
) -> None:
    c = case(checksum, *parts, nth=nth, threshold=threshold)
    with pytest.raises(ChecksumMismatchError):
        c.copy()
    assert c.world.copied() is None
    c.copy()
    assert c.arrived()
    if composite_parts(c.seen.attributes.checksum) and threshold == NOTED:
        assert len(c.source.reads) == 4, "only the corrupted part is read again"


@pytest.mark.parametrize("kind", COMPUTED)
@pytest.mark.parametrize("nth", [-1, 1])
def test_part_checksum_is_computed_if_the_source_shows_none(kind: str, nth: int) -> None:
    c = case(f"{kind}-", *EVEN, nth=nth)
    c.world.source.shows_parts = False
    c.world.route = Route(c.source, Computing(c.world.target, "AIDA"), "local>remote")
    if nth >= 0:
        with pytest.raises(ChecksumMismatchError):
            c.copy()
        assert c.world.copied() is None
    c.copy()
    assert c.arrived()


class Computing(FakeBucket):
    """A target whose adapter computes the requested checksum."""

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Any, checksum: str = "", declared: str = ""
    ) -> Any:
        if checksum and not value(checksum):
            checksum = checksum_of(kind(checksum), bytes(body))
        return await super().put_part(key, upload_id, number, body, checksum, declared)


def _without_part_checksums(c: Case) -> None:
    c.world.source.shows_parts = False


def _refusing_declared_checksums(c: Case) -> None:
    c.world.target.refuses_declared_checksums = True


def _without_this_kind(c: Case) -> None:
    c.world.target.unsupported_checksums.add(kind(c.seen.attributes.checksum))


@pytest.mark.parametrize("threshold", [NOTED, SMALL])
@pytest.mark.parametrize(
    ("checksum", "parts", "but"),
    [
        ("xxhash64-", EVEN, _without_part_checksums),
        ("crc32c-", EVEN, _without_part_checksums),
        ("sha256-", EVEN, _refusing_declared_checksums),
        ("crc32", EVEN, _refusing_declared_checksums),
        ("crc64nvme", EVEN, _without_this_kind),
        ("sha1-", EVEN, _without_this_kind),
        ("sha512-", UNEVEN, None),
        ("crc32c-", UNEVEN, None),
        ("", EVEN, None),
    ],
)
def test_object_is_copied_without_a_checksum_if_it_cannot_be_carried(
    checksum: str, parts: tuple[bytes, ...], but: Callable[[Case], None] | None, threshold: int
) -> None:
    c = case(checksum, *parts, threshold=threshold)
    if but is not None:
        but(c)
    c.copy()
    copied = c.world.copied()
    assert copied is not None
    assert copied[0] == CONTENT
    assert copied[1].attributes.checksum == ""
    assert (c.world.target.uploads, c.world.upload_records()) == ({}, [])
    if but is _without_part_checksums:
        assert len(c.source.reads) == 3, "decided before any content is read"


@pytest.mark.parametrize("nth", [-1, 2])
def test_checksum_that_only_the_store_computes_is_compared_after_the_write(nth: int) -> None:
    c = case("crc64nvme", *EVEN, nth=nth)
    c.world.target.own_checksum = "crc64nvme"
    if nth >= 0:
        with pytest.raises(ChecksumMismatchError):
            c.copy()
        assert c.world.copied() is None
    c.copy()
    assert c.arrived()


def test_object_checksum_shown_for_a_part_is_ignored() -> None:
    c = case("sha256-", *EVEN)

    class Whole(FakeBucket):
        async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
            return (await super().read_part(key, number, length, etag))[0], c.seen.attributes.checksum

    c.world.route = Route(Whole(c.world.source, "AIDA"), Computing(c.world.target, "AIDA"), "local>remote")
    c.copy()
    assert c.arrived()


def test_composite_checksum_of_another_part_count_is_ignored() -> None:
    c = case("sha256-", *EVEN)
    odd = replace(c.seen.attributes, checksum=c.seen.attributes.checksum[:-1] + "4")
    c.world.copy(MemoryObjectReader(replace(c.seen, attributes=odd)))
    copied = c.world.copied()
    assert copied is not None
    assert (copied[0], copied[1].attributes.checksum, len(c.source.reads)) == (CONTENT, "", 3)


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_large_object_in_one_piece_is_streamed_to_keep_its_checksum(
    checksum: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualsync.runtime.model.streamed_body.PIECE_BYTES", 7)
    c = case(checksum)
    c.world.copier = replace(c.world.copier, giant=10)
    c.copy()
    assert c.arrived()
    assert c.source.reads == [(0, 7), (7, 14), (14, 18)]
    copied = c.world.copied()
    assert copied is not None
    assert "-" not in copied[1].etag


def test_object_is_copied_in_parts_if_the_store_refuses_it_as_too_large() -> None:
    c = case("sha256")

    async def put(*_: object) -> None:
        raise PermanentError("EntityTooLarge", "s3 PutObject: EntityTooLarge (400)")

    c.world.route.target.put = put  # type: ignore[method-assign,assignment]
    c.copy()
    copied = c.world.copied()
    assert copied is not None
    assert copied[0] == CONTENT


def test_object_is_copied_in_parts_if_too_large_for_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualsync.runtime.transfer.copier.MAX_PART_BYTES", 17)
    c = case("sha256")
    c.copy()
    copied = c.world.copied()
    assert copied is not None
    assert (copied[0], copied[1].etag[-2:]) == (CONTENT, "-3")
    assert copied[1].attributes.checksum == checksum_of("crc32", CONTENT), "derived from the SHA-256"


@pytest.mark.parametrize("parts", [EVEN, UNEVEN], ids=["even", "uneven"])
def test_streamed_part_is_sent_with_the_checksum_from_its_head(
    parts: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualsync.runtime.transfer.multipart.MAX_BUFFERED_PART_BYTES", 7)
    c = case("crc32c-", *parts, nth=1)
    with pytest.raises(ChecksumMismatchError) if parts is EVEN else nullcontext():
        c.copy()
    if parts is UNEVEN:
        assert c.world.copied() is not None
        return
    assert c.world.copied() is None
    c.copy()
    assert c.arrived()


@pytest.mark.parametrize("checksum", ["crc32-", "xxhash3-", "crc32c"])
def test_resumed_upload_keeps_its_checksums(checksum: str) -> None:
    c = case(checksum, *EVEN)

    class Breaking(FakeBucket):
        async def put_part(self, key: str, upload_id: str, number: int, *rest: Any) -> Any:
            if number == 2 and not c.source.nth:
                raise UnavailableError("reset")
            return await super().put_part(key, upload_id, number, *rest)

    c.source.nth, c.source._flip = 0, lambda what, body: body  # type: ignore[method-assign]
    c.world.route = Route(c.source, Breaking(c.world.target, "AIDA"), "local>remote")
    with pytest.raises(UnavailableError):
        c.copy()
    assert c.world.upload_records() == ["local>remote/k"]
    c.source.nth = 1
    c.copy()
    assert c.arrived()


@pytest.mark.parametrize(("checksum", "parts"), [("sha256-", EVEN), ("sha256", ()), ("crc32c", ())])
def test_checksum_is_copied_even_if_metadata_is_not(checksum: str, parts: tuple[bytes, ...]) -> None:
    c = case(checksum, *parts)
    c.world.copier = replace(c.world.copier, include_metadata=False)
    c.copy()
    assert c.arrived()


def test_object_with_a_permanently_wrong_checksum_never_arrives() -> None:
    for checksum, parts in (("crc32", EVEN), ("sha256-", EVEN), ("sha256", ())):
        c = case(checksum, *parts, nth=0, always=True)
        for _ in range(3):
            with pytest.raises(ChecksumMismatchError):
                c.copy()
            assert c.world.copied() is None


def test_checksum_text_is_split_into_kind_value_and_part_count() -> None:
    assert (kind("sha256:a=-3"), value("sha256:a=-3"), composite_parts("sha256:a=-3")) == ("sha256", "a=-3", 3)
    assert (kind(""), value(""), composite_parts(""), is_linear("")) == ("", "", 0, False)
    assert [is_linear(text) for text in ("crc32:AA==", "crc32:AA==-2", "sha1:AA==", "crc32:")] == [
        True,
        False,
        False,
        False,
    ]
    assert Attributes(checksum="a:b") == Attributes(), "attributes do not compare by checksum"
