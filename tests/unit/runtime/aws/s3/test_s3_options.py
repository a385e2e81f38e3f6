"""Test the options of a bucket: encryption, tags, requester pays, and what stores require or lack."""

from __future__ import annotations

import pytest

from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.errors import (
    AccessDeniedError,
    PermanentError,
    PreconditionFailedError,
    ServiceBlockedError,
)
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Part, Precondition
from tests.support.scripted_server import ReceivedRequest, answer, error, scripted
from tests.support.wire import DATE, PLAIN, bucket, put


async def test_replicas_are_encrypted_as_configured() -> None:
    async with scripted(answer(200, ETag='"e"')) as script:
        for options, expected in (
            (Options(encryption="AES256"), {"": "AES256"}),
            (Options(encryption="aws:kms"), {"": "aws:kms", "-bucket-key-enabled": "true"}),
            (
                Options(encryption="aws:kms", kms_key="arn:k"),
                {"": "aws:kms", "-aws-kms-key-id": "arn:k", "-bucket-key-enabled": "true"},
            ),
            (Options(encryption="aws:kms:dsse", kms_key="arn:k"), {"": "aws:kms:dsse", "-aws-kms-key-id": "arn:k"}),
            (Options(kms_key="arn:k"), {}),
        ):
            sent = (await put(script, PLAIN, options=options)).headers
            base = "x-amz-server-side-encryption"
            assert {name.removeprefix(base): value for name, value in sent.items() if base in name} == expected


async def test_tags_are_copied_if_configured() -> None:
    listed = (
        b"<Tagging><TagSet><Tag><Key>b &amp; c</Key><Value>1+1=2</Value></Tag>"
        b"<Tag><Key>a</Key><Value></Value></Tag></TagSet></Tagging>"
    )

    def serve(request: ReceivedRequest) -> bytes:
        if "tagging" in request.path:
            return answer(200, listed)
        return answer(200, b"x", **DATE, x_amz_tagging_count="2", x_amz_version_id="v/1")

    async with scripted(serve) as script:
        plain = await bucket(script).read("k")
        assert plain is not None
        assert (plain.head.attributes.tags, len(script.requests)) == ((), 1)
        b = bucket(script, Options(tags=True))
        reading = await b.read("k")
        assert reading is not None
        assert reading.head.attributes.tags == (("a", ""), ("b & c", "1+1=2"))
        assert script.requests[-1].path == "/b/p/k?tagging=&versionId=v%2F1"
        await b.put("k", b"x", reading.head.attributes, None, MUST_NOT_EXIST)
        assert script.requests[-1].headers["x-amz-tagging"] == "a=&b+%26+c=1%2B1%3D2"
        await bucket(script).put("k", b"x", reading.head.attributes, None, MUST_NOT_EXIST)
        assert "x-amz-tagging" not in script.requests[-1].headers


@pytest.mark.parametrize("value", ["<Value></Value>", "<Value/>", "<Value />"])
async def test_tag_without_a_value_is_parsed(value: str) -> None:
    listed = (
        f"<Tagging><TagSet><Tag><Key>a</Key>{value}</Tag><Tag><Key>b</Key><Value>c</Value></Tag></TagSet></Tagging>"
    )
    async with scripted(answer(200, b"", **DATE, x_amz_tagging_count="2"), answer(200, listed.encode())) as script:
        reading = await bucket(script, Options(tags=True)).read("k")
        assert reading is not None
        assert reading.head.attributes.tags == (("a", ""), ("b", "c"))


async def test_denied_tags_close_the_object_connection() -> None:
    def serve(request: ReceivedRequest) -> bytes:
        if "tagging" in request.path:
            return error(403, "AccessDenied")
        return answer(200, b"x" * 200_000, **DATE, x_amz_tagging_count="2")

    async with scripted(serve) as script:
        b = bucket(script, Options(tags=True))
        with pytest.raises(AccessDeniedError, match="GetObjectTagging"):
            await b.read("k")
        assert b.client.pool.open == 1


async def test_all_requests_name_the_requester_as_payer() -> None:
    done = b'<R><UploadId>u</UploadId><ETag>"e"</ETag></R>'
    async with scripted(answer(200, done, **DATE)) as script:
        b = bucket(script, Options(requester_pays=True))
        await b.head("k")
        await b.read("k")
        await b.head_part("k", 1, "e")
        await b.put("k", b"x", PLAIN, None, MUST_NOT_EXIST)
        await b.create_upload("k", PLAIN, None)
        await b.put_part("k", "u", 1, b"x")
        await b.complete_upload("k", "u", [Part(1, "e")], MUST_NOT_EXIST)
        await b.abort_upload("k", "u")
        await b.delete("k", Precondition("e"))
        await b.read_range("k", 0, len(done), "e")
        assert {request.headers.get("x-amz-request-payer") for request in script.requests} == {"requester"}


async def test_object_is_sent_with_an_md5_if_object_lock_requires_it() -> None:
    wants = error(
        400, "InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests"
    )
    async with scripted(wants, answer(200, ETag='"e"')) as script:
        b = bucket(script)
        for _ in range(2):
            await b.put("k", b"hello", PLAIN, None, MUST_NOT_EXIST)
        assert [request.headers.get("content-md5") for request in script.requests] == [
            None,
            *["XUFAKrxLKna5cZ2REBfFkg=="] * 2,
        ]
    async with scripted(wants, answer(200, ETag='"e"')) as script:
        await bucket(script).put("k", b"", PLAIN, None, MUST_NOT_EXIST)
        assert script.requests[1].headers["content-md5"] == "1B2M2Y8AsgTpgAmY7PhCfg==", "of an empty body, too"
    async with scripted(wants) as script:
        with pytest.raises(PermanentError, match="InvalidRequest"):
            await bucket(script).put("k", b"hello", PLAIN, None, MUST_NOT_EXIST)
        assert len(script.requests) == 2


async def test_object_is_read_before_the_write_if_the_store_has_no_conditional_writes() -> None:
    there = {"k"}

    def serve(request: ReceivedRequest) -> bytes:
        if "if-match" in request.headers or "if-none-match" in request.headers:
            return error(501, "NotImplemented", "A header you provided implies functionality that is not implemented.")
        if request.method in ("HEAD", "GET"):
            return answer(200, b"", **DATE) if request.path[-1] in there else error(404, "NoSuchKey")
        return answer(200, b"", **DATE)

    async with scripted(serve) as script:
        b = bucket(script)
        assert not b.lacks_conditions
        assert (await b.put("n", b"x", PLAIN, None, MUST_NOT_EXIST)).etag == "e"
        assert bool(b.lacks_conditions)
        for key, condition in (("k", MUST_NOT_EXIST), ("k", Precondition("other")), ("n", Precondition("e"))):
            with pytest.raises(PreconditionFailedError):
                await b.put(key, b"x", PLAIN, None, condition)
        await b.delete("k", Precondition("e"))
        assert [request.method for request in script.requests[-2:]] == ["HEAD", "DELETE"]


@pytest.mark.parametrize(
    ("code", "options", "kind"),
    [
        ("InvalidStorageClass", Options(storage_class="OUTPOSTS"), ServiceBlockedError),
        ("InvalidStorageClass", Options(), PermanentError),
        ("InvalidEncryptionAlgorithmError", Options(encryption="aws:fsx"), ServiceBlockedError),
        ("InvalidEncryptionAlgorithmError", Options(), PermanentError),
    ],
)
async def test_refusal_of_a_configured_option_blocks_the_service(
    code: str, options: Options, kind: type[Exception]
) -> None:
    """No object may become a dead letter for it. Without the option, the object's own class is refused."""
    async with scripted(error(400, code)) as script:
        with pytest.raises(kind, match=code):
            await put(script, PLAIN, options=options)
