"""Test buckets (Amazon S3 User Guide and API Reference)."""

from __future__ import annotations

import contextlib
import hashlib

import pytest

from dualsync.runtime.errors import PreconditionFailedError, UploadGoneError
from dualsync.runtime.model.objects import (
    MUST_NOT_EXIST,
    Attributes,
    ListedObject,
    ObjectHead,
    Part,
    Precondition,
    PutResult,
)
from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.ports import Bucket
from dualsync.runtime.settings import SideName
from tests.contract.adapters import AdapterWorld, differs

PLAIN = Attributes(content_type="text/plain")
STAMP = Stamp("pair", key_hash("k"), OriginVersion(SideName.CN, 1_790_000_000, "0123456789abcdef"), 5)
PART = 5 << 20
ODD_KEYS = [
    "a//b",
    "/a",
    "a/",
    ".",
    "./a",
    "a/..",
    "a/../b",
    "a b+c%20d",
    "a\tb\rc\x7f",
    "line\nfeed",
    "\x01\x1f\x7f",
    "&<>\"'",
    "üñ漢字🎈",
    "ü" * 512,
    "?a=b#c",
]
"""S3 takes no key with more `..` than other elements before them (Amazon S3 User Guide, Naming objects)."""


async def content(bucket: Bucket, key: str) -> bytes | None:
    reading = await bucket.read(key)
    if reading is None:
        return None
    try:
        return b"".join([chunk async for chunk in reading.chunks()])
    finally:
        await reading.close()


async def head(bucket: Bucket, key: str) -> ObjectHead:
    seen = await bucket.head(key)
    assert seen is not None
    return seen


async def rows(bucket: Bucket, after: str = "", until: str = "", prefix: str = "") -> list[ListedObject]:
    return [row async for page in bucket.list(after, until, prefix) for row in page]


async def put(bucket: Bucket, key: str, body: bytes = b"hello", stamp: Stamp | None = None) -> PutResult:
    return await bucket.put(key, body, PLAIN, stamp, MUST_NOT_EXIST)


async def upload(bucket: Bucket, key: str, *bodies: bytes) -> tuple[str, list[Part]]:
    upload_id = (await bucket.create_upload(key, PLAIN, STAMP)).id
    return upload_id, [await bucket.put_part(key, upload_id, n, body) for n, body in enumerate(bodies, 1)]


async def test_written_object_is_read_and_listed(world: AdapterWorld) -> None:
    bucket = world.bucket()
    attributes = Attributes(
        content_type="text/css",
        cache_control="max-age=60",
        content_disposition='attachment; filename="a.css"',
        content_encoding="identity",
        content_language="de",
        expires="Wed, 21 Oct 2026 07:28:00 GMT",
        metadata=(("colour", "green"), ("size", "")),
    )
    written = await bucket.put("k", b"hello", attributes, STAMP, MUST_NOT_EXIST)
    seen = await head(bucket, "k")
    assert written.etag == seen.etag == hashlib.md5(b"hello").hexdigest()
    assert (seen.size, seen.stamp, seen.version_id, seen.archived) == (5, STAMP, "", False)
    assert seen.attributes == attributes
    assert await content(bucket, "k") == b"hello"
    assert await rows(bucket) == [ListedObject("k", seen.etag, 5, seen.modified)]


async def test_read_returns_the_same_head_as_a_head_request(world: AdapterWorld) -> None:
    bucket = world.bucket()
    await put(bucket, "k", stamp=STAMP)
    reading = await bucket.read("k")
    assert reading is not None
    assert reading.head == await bucket.head("k")
    await reading.close()
    await reading.close()


async def test_archived_object_is_marked_in_head_and_listing(world: AdapterWorld) -> None:
    bucket = world.bucket()
    await put(bucket, "archived")
    await put(bucket, "plain")
    world.archive("archived")
    assert (await head(bucket, "archived")).archived
    assert [(row.key, row.archived) for row in await rows(bucket)] == [("archived", True), ("plain", False)]
    differs(world, "ministack", "restores after a while", "Amazon S3 API Reference, RestoreObject")
    world.thaw("archived")
    assert not (await head(bucket, "archived")).archived
    differs(world, "moto", "does not list what is restored", "Amazon S3 API Reference, ListObjectsV2 (RestoreStatus)")
    assert [row.archived for row in await rows(bucket)] == [False, False]


async def test_missing_object_is_none(world: AdapterWorld) -> None:
    bucket = world.bucket()
    assert await bucket.head("k") is None
    assert await bucket.read("k") is None
    assert await rows(bucket) == []


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (2 << 20) + 7])
async def test_object_of_any_size_is_written_and_read(world: AdapterWorld, size: int) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    bucket = world.bucket()
    await put(bucket, "k", body[:size])
    assert (await head(bucket, "k")).size == size
    assert await content(bucket, "k") == body[:size]


@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: ascii(key[:9]))
@pytest.mark.parametrize("prefix", ["", "data/x y+z/"])
async def test_object_with_any_key_is_written_read_and_deleted(world: AdapterWorld, key: str, prefix: str) -> None:
    if "\n" in key:
        differs(world, "moto", "has no route for a key with a line feed", "Amazon S3 User Guide, Naming objects")
    bucket = world.bucket(prefix)
    if len((prefix + key).encode()) > 1024:
        key = key[: (1024 - len(prefix)) // 2]
    assert await bucket.head(key) is None
    written = await put(bucket, key)
    assert (await head(bucket, key)).etag == written.etag
    assert await content(bucket, key) == b"hello"
    assert await bucket.read_range(key, 1, 3, written.etag) == b"el"
    assert [row.key for row in await rows(bucket)] == [key]
    with pytest.raises(PreconditionFailedError):
        await put(bucket, key)
    upload_id, parts = await upload(bucket, key, b"part")
    written = await bucket.complete_upload(key, upload_id, parts, Precondition(written.etag))
    await bucket.delete(key, Precondition(written.etag))
    assert await bucket.head(key) is None
    assert await rows(bucket) == []


async def test_put_that_must_not_exist_never_overwrites(world: AdapterWorld) -> None:
    bucket = world.bucket()
    await put(bucket, "k", b"first")
    with pytest.raises(PreconditionFailedError):
        await put(bucket, "k", b"second")
    assert await content(bucket, "k") == b"first"


async def test_put_overwrites_only_the_named_etag(world: AdapterWorld) -> None:
    bucket = world.bucket()
    first = await put(bucket, "k", b"first")
    second = await bucket.put("k", b"second", PLAIN, None, Precondition(first.etag))
    with pytest.raises(PreconditionFailedError):
        await bucket.put("k", b"third", PLAIN, None, Precondition(first.etag))
    assert (await head(bucket, "k")).etag == second.etag
    assert await content(bucket, "k") == b"second"


async def test_put_over_a_missing_object_is_refused(world: AdapterWorld) -> None:
    with pytest.raises(PreconditionFailedError):
        await world.bucket().put("k", b"x", PLAIN, None, Precondition("0123456789abcdef0123456789abcdef"))


async def test_deletion_removes_only_the_named_etag(world: AdapterWorld) -> None:
    bucket = world.bucket()
    first = await put(bucket, "k", b"first")
    second = await bucket.put("k", b"second", PLAIN, None, Precondition(first.etag))
    with pytest.raises(PreconditionFailedError):
        await bucket.delete("k", Precondition(first.etag))
    assert await content(bucket, "k") == b"second"
    await bucket.delete("k", Precondition(second.etag))
    assert await bucket.head("k") is None


async def test_deletion_of_a_missing_object_creates_nothing(world: AdapterWorld) -> None:
    """Whether it is an error is not documented ("How to perform conditional deletes")."""
    bucket = world.bucket()
    with contextlib.suppress(PreconditionFailedError):
        await bucket.delete("k", Precondition("0123456789abcdef0123456789abcdef"))
    assert await bucket.head("k") is None


async def test_range_is_read_only_from_the_named_version(world: AdapterWorld) -> None:
    bucket = world.bucket()
    first = await put(bucket, "k", b"0123456789")
    assert await bucket.read_range("k", 0, 10, first.etag) == b"0123456789"
    assert await bucket.read_range("k", 9, 10, first.etag) == b"9"
    second = await bucket.put("k", b"abcdefghij", PLAIN, None, Precondition(first.etag))
    with pytest.raises(PreconditionFailedError):
        await bucket.read_range("k", 0, 4, first.etag)
    await bucket.delete("k", Precondition(second.etag))
    with pytest.raises(PreconditionFailedError):
        await bucket.read_range("k", 0, 4, second.etag)


async def test_completed_upload_is_one_object(world: AdapterWorld) -> None:
    bucket = world.bucket()
    upload_id, parts = await upload(bucket, "k", b"a" * PART, b"b")
    assert await bucket.head("k") is None
    written = await bucket.complete_upload("k", upload_id, parts, MUST_NOT_EXIST)
    seen = await head(bucket, "k")
    # Of the ETag, only the number of parts is documented ("Checking object integrity").
    assert written.etag == seen.etag
    assert seen.etag.endswith("-2")
    assert (seen.size, seen.stamp, seen.attributes.content_type) == (PART + 1, STAMP, "text/plain")
    assert await content(bucket, "k") == b"a" * PART + b"b"
    await bucket.abort_upload("k", upload_id)
    assert await bucket.head("k") is not None


async def test_head_of_the_first_part_returns_its_size(world: AdapterWorld) -> None:
    differs(world, "moto", "matches the part's ETag", "Amazon S3 API Reference, HeadObject (If-Match, partNumber)")
    differs(world, "ministack", "shows the object's length", "Amazon S3 API Reference, HeadObject (partNumber)")
    bucket = world.bucket()
    upload_id, parts = await upload(bucket, "k", b"a" * PART, b"b")
    written = await bucket.complete_upload("k", upload_id, parts, MUST_NOT_EXIST)
    assert (await bucket.head_part("k", 1, written.etag)).size == PART
    with pytest.raises(PreconditionFailedError):
        await bucket.head_part("k", 1, "0123456789abcdef0123456789abcdef-2")


async def test_completion_that_must_not_exist_never_overwrites(world: AdapterWorld) -> None:
    bucket = world.bucket()
    upload_id, parts = await upload(bucket, "k", b"part")
    await put(bucket, "k")
    with pytest.raises(PreconditionFailedError):
        await bucket.complete_upload("k", upload_id, parts, MUST_NOT_EXIST)
    assert await content(bucket, "k") == b"hello"
    await bucket.abort_upload("k", upload_id)


async def test_completion_overwrites_the_named_etag(world: AdapterWorld) -> None:
    bucket = world.bucket()
    first = await put(bucket, "k")
    upload_id, parts = await upload(bucket, "k", b"part")
    await bucket.complete_upload("k", upload_id, parts, Precondition(first.etag))
    assert await content(bucket, "k") == b"part"


async def test_completion_with_another_etag_is_refused(world: AdapterWorld) -> None:
    differs(world, "moto", "completes with a wrong If-Match", "Amazon S3 API Reference, CompleteMultipartUpload")
    bucket = world.bucket()
    await put(bucket, "k")
    upload_id, parts = await upload(bucket, "k", b"part")
    with pytest.raises(PreconditionFailedError):
        await bucket.complete_upload("k", upload_id, parts, Precondition("0123456789abcdef0123456789abcdef"))
    assert await content(bucket, "k") == b"hello"


async def test_completion_of_an_aborted_upload_is_refused(world: AdapterWorld) -> None:
    bucket = world.bucket()
    upload_id, parts = await upload(bucket, "k", b"part")
    await bucket.abort_upload("k", upload_id)
    await bucket.abort_upload("k", upload_id)
    differs(world, "moto", "answers 500 to its completion", "Amazon S3 API Reference, CompleteMultipartUpload")
    with pytest.raises(PreconditionFailedError):
        await bucket.complete_upload("k", upload_id, parts, MUST_NOT_EXIST)
    assert await bucket.head("k") is None


async def test_part_of_an_aborted_upload_is_refused(world: AdapterWorld) -> None:
    differs(world, "moto", "answers 500 for it", "Amazon S3 API Reference, UploadPart (NoSuchUpload)")
    bucket = world.bucket()
    upload_id, _ = await upload(bucket, "k", b"part")
    await bucket.abort_upload("k", upload_id)
    with pytest.raises(PreconditionFailedError):
        await bucket.put_part("k", upload_id, 2, b"more")


async def test_uploaded_parts_are_listed(world: AdapterWorld) -> None:
    bucket = world.bucket()
    upload_id, parts = await upload(bucket, "k", b"a" * PART, b"b")
    listed = await bucket.list_parts("k", upload_id)
    assert listed == parts
    assert [part.size for part in listed] == [PART, 1]
    again = await bucket.put_part("k", upload_id, 4, b"four")
    assert await bucket.list_parts("k", upload_id, 2, 3) == parts[1:]
    assert await bucket.list_parts("k", upload_id, 3, 9) == [again]
    await bucket.abort_upload("k", upload_id)
    with pytest.raises(UploadGoneError):
        await bucket.list_parts("k", upload_id)


async def test_uploads_under_way_are_listed(world: AdapterWorld) -> None:
    bucket = world.bucket("p/")
    upload_id, parts = await upload(bucket, "a &+%é", b"part")
    await upload(world.bucket("other/"), "b", b"part")
    listed = await bucket.list_uploads()
    assert [(begun.key, begun.id) for begun in listed] == [("a &+%é", upload_id)]
    assert listed[0].initiated > 1_000_000_000
    await bucket.complete_upload("a &+%é", upload_id, parts, MUST_NOT_EXIST)
    assert await bucket.list_uploads() == []


async def test_listing_is_sorted_by_bytes(world: AdapterWorld) -> None:
    bucket = world.bucket("p/")
    keys = ["B", "a", "a b", "a/b", "ab", "é", "\uff5e", "\U0001f388"]
    for key in reversed(keys):
        await put(bucket, key)
    await put(world.bucket(), "p")
    await put(world.bucket(), "q/a")
    assert [row.key for row in await rows(bucket)] == keys == sorted(keys, key=str.encode)
    assert [row.key for row in await rows(bucket, "a b")] == keys[3:]
    assert [row.key for row in await rows(bucket, "a c")] == keys[3:]
    assert await rows(bucket, keys[-1]) == []
    for until in (keys[0], keys[3], "a c", keys[-1]):
        assert [row.key for row in await rows(bucket, keys[1], until)] == [k for k in keys[2:] if k <= until]
    for prefix in ("a", keys[2], "nothing"):
        assert [row.key for row in await rows(bucket, "", "", prefix)] == [k for k in keys if k.startswith(prefix)]
        assert [row.key for row in await rows(bucket, keys[1], keys[3], prefix)] == [
            k for k in keys[2:4] if k.startswith(prefix)
        ]


async def test_listing_of_many_pages_is_complete(world: AdapterWorld) -> None:
    bucket = world.bucket()
    keys = [f"{number:05}" for number in range(1003)]
    for key in keys:
        await put(bucket, key, b"")
    assert [row.key for row in await rows(bucket)] == keys
    assert [row.key for row in await rows(bucket, "00001")] == keys[2:]


async def test_listing_shows_the_same_fields_as_a_head_request(world: AdapterWorld) -> None:
    bucket = world.bucket()
    upload_id, parts = await upload(bucket, "m", b"a" * PART, b"b")
    await bucket.complete_upload("m", upload_id, parts, MUST_NOT_EXIST)
    await put(bucket, "s")
    seen = [await head(bucket, key) for key in ("m", "s")]
    assert [(row.etag, row.size, row.modified) for row in await rows(bucket)] == [
        (s.etag, s.size, s.modified) for s in seen
    ]


async def test_former_version_is_found_by_its_id(world: AdapterWorld) -> None:
    bucket = world.versioned()
    first = await put(bucket, "k", b"first")
    second = await bucket.put("k", b"second!", PLAIN, None, Precondition(first.etag))
    assert first.version_id
    assert second.version_id not in ("", first.version_id)
    assert (await head(bucket, "k")).version_id == second.version_id
    old = await bucket.head("k", first.version_id)
    assert old is not None
    assert (old.etag, old.size) == (first.etag, 5)
    assert await bucket.head("k", "") == await bucket.head("k", second.version_id)


async def test_deleted_object_with_versions_is_none(world: AdapterWorld) -> None:
    bucket = world.versioned()
    first = await put(bucket, "k", b"first")
    await bucket.delete("k", Precondition(first.etag))
    assert await bucket.head("k") is None
    assert await bucket.read("k") is None
    assert await rows(bucket) == []
    with pytest.raises(PreconditionFailedError):
        await bucket.read_range("k", 0, 1, first.etag)
    assert await bucket.head("k", first.version_id) is not None
    again = await put(bucket, "k", b"again")
    assert (await head(bucket, "k")).etag == again.etag


async def test_removed_version_uncovers_the_previous_one(world: AdapterWorld) -> None:
    bucket = world.versioned()
    first = await put(bucket, "k", b"first")
    second = await bucket.put("k", b"second", PLAIN, None, Precondition(first.etag))
    world.remove_version("k", second.version_id)
    assert await content(bucket, "k") == b"first"
    assert await bucket.head("k", second.version_id) is None
