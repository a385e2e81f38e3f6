"""Test pages of ListObjectsV2."""

from __future__ import annotations

import pytest

from dualsync.runtime.aws.s3.listing import parse
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.errors import (
    AccessDeniedError,
    ServiceBlockedError,
    ThrottledError,
    UnavailableError,
)
from dualsync.runtime.model.objects import ListedObject
from tests.support.scripted_server import ReceivedRequest, answer, error, scripted
from tests.support.wire import bucket

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
TAIL = b"</ListBucketResult>"


def contents(key: str, size: int = 5, *, etag: str = "&quot;e&quot;") -> bytes:
    return (
        f"<Contents><Key>{key}</Key><LastModified>2026-10-21T07:28:01.000Z</LastModified><ETag>{etag}</ETag>"
        f"<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>{size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    ).encode()


def page(*rows: bytes, token: str = "") -> bytes:
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        HEAD
        + f"<Name>b</Name><IsTruncated>{'true' if token else 'false'}</IsTruncated>{more}".encode()
        + b"".join(rows)
        + TAIL
    )


def row(key: str, size: int = 5) -> ListedObject:
    return ListedObject(key, "e", size, 1_792_567_681)


def test_keys_are_decoded_and_relative_to_the_prefix() -> None:
    got = parse(page(contents("p/"), contents("p/a%2Fb"), contents("p/a+b%2B%01%C3%BC", 0), token="a&amp;b="), "p/")
    assert got.rows == [row("a/b"), row("a b+\x01ü", 0)]
    assert parse(page(contents("a+b")), "").rows == [row("a b")], "S3 encodes a space as a plus sign"
    assert got.token == "a&b="


def test_keys_with_two_levels_of_escaping_are_decoded() -> None:
    assert parse(page(contents("a&amp;b"), contents("%26amp;")), "").rows == [row("a&b"), row("&amp;")]


@pytest.mark.parametrize("etag", ["&quot;e&quot;", '"e"', "e", "&#34;e&#34;"])
def test_etags_are_unquoted(etag: str) -> None:
    assert parse(page(contents("k", etag=etag)), "").rows == [row("k")]


def test_elements_in_another_order_are_parsed() -> None:
    other = (
        b"<Contents><Size>5</Size><ETag>&quot;e&quot;</ETag><Key>a%20b</Key>"
        b"<LastModified>2026-10-21T07:28:01Z</LastModified></Contents>"
    )
    assert parse(page(other, contents("c")), "").rows == [row("a b"), row("c")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        HEAD,
        page(contents("k"))[:-1],
        page(contents("k"), token="t").replace(b"NextContinuationToken", b"Other"),
        page(contents("k"), token="t").replace(b"true", b"false"),
        page(contents("k")).replace(b"IsTruncated", b"Other"),
    ],
)
def test_incomplete_page_is_a_retryable_error(body: bytes) -> None:
    with pytest.raises(UnavailableError, match="whole"):
        parse(body, "")


def test_page_that_is_not_utf_8_is_a_retryable_error() -> None:
    with pytest.raises(UnavailableError, match="not UTF-8"):
        parse(page(contents("k")).replace(b"<Name>b", b"<Name>\xff"), "")


def test_nested_elements_are_parsed() -> None:
    nested = b"<Owner><ID>x</ID></Owner><Size>"
    assert parse(page(contents("k").replace(b"<Size>", nested), contents("l")), "").rows == [row("k"), row("l")]


def test_unreadable_row_is_an_error() -> None:
    with pytest.raises((UnavailableError, KeyError)):
        parse(page(contents("k").replace(b"<Size>5</Size>", b""), contents("l")), "")


async def test_listing_follows_continuation_tokens() -> None:
    def serve(request: ReceivedRequest) -> bytes:
        if "continuation-token=t%2B1" in request.path:
            return answer(200, page(contents("p/b")))
        return answer(200, page(contents("p/a"), token="t+1"))

    async with scripted(serve) as script:
        rows = [row async for rows in bucket(script).list("0 0") for row in rows]
        assert rows == [row("a"), row("b")]
        first, second = (request.path for request in script.requests)
        assert first == "/b?encoding-type=url&list-type=2&prefix=p%2F&start-after=p%2F0%200"
        assert second == "/b?continuation-token=t%2B1&encoding-type=url&list-type=2&prefix=p%2F"


async def test_failed_page_raises() -> None:
    async with scripted(answer(200, page(contents("p/a"), token="t")), error(503, "SlowDown")) as script:
        pages = bucket(script).list()
        assert await anext(pages) == [row("a")]
        with pytest.raises(ThrottledError, match="SlowDown"):
            await anext(pages)


async def test_listing_can_be_closed_early() -> None:
    async with scripted(answer(200, page(contents("p/a"), token="t"))) as script:
        pages = bucket(script).list()
        assert await anext(pages) == [row("a")]
        await pages.aclose()  # type: ignore[attr-defined]


async def test_listing_requests_no_page_beyond_its_upper_end() -> None:
    first = answer(200, page(contents("p/a"), contents("p/b"), contents("p/c"), token="t"))
    for until, wanted in (("b", ["a", "b"]), ("bb", ["a", "b"]), ("c", ["a", "b", "c"])):
        async with scripted(first) as script:
            assert [row.key async for rows in bucket(script).list(until=until) for row in rows] == wanted
            assert len(script.requests) == 1


async def test_listing_of_a_prefix_below_the_buckets_own() -> None:
    async with scripted(answer(200, page(contents("p/x/a")))) as script:
        assert [row.key async for rows in bucket(script).list("w", prefix="x/") for row in rows] == ["x/a"]
        assert script.requests[0].path == "/b?encoding-type=url&list-type=2&prefix=p%2Fx%2F&start-after=p%2Fw"


# -- archived objects

STATUS = "<RestoreStatus><IsRestoreInProgress>{}</IsRestoreInProgress>{}</RestoreStatus>"
RESTORED = STATUS.format("false", "<RestoreExpiryDate>2026-12-21T00:00:00.000Z</RestoreExpiryDate>")
S3 = Options(restores=True)
ASKING = "x-amz-optional-object-attributes"


def kept(key: str, storage_class: str, status: str = "") -> bytes:
    """Return a row in this class, with S3's restore status."""
    class_and_status = f"<StorageClass>{storage_class}</StorageClass>{status}".encode()
    return contents(key).replace(b"<StorageClass>STANDARD</StorageClass>", class_and_status)


@pytest.mark.parametrize(
    ("storage_class", "status", "archived"),
    [
        ("GLACIER", "", True),
        ("DEEP_ARCHIVE", "", True),
        ("GLACIER", STATUS.format("true", ""), True),
        ("GLACIER", RESTORED, False),
        ("DEEP_ARCHIVE", RESTORED, False),
        ("GLACIER", STATUS.format("perhaps", ""), False),
        ("GLACIER", "<RestoreStatus/>", False),
        ("GLACIER_IR", "", False),
        ("INTELLIGENT_TIERING", "", False),
        ("STANDARD", "", False),
    ],
)
@pytest.mark.parametrize("nested", [False, True], ids=["by expression", "by parser"])
def test_archived_rows_are_those_without_a_completed_restore(
    storage_class: str, status: str, archived: bool, nested: bool
) -> None:
    archived_row = kept("k", storage_class, status)
    if nested:
        archived_row = archived_row.replace(b"<Size>", b"<Owner><ID>x</ID></Owner><Size>")
    body = page(contents("p/"), contents("GLACIER"), archived_row, kept("z", "DEEP_ARCHIVE", RESTORED), contents("zz"))
    rows = parse(body, "", archives=True).rows
    assert [(row.key, row.archived) for row in rows] == [
        ("p/", False),
        ("GLACIER", False),
        ("k", archived),
        ("z", False),
        ("zz", False),
    ]
    assert not any(row.archived for row in parse(body, "").rows), "ignored if not requested"


def test_archived_rows_below_a_prefix_are_marked() -> None:
    body = page(contents("p/"), kept("p/a", "GLACIER"), contents("p/b"), kept("p/c", "DEEP_ARCHIVE"))
    rows = parse(body, "p/", archives=True).rows
    assert [(row.key, row.archived) for row in rows] == [("a", True), ("b", False), ("c", True)]


async def test_restore_status_is_requested_only_if_configured() -> None:
    async with scripted(answer(200, page(kept("p/a", "GLACIER")))) as script:
        assert [row.archived async for rows in bucket(script, S3).list() for row in rows] == [True]
        assert script.requests[0].headers[ASKING] == "RestoreStatus"
        assert [row.archived async for rows in bucket(script).list() for row in rows] == [False]
        assert ASKING not in script.requests[1].headers


async def test_restore_status_is_not_requested_again_after_a_refusal() -> None:
    def serve(request: ReceivedRequest) -> bytes:
        if ASKING in request.headers:
            return error(501, "NotImplemented")
        token = "" if "continuation-token" in request.path else "t"
        return answer(200, page(kept("p/b" if not token else "p/a", "GLACIER"), token=token))

    async with scripted(serve) as script:
        asking = bucket(script, S3)
        rows = [row async for rows in asking.list() for row in rows]
        assert [(row.key, row.archived) for row in rows] == [("a", False), ("b", False)]
        assert [ASKING in request.headers for request in script.requests] == [True, False, False]
        assert not asking.pages.restores
        assert asking.pages.refused


async def test_restore_status_is_still_requested_after_another_error() -> None:
    async with scripted(error(404, "NoSuchBucket")) as script:
        asking = bucket(script, S3)
        with pytest.raises(ServiceBlockedError, match="NoSuchBucket"):
            await anext(asking.list())
        assert asking.pages.restores
        assert not asking.pages.refused
    async with scripted(error(403, "AccessDenied")) as script:
        asking = bucket(script, S3)
        with pytest.raises(AccessDeniedError):
            await anext(asking.list())
        assert len(script.requests) == 1
