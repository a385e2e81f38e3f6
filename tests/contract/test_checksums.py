"""Test checksums of objects and uploads (Amazon S3 User Guide, "Checking object integrity for data uploads")."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.errors import ChecksumMismatchError, ChecksumUnsupportedError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Part
from dualsync.runtime.ports import Bucket
from tests.contract.adapters import AdapterWorld, differs
from tests.contract.test_bucket import PART, PLAIN, STAMP
from tests.support.fakes.store import checksum_of

WHOLE, OF_PARTS = "crc32:cX+/tw==", "sha256:02fcpk5/QKJNsvzEdkeBlFeIWeYNwKJOAWPjbe9fHIs=-2"
WRONG = {WHOLE: "crc32:AAAAAA==", OF_PARTS: "sha256:AAfcpk5/QKJNsvzEdkeBlFeIWeYNwKJOAWPjbe9fHIs=-2"}
"""Of five MiB of "a" in one part, and "tail" in another."""
INTEGRITY = "Amazon S3 User Guide, Checking object integrity for data uploads"


def without_whole_checksums(world: AdapterWorld, checksum: str) -> None:
    """Skip a test of a whole object's checksum for emulators whose uploads have none."""
    if not checksum.endswith("-2"):
        page = "Amazon S3 API Reference, CreateMultipartUpload (x-amz-checksum-type: FULL_OBJECT)"
        differs(world, "ministack", "takes FULL_OBJECT for COMPOSITE", page)


async def upload_with(world: AdapterWorld, bucket: Bucket, checksum: str) -> tuple[str, list[Part]]:
    opened = await bucket.create_upload("k", PLAIN, STAMP, checksum)
    assert opened.checksum == checksum
    parts = []
    for number, body in enumerate((b"a" * PART, b"tail"), 1):
        own = checksum_of("sha256", body) if checksum.endswith("-2") else ""
        parts.append(await bucket.put_part("k", opened.id, number, body, own, checksum))
    return opened.id, parts


@pytest.mark.parametrize("checksum", [WHOLE, OF_PARTS])
async def test_upload_keeps_the_checksum_it_was_created_with(world: AdapterWorld, checksum: str) -> None:
    without_whole_checksums(world, checksum)
    bucket = world.bucket()
    upload_id, _ = await upload_with(world, bucket, checksum)
    listed = await bucket.list_parts("k", upload_id)
    assert listed is not None
    if checksum is OF_PARTS:
        differs(world, "moto", "lists parts without theirs", "Amazon S3 API Reference, ListParts")
        assert [part.checksum for part in listed] == [checksum_of("sha256", b) for b in (b"a" * PART, b"tail")]
    written = await bucket.complete_upload("k", upload_id, listed, MUST_NOT_EXIST, checksum, checksum)
    reading = await bucket.read("k")
    assert reading is not None
    assert reading.head.attributes.checksum == checksum
    await reading.close()
    differs(world, "moto", "takes no notice of partNumber", "Amazon S3 API Reference, GetObject")
    differs(world, "ministack", "shows the object's checksum", "Amazon S3 API Reference, GetObject (partNumber)")
    shown = checksum_of("sha256", b"tail") if checksum is OF_PARTS else ""
    assert await bucket.read_part("k", 2, 4, written.etag) == (b"tail", shown)
    assert (await bucket.head_part("k", 2, written.etag)).checksum == shown
    with pytest.raises(ChecksumUnsupportedError):
        await bucket.read_part("k", 2, 5, written.etag)


@pytest.mark.parametrize("checksum", [WHOLE, OF_PARTS])
async def test_completion_with_a_wrong_checksum_is_refused(world: AdapterWorld, checksum: str) -> None:
    without_whole_checksums(world, WRONG[checksum])
    bucket = world.bucket()
    upload_id, parts = await upload_with(world, bucket, WRONG[checksum])
    differs(world, "moto", "believes any checksum", INTEGRITY)
    with pytest.raises(ChecksumMismatchError):
        await bucket.complete_upload("k", upload_id, parts, MUST_NOT_EXIST, WRONG[checksum], WRONG[checksum])
    assert await bucket.head("k") is None


async def test_part_with_a_wrong_checksum_is_refused(world: AdapterWorld) -> None:
    bucket = world.bucket()
    upload_id, _ = await upload_with(world, bucket, OF_PARTS)
    differs(world, "moto", "believes any checksum", INTEGRITY)
    with pytest.raises(ChecksumMismatchError):
        await bucket.put_part("k", upload_id, 2, b"tale", checksum_of("sha256", b"tail"), OF_PARTS)


@pytest.mark.parametrize("kind", ["crc32", "sha1", "sha256"])
async def test_object_with_a_wrong_checksum_is_refused(world: AdapterWorld, kind: str) -> None:
    bucket = world.bucket()
    differs(world, "moto", "believes any checksum", INTEGRITY)
    with pytest.raises(ChecksumMismatchError):
        await bucket.put("k", b"tale", replace(PLAIN, checksum=checksum_of(kind, b"tail")), STAMP, MUST_NOT_EXIST)
    assert await bucket.head("k") is None


@pytest.mark.parametrize("kind", ["crc32", "sha1", "sha256"])
async def test_object_keeps_its_checksum(world: AdapterWorld, kind: str) -> None:
    bucket = world.bucket()
    await bucket.put("k", b"tail", replace(PLAIN, checksum=checksum_of(kind, b"tail")), STAMP, MUST_NOT_EXIST)
    differs(world, "moto", "keeps only those of which an SDK speaks", "Amazon S3 API Reference, PutObject")
    reading = await bucket.read("k")
    assert reading is not None
    assert reading.head.attributes.checksum == checksum_of(kind, b"tail")
    await reading.close()
    seen = await bucket.head("k", checksum=True)
    assert seen is not None
    assert seen.attributes.checksum == checksum_of(kind, b"tail")
