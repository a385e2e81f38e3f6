"""Test the copier: objects are copied in one request or in parts, never mixed and never truncated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.errors import PermanentError, PreconditionFailedError, UnavailableError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, Precondition
from dualsync.runtime.transfer.copier import MAX_PARTS, part_length
from dualsync.runtime.transfer.multipart import SourceChangedError
from tests.support.copy_harness import ATTRIBUTES, MIB, STAMP, CopyHarness


@pytest.mark.parametrize("chunks", [(b"",), (), (b"abc",), (b"a", b"b", b"c")])
def test_small_object_is_copied_in_one_request(chunks: tuple[bytes, ...]) -> None:
    world = CopyHarness()
    reading = world.reading(b"".join(chunks))
    reading.content = chunks
    written = world.copy(reading)
    copied = world.copied()
    assert copied is not None
    assert copied[0] == b"".join(chunks)
    assert copied[1].etag == written.etag
    assert copied[1].stamp == STAMP
    assert reading.closed


def test_empty_object_in_one_part_is_copied_in_one_request() -> None:
    """A multipart upload of one empty part makes an empty object, which no upload of `size` bytes could."""
    world = CopyHarness()
    reading = world.reading(b"")
    reading.head = replace(reading.head, etag="d41d8cd98f00b204e9800998ecf8427e-1")
    world.copy(reading)
    copied = world.copied()
    assert copied is not None
    assert copied[0] == b""


@pytest.mark.parametrize("size", [9, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1])
def test_large_object_is_copied_in_parts(size: int) -> None:
    world = CopyHarness()
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
def test_attributes_are_copied_and_the_storage_class_is_not(content: bytes) -> None:
    world = CopyHarness()
    world.copy(world.reading(content))
    world.copier = replace(world.copier, include_metadata=False)
    world.copy(world.reading(content), to="bare")
    full, bare = world.copied(), world.copied("bare")
    assert full is not None
    assert bare is not None
    assert full[1].attributes == replace(ATTRIBUTES, storage_class="")
    assert bare[1].attributes == Attributes(content_type="text/plain")


@pytest.mark.parametrize("include_metadata", [True, False])
def test_storage_class_is_copied_if_configured(include_metadata: bool) -> None:
    world = CopyHarness()
    world.copier = replace(world.copier, keep_class=True, include_metadata=include_metadata)
    world.copy(world.reading(b"small"))
    copied = world.copied()
    assert copied is not None
    assert copied[1].attributes.storage_class == "STANDARD_IA"


@pytest.mark.parametrize("content", [b"small", b"larger than nine"])
def test_nothing_is_written_if_the_condition_fails(content: bytes) -> None:
    world = CopyHarness()
    world.target.put("k", b"another", "AIDA")
    for condition in (MUST_NOT_EXIST, Precondition("no such etag")):
        reading = world.reading(content)
        with pytest.raises(PreconditionFailedError):
            world.copy(reading, condition)
        assert reading.closed
    assert len(world.target.uploads) <= 1, "refused copies leave at most one upload"
    before = world.copied()
    assert before is not None
    assert before[0] == b"another"
    world.copy(world.reading(content), Precondition(before[1].etag))
    after = world.copied()
    assert after is not None
    assert after[0] == content
    assert world.target.uploads == {}


@pytest.mark.parametrize("chunks", [(b"ab",), (b"ab", b""), (b"abcd",)])
def test_read_of_another_length_is_not_written(chunks: tuple[bytes, ...]) -> None:
    world = CopyHarness()
    reading = world.reading(b"abc", *chunks)
    with pytest.raises(SourceChangedError, match="of 3 bytes"):
        world.copy(reading)
    assert world.copied() is None
    assert reading.closed


def test_failed_read_is_closed() -> None:
    world = CopyHarness()
    reading = world.reading(b"abc", b"a")
    reading.error = UnavailableError("reset")
    with pytest.raises(UnavailableError):
        world.copy(reading)
    assert reading.closed
    assert world.copied() is None


def test_source_replaced_during_the_copy_is_never_mixed() -> None:
    world = CopyHarness()
    reading = world.reading(b"the first version")
    world.source.put("k", b"the later version", "AIDA")
    with pytest.raises(SourceChangedError):
        world.copy(reading)
    assert world.copied() is None
    assert world.target.uploads == {}


@pytest.mark.parametrize("include_metadata", [True, False])
def test_archived_object_fails_permanently_with_its_storage_class(include_metadata: bool) -> None:
    world = CopyHarness()
    world.copier = replace(world.copier, include_metadata=include_metadata)
    reading = world.reading(b"abc")
    glacier = replace(ATTRIBUTES, storage_class="GLACIER")
    reading.head = replace(reading.head, archived=True, attributes=glacier)
    with pytest.raises(PermanentError, match="storage class GLACIER: restore it first") as e:
        world.copy(reading)
    assert e.value.reason == "archived"
    assert reading.closed


@given(st.integers(1, 50 << 40), st.integers(5, 512).map(lambda m: m * MIB))
def test_part_length_is_the_smallest_allowed_number_of_mebibytes(size: int, smallest: int) -> None:
    length = part_length(size, smallest)
    assert length >= smallest
    assert length % MIB == 0
    assert -(-size // length) <= MAX_PARTS
    assert length == smallest or -(-size // (length - MIB)) > MAX_PARTS


def test_part_length_at_its_limits() -> None:
    assert part_length(1, 5 * MIB) == 5 * MIB
    assert part_length(MAX_PARTS * 5 * MIB, 5 * MIB) == 5 * MIB
    assert part_length(MAX_PARTS * 5 * MIB + 1, 5 * MIB) == 6 * MIB
