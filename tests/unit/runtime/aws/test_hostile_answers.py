"""Test answer heads that no store sends: each is a retryable error of the request, or is read without harm."""

from __future__ import annotations

import pytest

from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, ObjectHead
from dualsync.runtime.model.origin_version import STAMP_KEY
from tests.support.scripted_server import Last, answer, scripted
from tests.support.wire import DATE, PLAIN, bucket


@pytest.mark.parametrize(
    "date",
    [
        "",
        "garbage",
        "1",
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 9999 23:59:59 -9999",
        "Mon, 99 Jan 2026 00:00:00 GMT",
        "Mon, 01 Jan 2026 25:61:61 GMT",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Thu, 01 Jan 1969 00:00:00 GMT",
        "2026-10-21T07:28:00Z",
    ],
)
async def test_object_with_an_unreadable_time_is_a_retryable_error(date: str) -> None:
    """With a time of 1970, it would lose all conflicts."""
    async with scripted(Last(answer(200, b"hello", ETag='"e"', Last_Modified=date))) as script:
        with pytest.raises(UnavailableError, match="is no time"):
            await bucket(script).head("k")


async def test_object_without_a_time_is_a_retryable_error() -> None:
    async with scripted(Last(answer(200, b"hello", ETag='"e"'))) as script:
        with pytest.raises(UnavailableError, match="is no time"):
            await bucket(script).head("k")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"ETag": '"' + "e" * 257 + '"'}, "257 characters is no ETag"),
        ({"ETag": '"a\x1bb"'}, "no ETag"),
        ({"ETag": '"a\x85b"'}, "no ETag"),
        ({"ETag": '""'}, "without an ETag"),
        ({"x_amz_version_id": "v" * 2049}, "2049 characters is no version id"),
        ({"x_amz_version_id": "a\x00b"}, "no version id"),
    ],
)
async def test_etag_or_version_id_that_the_ledger_cannot_store_is_a_retryable_error(
    headers: dict[str, str], message: str
) -> None:
    async with scripted(Last(answer(200, b"hello", **{**DATE, **headers}))) as script:
        with pytest.raises(UnavailableError, match=message):
            await bucket(script).head("k")
    async with scripted(Last(answer(200, b"", **{"ETag": '"e"', **headers}))) as script:
        with pytest.raises(UnavailableError, match=message):
            await bucket(script).put("k", b"hello", PLAIN, None, MUST_NOT_EXIST)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\nhello12345",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\nhello",
        b"HTTP/1.1 \xb2\xb2\xb2 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 -20 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
async def test_head_with_an_ambiguous_length_is_a_retryable_error(head: bytes) -> None:
    async with scripted(Last(head)) as script:
        with pytest.raises(UnavailableError):
            await bucket(script).head("k")


@pytest.mark.parametrize("value", ["a\nx-amz-acl: public-read", "a\rx-amz-acl: public-read", "\n", "a\r"])
async def test_line_break_inside_a_header_is_a_retryable_error(value: str) -> None:
    """RFC 9110, 5.5. Copied into a request, it would start a header of its own."""
    for name in ("Content_Type", "x_amz_meta_x"):
        async with scripted(Last(answer(200, b"hello", **{**DATE, name: value}))) as script:
            with pytest.raises(UnavailableError, match="a line break inside a header"):
                await bucket(script).head("k")


async def test_same_length_given_twice_is_accepted() -> None:
    raw = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\nETag: "e"\r\nLast-Modified: '
    async with scripted(Last(raw + DATE["Last_Modified"].encode() + b"\r\n\r\nhello")) as script:
        head = await bucket(script).head("k")
        assert head is not None
        assert head.size == 5


@pytest.mark.parametrize(
    "headers",
    [
        {f"x_amz_meta_{STAMP_KEY}": "1;p;;;"},
        {f"x_amz_meta_{STAMP_KEY}": "1;p;" + "A" * 22 + ";cn;999999999999;e;3"},
        {f"x_amz_meta_{STAMP_KEY}": "1;p;" + "A" * 22 + ";cn;-1;e;3"},
        {f"x_amz_meta_{STAMP_KEY}": "1;p;" + "A" * 22 + ";mars;1;e;3"},
        {f"x_amz_meta_{STAMP_KEY}": "1;p;" + "A" * 22 + ";cn;1;" + "e" * 81 + ";3"},
        {f"x_amz_meta_{STAMP_KEY}": "1;p;" + "A" * 22 + ";cn;1;e;3\x00"},
        {f"x_amz_meta_{STAMP_KEY}": "=?UTF-8?B?////?="},
        {"x_amz_meta_x": "=?bogus?Q?=FF?="},
        {"x_amz_meta_x": "=?utf-8?q?" + "=FF" * 100 + "?="},
        {"x_amz_checksum_sha256": "%%%"},
        {"x_amz_checksum_crc32": "AAAA-x"},
        {"x_amz_checksum_type": "X"},
        {"x_amz_storage_class": "\xff"},
        {"x_amz_restore": "\xff"},
    ],
)
async def test_malformed_attributes_give_no_stamp_and_no_error(headers: dict[str, str]) -> None:
    async with scripted(Last(answer(200, b"hello", **DATE, **headers))) as script:
        head = await bucket(script).head("k")
    assert isinstance(head, ObjectHead)
    assert head.stamp is None
