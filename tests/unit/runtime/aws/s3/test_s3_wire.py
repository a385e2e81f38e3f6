"""Test requests and answers of S3 that no emulator shows."""

from __future__ import annotations

import pytest

from dualsync.runtime.aws.http.body_memory import Admission
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.object_reader import RANGE_BYTES, WHOLE_BYTES
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.errors import (
    AccessDeniedError,
    PreconditionFailedError,
    ServiceBlockedError,
    UnavailableError,
    UploadGoneError,
)
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, Part, Precondition
from dualsync.runtime.model.origin_version import STAMP_KEY
from tests.support.scripted_server import ReceivedRequest, answer, chunked, error, scripted
from tests.support.wire import DATE, MODIFIED, PLAIN, STAMP, bucket, put


async def test_replicas_have_the_configured_class_and_acl() -> None:
    async with scripted(answer(200, ETag='"e"')) as script:
        request = await put(script, Attributes(storage_class="GLACIER_IR"), options=Options("STANDARD_IA", "private"))
        assert (request.method, request.path) == ("PUT", "/b/p/k")
        assert request.headers["x-amz-storage-class"] == "STANDARD_IA"
        assert request.headers["x-amz-acl"] == "private"
        assert request.headers["if-none-match"] == "*"
        assert request.headers[f"x-amz-meta-{STAMP_KEY}"] == STAMP.encode()
        request = await put(script, Attributes(storage_class="GLACIER_IR"))
        assert request.headers["x-amz-storage-class"] == "GLACIER_IR"
        assert "x-amz-acl" not in request.headers
        request = await put(script, PLAIN, None)
        assert not [name for name in request.headers if "class" in name or "meta" in name]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a+b c", "a%2Bb%20c"),
        ("a//../b/.", "a//../b/."),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("~-._", "~-._"),
        ("?a=b#c&d;e:f@g!$'()*,", "%3Fa%3Db%23c%26d%3Be%3Af%40g%21%24%27%28%29%2A%2C"),
        ("\ufffd\U0001f388\n", "%EF%BF%BD%F0%9F%8E%88%0A"),
        ("folder/", "folder/"),
    ],
)
async def test_key_is_encoded_as_signatures_require(key: str, path: str) -> None:
    """IAM User Guide, "Create a signed AWS API request": all but A-Z a-z 0-9 - . _ ~ and, in a key, the slash."""
    async with scripted(answer(200, b"", **DATE)) as script:
        await bucket(script).head(key)
        assert script.requests[0].path == f"/b/p/{path}"


@pytest.mark.parametrize(("count", "noticed"), [("2", "k"), ("0", ""), ("", "")])
async def test_metadata_that_s3_does_not_return_is_noticed(count: str, noticed: str) -> None:
    """Values that were set over SOAP need not be legal in a header (API Reference, GetObject, x-amz-missing-meta)."""
    headers = DATE | {"x-amz-meta-a": "1", "x-amz-missing-meta": count}
    for read in (S3Bucket.head, S3Bucket.read):
        async with scripted(answer(200, b"", **headers), answer(200, b"", **headers)) as script:
            b = bucket(script)
            await read(b, "k")
            await read(b, "another")
            assert b.incomplete_key == noticed


async def test_object_headers_are_parsed_and_written_back() -> None:
    headers = DATE | {
        "Content_Type": "text/plain; charset=utf-8",
        "Content_Disposition": "attachment; filename=caf\u00e9",
        "Expires": "soon",
        "x_amz_website_redirect_location": "/other",
        "x_amz_storage_class": "DEEP_ARCHIVE",
        "x_amz_version_id": "v1",
        "x_amz_meta_Colour": "=?UTF-8?Q?gr=C3=BCn?=",
        "x_amz_meta_dualsync_origin": STAMP.encode(),
        "x_amz_server_side_encryption": "aws:kms:dsse",
        "x_amz_checksum_crc64nvme": "AAAAAAAAAAA=",
        "x_amz_checksum_type": "FULL_OBJECT",
    }
    async with scripted(answer(200, b"hello", **headers), answer(200, ETag='"e"')) as script:
        b = bucket(script)
        reading = await b.read("k")
        assert reading is not None
        seen = reading.head
        assert script.requests[0].headers["x-amz-checksum-mode"] == "ENABLED"
        assert (seen.etag, seen.size, seen.modified, seen.version_id) == ("e", 5, 1_792_567_680, "v1")
        assert (seen.stamp, seen.archived, seen.opaque) == (STAMP, True, True)
        assert seen.attributes.metadata == (("colour", "=?UTF-8?Q?gr=C3=BCn?="),)
        assert seen.attributes.checksum == "crc64nvme:AAAAAAAAAAA="
        await b.put("k", b"hello", seen.attributes, None, MUST_NOT_EXIST)
    sent = script.requests[1].headers
    for name, value in headers.items():
        wire = name.replace("_", "-").lower()
        if wire.startswith(("content-", "expires", "x-amz-website", "x-amz-meta-colour", "x-amz-checksum-crc")):
            assert sent[wire].encode("latin-1") == value.encode(), wire


@pytest.mark.parametrize(
    "expires", ["Wed, 21 Oct 2026 07:28:00 GMT", "0", "-1", "never", "Thursday, 01-Jan-70 00:00:00 GMT"]
)
async def test_metadata_entries_and_expires_are_kept_for_objects_and_uploads(expires: str) -> None:
    entries = {f"x_amz_meta_entry{number}": f"{number}" for number in range(150)}
    begun = answer(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    shown = answer(200, b"hello", **DATE, **entries, Expires=expires)
    async with scripted(shown, shown, answer(200, ETag='"e"'), begun) as script:
        b = bucket(script)
        head, reading = await b.head("k"), await b.read("k")
        assert head is not None
        assert reading is not None
        assert reading.head.attributes == head.attributes
        await b.put("k", b"hello", head.attributes, STAMP, MUST_NOT_EXIST)
        await b.create_upload("k", head.attributes, STAMP)
    for request in script.requests[2:]:
        assert request.headers["expires"] == expires
        found = {name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-entry")}
        assert found == {name.replace("_", "-"): value for name, value in entries.items()}


@pytest.mark.parametrize(
    ("headers", "archived"),
    [
        ({"x_amz_storage_class": "GLACIER"}, True),
        ({"x_amz_storage_class": "GLACIER", "x_amz_restore": 'ongoing-request="true"'}, True),
        ({"x_amz_storage_class": "GLACIER", "x_amz_restore": 'ongoing-request="false", expiry-date="x"'}, False),
        ({"x_amz_storage_class": "INTELLIGENT_TIERING", "x_amz_archive_status": "ARCHIVE_ACCESS"}, True),
        ({"x_amz_storage_class": "GLACIER_IR"}, False),
        ({}, False),
    ],
)
async def test_archived_objects_are_recognised_from_their_headers(headers: dict[str, str], archived: bool) -> None:
    async with scripted(answer(200, b"", **DATE, **headers)) as script:
        seen = await bucket(script).head("k")
        assert seen is not None
        assert seen.archived is archived


async def test_write_answered_without_an_etag_is_a_retryable_error() -> None:
    nothing = b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>"
    async with scripted(answer(200)) as script:
        with pytest.raises(UnavailableError, match="without an ETag"):
            await bucket(script).put("k", b"x", PLAIN, None, MUST_NOT_EXIST)
        with pytest.raises(UnavailableError, match="without an ETag"):
            await bucket(script).put_part("k", "u", 1, b"x")
    async with scripted(answer(200, nothing)) as script:
        with pytest.raises(UnavailableError, match="without an ETag"):
            await bucket(script).complete_upload("k", "u", [Part(1, "e")], MUST_NOT_EXIST)


@pytest.mark.parametrize(
    "headers", [{}, {"ETag": '"' + "e" * 300 + '"'}, {"ETag": '"e"', "x_amz_version_id": "a\x00"}, {"ETag": '"e"'}]
)
async def test_malformed_answers_name_the_request(headers: dict[str, str]) -> None:
    """AWS Support needs the request id to find the request."""
    async with scripted(answer(200, b"", **headers, x_amz_request_id="4442587FB7D0A2F9")) as script:
        with pytest.raises(UnavailableError, match=r"\(request 4442587FB7D0A2F9\)"):
            await bucket(script).head("k")


@pytest.mark.parametrize("kind", ["crc64nvme", "crc32c", "sha256", "xxhash128", "any1"])
@pytest.mark.parametrize(
    ("value", "type", "shown"),
    [
        ("AA==-2", "COMPOSITE", True),
        ("AA==-2", None, True),
        ("AA==", "COMPOSITE", False),
        ("AA==", "FULL_OBJECT", True),
    ],
)
async def test_composite_checksum_is_not_used_as_the_contents_checksum(
    kind: str, value: str, type: str | None, shown: bool
) -> None:
    headers = {f"x_amz_checksum_{kind}": value} | ({"x_amz_checksum_type": type} if type else {})
    async with scripted(answer(200, b"hello", **DATE, **headers), answer(200, ETag='"e"')) as script:
        seen = await bucket(script).head("k")
        assert seen is not None
        assert seen.attributes.checksum == (f"{kind}:{value}" if shown else "")
        await bucket(script).put("k", b"hello", seen.attributes, None, MUST_NOT_EXIST)
        sent = {name: text for name, text in script.requests[-1].headers.items() if "checksum" in name}
        assert sent == ({f"x-amz-checksum-{kind}": value} if type == "FULL_OBJECT" else {})


async def test_missing_object_is_distinguished_from_a_missing_bucket() -> None:
    async with scripted(answer(404), error(404, "NoSuchKey")) as script:
        assert await bucket(script).head("k") is None
        assert [(request.method, request.headers.get("range")) for request in script.requests] == [
            ("HEAD", None),
            ("GET", "bytes=0-0"),
        ]
    async with scripted(answer(404), error(404, "NoSuchBucket")) as script:
        with pytest.raises(ServiceBlockedError, match="NoSuchBucket"):
            await bucket(script).head("k")
    async with scripted(error(404, "NoSuchBucket")) as script:
        with pytest.raises(ServiceBlockedError, match="NoSuchBucket"):
            await bucket(script).read("k")


async def test_denied_head_is_not_an_absent_object() -> None:
    async with scripted(answer(403), error(403, "AccessDenied")) as script:
        with pytest.raises(AccessDeniedError):
            await bucket(script).head("k")


async def test_delete_marker_is_recognised_with_one_request() -> None:
    for status in (404, 405):
        async with scripted(answer(status, x_amz_delete_marker="true")) as script:
            assert await bucket(script).head("k", "v 1") is None
            assert [request.path for request in script.requests] == ["/b/p/k?versionId=v%201"]


async def test_object_written_between_head_and_get_is_found() -> None:
    for second in (answer(206, b"h"), error(416, "InvalidRange")):
        async with scripted(answer(404), second, answer(200, b"", **DATE)) as script:
            seen = await bucket(script).head("k")
            assert seen is not None
            assert seen.etag == "e"


async def test_error_in_the_body_of_a_200_is_raised() -> None:
    parts = [Part(1, "e")]
    done = b" \n<CompleteMultipartUploadResult><ETag>&quot;e-1&quot;</ETag></CompleteMultipartUploadResult>"
    for body, kind in (
        (b"<Error><Code>InternalError</Code></Error>", UnavailableError),
        (b"<Error><Code>PreconditionFailed</Code></Error>", PreconditionFailedError),
    ):
        async with scripted(chunked(b"  ", body)) as script:
            with pytest.raises(kind):
                await bucket(script).complete_upload("k", "u+/=", parts, MUST_NOT_EXIST)
            assert script.requests[0].path == "/b/p/k?uploadId=u%2B%2F%3D"
    async with scripted(chunked(done)) as script:
        written = await bucket(script).complete_upload("k", "u", parts, Precondition("x"))
        assert written.etag == "e-1"
        assert script.requests[0].headers["if-match"] == '"x"'
        assert b"<PartNumber>1</PartNumber><ETag>&quot;e&quot;</ETag>" in script.requests[0].body


async def test_parts_are_listed_page_by_page() -> None:
    def page(*numbers: int, more: str = "") -> bytes:
        parts = "".join(
            f"<Part><ETag>&quot;e{n}&quot;</ETag><PartNumber>{n}</PartNumber><Size>{n * 10}</Size></Part>"
            for n in numbers
        )
        marker = f"<NextPartNumberMarker>{more or numbers[-1]}</NextPartNumberMarker>"
        truncated = f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        return answer(200, f"<ListPartsResult>{marker}{truncated}{parts}</ListPartsResult>\n".encode())

    async with scripted(page(1, 2, more="2"), page(5)) as script:
        listed = await bucket(script).list_parts("k", "u/")
        assert listed is not None
        assert [(p.number, p.etag, p.size) for p in listed] == [(1, "e1", 10), (2, "e2", 20), (5, "e5", 50)]
        assert [request.path for request in script.requests] == [
            f"/b/p/k?max-parts=1000&part-number-marker={marker}&uploadId=u%2F" for marker in (0, 2)
        ]
    async with scripted(page(4, 5, more="5")) as script:
        assert await bucket(script).list_parts("k", "u", 4, 5) == [Part(4, "e4"), Part(5, "e5")]
        assert "max-parts=2&part-number-marker=3" in script.requests[0].path
    for cut in (b"<ListPartsResult><IsTruncated>false", b"<ListPartsResult></ListPartsResult>", b""):
        async with scripted(answer(200, cut)) as script:
            with pytest.raises(UnavailableError, match="not a whole page"):
                await bucket(script).list_parts("k", "u")
    for code in ("NotImplemented", "MethodNotAllowed"):
        async with scripted(error(501 if code == "NotImplemented" else 405, code)) as script:
            assert await bucket(script).list_parts("k", "u") is None
    async with scripted(error(404, "NoSuchUpload")) as script:
        with pytest.raises(UploadGoneError):
            await bucket(script).list_parts("k", "u")


async def test_uploads_are_listed_page_by_page() -> None:
    row = (
        "<Upload><Key>p/a+b%26{n}</Key><UploadId>u{n}</UploadId><Initiator><ID>arn:i</ID></Initiator>"
        "<Owner><ID>o</ID></Owner><Initiated>2026-01-31T23:59:0{n}.000Z</Initiated></Upload>"
    )
    more = "<NextKeyMarker>p/a+b%261</NextKeyMarker><NextUploadIdMarker>u1</NextUploadIdMarker>"

    def page(n: int, *, last: bool) -> bytes:
        rest = f"<IsTruncated>{'false' if last else 'true'}</IsTruncated>{more}<EncodingType>url</EncodingType>"
        body = f"<ListMultipartUploadsResult>{rest}{row.format(n=n)}</ListMultipartUploadsResult>"
        return answer(200, body.encode())

    async with scripted(page(1, last=False), page(2, last=True)) as script:
        found = await bucket(script).list_uploads()
        assert [(u.key, u.id, u.initiated - found[0].initiated, u.initiator) for u in found] == [
            ("a b&1", "u1", 0, "arn:i"),
            ("a b&2", "u2", 1, "arn:i"),
        ]
        assert [request.path for request in script.requests] == [
            "/b?encoding-type=url&prefix=p%2F&uploads=",
            "/b?encoding-type=url&key-marker=p%2Fa%20b%261&prefix=p%2F&upload-id-marker=u1&uploads=",
        ]


async def test_part_that_another_worker_replaced_is_a_retryable_error() -> None:
    async with scripted(error(400, "InvalidPart")) as script:
        with pytest.raises(UnavailableError, match="InvalidPart"):
            await bucket(script).complete_upload("k", "u", [Part(1, "e")], MUST_NOT_EXIST)


@pytest.mark.parametrize(("theirs", "agree"), [("AAAAAAAAAAA=", True), ("BBBBBBBBBBB=", False)])
async def test_upload_is_compared_with_the_checksum_of_its_source(theirs: str, agree: bool) -> None:
    created = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    done = f'<R><ETag>"e-1"</ETag><ChecksumCRC64NVME>{theirs}</ChecksumCRC64NVME></R>'.encode()
    async with scripted(answer(200, created), answer(200, done), answer(204)) as script:
        b = bucket(script)
        await b.create_upload("k", PLAIN, None)
        checksum = "crc64nvme:AAAAAAAAAAA="
        if agree:
            assert (await b.complete_upload("k", "u", [Part(1, "e")], MUST_NOT_EXIST, checksum)).etag == "e-1"
            assert len(script.requests) == 2
            return
        with pytest.raises(UnavailableError, match="checksum"):
            await b.complete_upload("k", "u", [Part(1, "e")], MUST_NOT_EXIST, checksum)
        assert (script.requests[-1].method, script.requests[-1].headers["if-match"]) == ("DELETE", '"e-1"')


async def test_large_object_is_read_in_ranges_of_one_version() -> None:
    size = WHOLE_BYTES + 5

    def serve(request: ReceivedRequest) -> bytes:
        if "range" not in request.headers:
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: x\r\nLast-Modified: {MODIFIED}\r\n\r\n"
            return head.encode() + b"x" * 100_000
        start, end = (int(text) for text in request.headers["range"].removeprefix("bytes=").split("-"))
        assert request.headers["if-match"] == '"x"'
        return answer(206, b"y" * (end + 1 - start))

    async with scripted(serve) as script:
        b = bucket(script)
        reading = await b.read("k")
        assert reading is not None
        assert await reading.read_whole() is None
        assert [len(chunk) async for chunk in reading.chunks()] == [RANGE_BYTES] * 4 + [5]
        await reading.close()
        assert b.admission.held_bytes == 0


async def test_large_body_holds_memory_until_it_is_released() -> None:
    async with scripted(answer(200, b"x" * 200_000, **DATE)) as script:
        b = S3Bucket(script.caller(), "b", path_style=True, admission=Admission(250_000))
        reading = await b.read("k")
        assert reading is not None
        chunks = [chunk async for chunk in reading.chunks()]
        assert b.admission.held_bytes == 200_000
        assert [len(chunk) for chunk in chunks] == [200_000]
        chunks.clear()
        del reading
        assert b.admission.held_bytes == 0


@pytest.mark.parametrize("size", [0, 16, 200_000], ids=["empty", "with the head", "after the head"])
async def test_content_is_read_in_one_request(size: int) -> None:
    content = b"x" * size
    async with scripted(answer(200, content, **DATE)) as script:
        b = bucket(script)
        reading = await b.read("k")
        assert reading is not None
        whole = await reading.read_whole()
        assert whole == content
        assert b.admission.held_bytes == (size if size > 16 else 0)
        del whole
        await reading.close()
        assert (b.admission.held_bytes, b.client.pool.open) == (0, 1)


async def test_reader_closed_unread_closes_its_connection() -> None:
    async with scripted(answer(200, b"x" * 200_000, **DATE)) as script:
        b = bucket(script)
        for _ in range(3):
            reading = await b.read("k")
            assert reading is not None
            await reading.close()
            await reading.close()
        assert b.client.pool.open == 0


async def test_answer_longer_than_the_requested_range_is_refused() -> None:
    async with scripted(answer(200, b"x" * 200_000)) as script:
        b = bucket(script)
        with pytest.raises(UnavailableError, match="200000 bytes came for 0 to 100000"):
            await b.read_range("k", 0, 100_000, "e")
        with pytest.raises(UnavailableError, match="200000 bytes came for 0 to 10"):
            await b.read_range("k", 0, 10, "e")
        assert b.client.pool.open == 0


async def test_deletion_without_an_etag_is_refused() -> None:
    async with scripted(answer(204)) as script:
        with pytest.raises(ValueError, match="ETag"):
            await bucket(script).delete("k", MUST_NOT_EXIST)
        assert script.requests == []
