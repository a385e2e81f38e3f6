"""Test checksums on the wire: request headers, answers, and stores that support only some of them."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

import pytest

from dualsync.runtime.aws.s3.checksums import digest
from dualsync.runtime.errors import (
    ChecksumMismatchError,
    ChecksumUnsupportedError,
    CredentialRejectedError,
    PermanentError,
    PreconditionFailedError,
)
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, Part, StartedUpload
from dualsync.runtime.model.streamed_body import StreamedBody
from tests.support.scripted_server import Script, answer, error, scripted
from tests.support.wire import PLAIN, bucket

CREATED = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
DONE = b'<CompleteMultipartUploadResult><ETag>"e-2"</ETag>%s</CompleteMultipartUploadResult>'
MISMATCH = "Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: null"
"""S3's message about a part without the checksum of its upload."""
WHOLE, OF_PARTS = "crc32:AAAAAA==", "sha256:AAAA-2"


def echo(algorithm: str, type: str) -> bytes:
    """Return an answer to CreateMultipartUpload."""
    given = {"x_amz_checksum_algorithm": algorithm, "x_amz_checksum_type": type}
    return answer(200, CREATED, **{name: text for name, text in given.items() if text})


def sent(script: Script, at: int = -1) -> dict[str, str]:
    """Return the checksum headers of a request."""
    return {name[15:]: text for name, text in script.requests[at].headers.items() if name.startswith("x-amz-checksum-")}


@pytest.mark.parametrize(
    ("checksum", "expected"),
    [
        ("", {}),
        (WHOLE, {"algorithm": "CRC32", "type": "FULL_OBJECT"}),
        ("crc64nvme:AA==", {"algorithm": "CRC64NVME", "type": "FULL_OBJECT"}),
        (OF_PARTS, {"algorithm": "SHA256", "type": "COMPOSITE"}),
        ("xxhash128:AA==-3", {"algorithm": "XXHASH128", "type": "COMPOSITE"}),
    ],
)
async def test_upload_is_created_with_kind_and_type_of_its_checksum(checksum: str, expected: dict[str, str]) -> None:
    async with scripted(echo(expected.get("algorithm", ""), expected.get("type", ""))) as script:
        assert await bucket(script).create_upload("k", PLAIN, None, checksum) == StartedUpload("u", checksum)
        assert sent(script) == expected
        assert len(script.requests) == 1


async def test_upload_has_no_checksum_if_the_store_does_not_confirm_it() -> None:
    async with scripted(answer(200, CREATED)) as script:
        assert await bucket(script).create_upload("k", PLAIN, None, WHOLE) == StartedUpload("u")


@pytest.mark.parametrize("echoed", [("CRC32", ""), ("CRC32", "COMPOSITE"), ("CRC32C", "FULL_OBJECT")])
async def test_checksum_is_not_sent_again_if_the_store_confirms_another(echoed: tuple[str, str]) -> None:
    async with scripted(echo(*echoed), answer(204), answer(200, CREATED)) as script:
        b = bucket(script)
        assert await b.create_upload("k", PLAIN, None, WHOLE) == StartedUpload("u")
        assert [request.method for request in script.requests] == ["POST", "DELETE", "POST"]
        assert sent(script) == {}
        assert await b.create_upload("k", PLAIN, None, WHOLE) == StartedUpload("u")
        assert sent(script) == {}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("InvalidRequest", "Checksum algorithm provided is unsupported."),
        ("NotImplemented", "Only COMPOSITE checksum type is supported"),
        ("InvalidArgument", "Value for x-amz-checksum-type header is invalid."),
    ],
)
async def test_unsupported_kind_is_not_sent_again_and_other_kinds_are(code: str, message: str) -> None:
    refusal, knowing = error(400, code, message), echo("SHA256", "COMPOSITE")
    async with scripted(refusal, answer(200, CREATED), answer(200, CREATED), knowing) as script:
        b = bucket(script)
        assert await b.create_upload("k", PLAIN, None, WHOLE) == StartedUpload("u")
        assert [sent(script, n) != {} for n in range(2)] == [True, False]
        assert await b.create_upload("k", PLAIN, None, WHOLE) == StartedUpload("u")
        assert sent(script) == {}
        assert await b.create_upload("k", PLAIN, None, OF_PARTS) == StartedUpload("u", OF_PARTS)
        assert not b.lacks_conditions


async def test_object_is_written_without_an_unsupported_checksum_and_with_its_condition() -> None:
    refusal = error(501, "NotImplemented", "The checksum crc64nvme is not supported")
    async with scripted(refusal, answer(200, ETag='"e"')) as script:
        b = bucket(script)
        await b.put("k", b"hello", Attributes(checksum="crc64nvme:AA=="), None, MUST_NOT_EXIST)
        assert [sent(script, n) for n in range(2)] == [{"crc64nvme": "AA=="}, {}]
        assert script.requests[-1].headers["if-none-match"] == "*"
        await b.put("k", b"hello", Attributes(checksum="crc64nvme:AA=="), None, MUST_NOT_EXIST)
        await b.put("k", b"hello", Attributes(checksum="sha1:AA=="), None, MUST_NOT_EXIST)
        assert [sent(script, n) for n in (2, 3)] == [{}, {"sha1": "AA=="}]
        assert not b.lacks_conditions


@pytest.mark.parametrize(
    ("code", "message"), [("InvalidRequest", "The storage class"), ("EntityTooLarge", "Too large for a checksum")]
)
async def test_refusal_for_another_reason_is_not_retried(code: str, message: str) -> None:
    async with scripted(error(400, code, message)) as script:
        with pytest.raises(PermanentError):
            await bucket(script).create_upload("k", PLAIN, None, WHOLE)
        assert len(script.requests) == 1


async def test_kind_unsupported_in_parts_is_still_sent_for_whole_objects() -> None:
    refusal = error(400, "InvalidRequest", "Checksum algorithm provided is unsupported.")
    async with scripted(refusal, answer(200, CREATED), answer(200, ETag='"e"')) as script:
        b = bucket(script)
        assert await b.create_upload("k", PLAIN, None, WHOLE) == StartedUpload("u")
        await b.put("k", b"hello", Attributes(checksum=WHOLE), None, MUST_NOT_EXIST)
        assert sent(script) == {"crc32": "AAAAAA=="}
        assert b.refused_checksums == {"crc32 in parts"}


@pytest.mark.parametrize("known", [False, True], ids=["its value is refused", "its kind is known"])
async def test_refused_checksum_of_one_object_is_still_sent_for_others(known: bool) -> None:
    message = "A checksum that I do not like." if known else "Value for x-amz-checksum-sha1 header is invalid."
    taken = answer(200, ETag='"e"')
    before = [taken] if known else []
    async with scripted(*before, error(400, "InvalidRequest", message), taken) as script:
        b = bucket(script)
        for _ in before:
            await b.put("k", b"hello", Attributes(checksum="sha1:AA=="), None, MUST_NOT_EXIST)
        await b.put("k", b"hello", Attributes(checksum="sha1:odd"), None, MUST_NOT_EXIST)
        assert sent(script) == {}, "this one goes without"
        await b.put("k", b"hello", Attributes(checksum="sha1:AA=="), None, MUST_NOT_EXIST)
        assert sent(script) == {"sha1": "AA=="}
        assert b.refused_checksums == set()


async def test_kind_that_has_worked_stays_supported_after_one_refusal() -> None:
    done = answer(200, DONE % b"<ChecksumSHA256>AAAA-2</ChecksumSHA256>")
    async with scripted(done, error(400, "InvalidRequest", MISMATCH)) as script:
        b = bucket(script)
        parts = [Part(n, "e", 1, "sha256:P==") for n in (1, 2)]
        await b.complete_upload("k", "u", parts, MUST_NOT_EXIST, OF_PARTS, OF_PARTS)
        with pytest.raises(ChecksumUnsupportedError):
            await b.put_part("k", "u", 1, b"x", "sha256:AA==", OF_PARTS)
        assert b.refused_checksums == set()


# -- parts


async def test_part_is_sent_and_completed_with_its_own_checksum() -> None:
    done = DONE % b"<ChecksumSHA256>AAAA-2</ChecksumSHA256>"
    async with scripted(answer(200, ETag='"p"'), answer(200, ETag='"p"'), answer(200, done)) as script:
        b = bucket(script)
        parts = [await b.put_part("k", "u", n, b"x", f"sha256:S{n}==", OF_PARTS) for n in (1, 2)]
        assert sent(script) == {"sha256": "S2=="}
        assert [part.checksum for part in parts] == ["sha256:S1==", "sha256:S2=="]
        assert (await b.complete_upload("k", "u", parts, MUST_NOT_EXIST, OF_PARTS, OF_PARTS)).etag == "e-2"
        assert sent(script) == {"sha256": "AAAA-2", "type": "COMPOSITE"}
        assert b"<PartNumber>2</PartNumber><ETag>&quot;p&quot;</ETag><ChecksumSHA256>S2==</ChecksumSHA256></Part>" in (
            script.requests[-1].body
        )


@pytest.mark.parametrize("kind", ["crc32", "md5", "sha1", "sha256", "sha512"])
@pytest.mark.parametrize("size", [5, 1 << 20])
async def test_requested_checksum_is_computed(kind: str, size: int) -> None:
    body = b"x" * size
    digest_of = zlib.crc32(body).to_bytes(4, "big") if kind == "crc32" else hashlib.new(kind, body).digest()
    expected = b64encode(digest_of).decode()

    async def read(start: int, end: int) -> bytes:
        return body[start:end]

    assert await digest(StreamedBody(read, 0, size), kind) == expected
    async with scripted(answer(200, ETag='"p"')) as script:
        part = await bucket(script).put_part("k", "u", 1, body, f"{kind}:", f"{kind}:AAAA-1")
        assert part.checksum == f"{kind}:{expected}"
        assert sent(script) == {kind: expected}


@pytest.mark.parametrize("checksum", [WHOLE, OF_PARTS])
@pytest.mark.parametrize("code", ["InvalidRequest", "InvalidArgument", "NotImplemented"])
async def test_kind_refused_for_a_part_is_not_sent_again(code: str, checksum: str) -> None:
    async with scripted(error(400, code, MISMATCH), answer(200, CREATED)) as script:
        b = bucket(script)
        with pytest.raises(ChecksumUnsupportedError, match="mismatch"):
            await b.put_part("k", "u", 1, b"x", "sha256:AA==" if checksum is OF_PARTS else "", checksum)
        assert len(script.requests) == 1
        assert await b.create_upload("k", PLAIN, None, checksum) == StartedUpload("u")
        assert sent(script) == {}


async def test_kind_confirmed_at_creation_and_refused_for_a_part_is_unsupported() -> None:
    refusal = error(400, "InvalidRequest", MISMATCH)
    async with scripted(echo("SHA256", "COMPOSITE"), refusal, answer(200, CREATED)) as script:
        b = bucket(script)
        assert await b.create_upload("k", PLAIN, None, OF_PARTS) == StartedUpload("u", OF_PARTS)
        with pytest.raises(ChecksumUnsupportedError):
            await b.put_part("k", "u", 1, b"x", "sha256:AA==", OF_PARTS)
        assert b.refused_checksums == {"sha256 in parts"}


async def test_part_is_sent_with_an_md5_if_object_lock_requires_it() -> None:
    lock = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters"
    async with scripted(error(400, "InvalidRequest", lock), answer(200, ETag='"p"')) as script:
        await bucket(script).put_part("k", "u", 1, b"x", "", WHOLE)
        assert script.requests[-1].headers["content-md5"]


async def test_write_refused_with_and_without_a_checksum_fails() -> None:
    async with scripted(error(400, "InvalidRequest", "No checksum pleases me")) as script:
        with pytest.raises(PermanentError):
            await bucket(script).put("k", b"x", Attributes(checksum="sha1:AA=="), None, MUST_NOT_EXIST)
        assert [sent(script, n) for n in range(2)] == [{"sha1": "AA=="}, {}]
        assert len(script.requests) == 2


async def test_other_uploads_keep_their_checksums_after_a_refusal() -> None:
    async with scripted(error(400, "InvalidRequest", MISMATCH), answer(200, ETag='"p"')) as script:
        b = bucket(script)
        with pytest.raises(ChecksumUnsupportedError):
            await b.put_part("k", "u", 1, b"x", "sha256:AA==", OF_PARTS)
        await b.put_part("k", "another", 1, b"x", "sha256:AA==", OF_PARTS)
        assert sent(script) == {"sha256": "AA=="}


async def test_refused_part_without_checksums_fails_permanently() -> None:
    async with scripted(error(400, "InvalidRequest", MISMATCH)) as script:
        with pytest.raises(PermanentError):
            await bucket(script).put_part("k", "u", 1, b"x")


@pytest.mark.parametrize("code", ["BadDigest", "XAmzContentChecksumMismatch"])
async def test_digest_mismatch_is_retried_and_then_raised(code: str) -> None:
    async with scripted(error(400, code)) as script:
        b = bucket(script)
        with pytest.raises(ChecksumMismatchError, match=code):
            await b.put_part("k", "u", 1, b"x", "sha256:AA==", OF_PARTS)
        assert len(script.requests) == 3
        with pytest.raises(ChecksumMismatchError, match=code):
            await b.put("k", b"x", Attributes(checksum="sha1:AA=="), None, MUST_NOT_EXIST)


async def test_part_is_read_by_its_number_with_its_checksum() -> None:
    shown = {"x_amz_checksum_sha256": "S2==", "x_amz_checksum_type": "COMPOSITE"}
    async with scripted(answer(206, b"hello", **shown)) as script:
        b = bucket(script)
        assert await b.read_part("k", 2, 5, "e") == (b"hello", "sha256:S2==")
        request = script.requests[-1]
        assert request.path == "/b/p/k?partNumber=2"
        assert (request.headers["if-match"], request.headers["x-amz-checksum-mode"]) == ('"e"', "ENABLED")
        assert "range" not in request.headers


@pytest.mark.parametrize("length", [4, 200_000])
async def test_part_of_another_length_is_refused(length: int) -> None:
    async with scripted(answer(206, b"x" * length)) as script:
        b = bucket(script)
        with pytest.raises(ChecksumUnsupportedError, match=f"{length} bytes are part 2, not 5"):
            await b.read_part("k", 2, 5, "e")
        assert b.admission.held_bytes == 0


async def test_part_of_another_version_raises_precondition_failed() -> None:
    async with scripted(error(412, "PreconditionFailed")) as script:
        with pytest.raises(PreconditionFailedError):
            await bucket(script).read_part("k", 2, 5, "e")


async def test_head_of_a_part_returns_length_and_checksum() -> None:
    head = b"HTTP/1.1 206 OK\r\nContent-Length: 9\r\nx-amz-checksum-crc32c: S1==\r\nx-amz-mp-parts-count: 2\r\n\r\n"
    async with scripted(head) as script:
        part = await bucket(script).head_part("k", 1, "e")
        assert (part.size, part.checksum) == (9, "crc32c:S1==")
        request = script.requests[-1]
        assert (request.method, request.path, request.headers["x-amz-checksum-mode"]) == (
            "HEAD", "/b/p/k?partNumber=1", "ENABLED",
        )  # fmt: skip


@pytest.mark.parametrize("status", [404, 412])
async def test_head_of_a_part_raises_if_the_object_is_gone_or_changed(status: int) -> None:
    async with scripted(answer(status)) as script:
        with pytest.raises(PreconditionFailedError):
            await bucket(script).head_part("k", 1, "e")


@pytest.mark.parametrize("status", [400, 405, 416, 501])
async def test_head_of_a_part_has_size_zero_if_the_store_supports_no_parts(status: int) -> None:
    async with scripted(lambda request: answer(status if request.method == "HEAD" else 206)) as script:
        assert (await bucket(script).head_part("k", 1, "e")).size == 0


async def test_rejected_credential_for_a_part_is_raised() -> None:
    async with scripted(answer(400), error(400, "ExpiredToken")) as script:
        with pytest.raises(CredentialRejectedError):
            await bucket(script).head_part("k", 1, "e")


@pytest.mark.parametrize("size", [5, 200_000])
async def test_read_of_another_version_is_refused_if_the_store_ignores_if_match(size: int) -> None:
    async with scripted(answer(206, b"x" * size, ETag='"another"')) as script:
        b = bucket(script)
        with pytest.raises(PreconditionFailedError):
            await b.read_range("k", 0, size, "e")
        with pytest.raises(ChecksumUnsupportedError):  # the ETag may be the part's own; reads of ranges show it
            await b.read_part("k", 1, size, "e")


async def test_parts_are_listed_with_their_checksums() -> None:
    row = b"<Part><PartNumber>%d</PartNumber><ETag>e</ETag><Size>5</Size>%s</Part>"
    rows = row % (1, b"<ChecksumSHA256>S1==</ChecksumSHA256>") + row % (2, b"")
    page = b"<ListPartsResult><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><IsTruncated>false</IsTruncated>%s%s"
    async with scripted(answer(200, page % (rows, b"</ListPartsResult>"))) as script:
        listed = await bucket(script).list_parts("k", "u")
        assert listed is not None
        assert [(part.number, part.checksum) for part in listed] == [(1, "sha256:S1=="), (2, "")]


# -- completions


PARTS = [Part(1, "e", 1, "crc32:P1=="), Part(2, "e", 1, "crc32:P2==")]


async def complete(script: Script, checksum: str, declared: str, parts: list[Part] = PARTS) -> str:
    written = await bucket(script).complete_upload("k", "u", parts, MUST_NOT_EXIST, checksum, declared)
    return written.etag


@pytest.mark.parametrize(
    ("checksum", "answered"),
    [
        (WHOLE, b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"),
        (WHOLE, b""),
        (WHOLE, b"<ChecksumCRC64NVME>BBBB</ChecksumCRC64NVME>"),
        (WHOLE, b"<ChecksumCRC32>BBBBBB==-2</ChecksumCRC32>"),
        (OF_PARTS, b"<ChecksumSHA256>AAAA-2</ChecksumSHA256>"),
        (OF_PARTS, b"<ChecksumSHA256>BBBB-3</ChecksumSHA256>"),
        ("", b"<ChecksumCRC32>BBBBBB==</ChecksumCRC32>"),
    ],
)
async def test_completion_with_an_equal_or_incomparable_checksum_is_accepted(checksum: str, answered: bytes) -> None:
    async with scripted(answer(200, DONE % answered)) as script:
        assert await complete(script, checksum, "") == "e-2"
        assert sent(script) == {}
        assert b"Checksum" not in script.requests[-1].body, "S3 refuses part checksums that the upload did not declare"


@pytest.mark.parametrize(
    ("checksum", "answered"),
    [
        (WHOLE, b"<ChecksumCRC32>BBBBBB==</ChecksumCRC32>"),
        (OF_PARTS, b"<ChecksumSHA256>BBBB-2</ChecksumSHA256>"),
        ("crc64nvme:AA==", b"<ChecksumCRC64NVME>BBBB</ChecksumCRC64NVME>"),
        ("xxhash3:AA==", b"<ChecksumXXHASH3>BBBB</ChecksumXXHASH3>"),
    ],
)
async def test_object_completed_with_another_checksum_is_deleted(checksum: str, answered: bytes) -> None:
    async with scripted(answer(200, DONE % answered), answer(204)) as script:
        with pytest.raises(ChecksumMismatchError, match="checksum"):
            await complete(script, checksum, "")
        assert (script.requests[-1].method, script.requests[-1].headers["if-match"]) == ("DELETE", '"e-2"')


async def test_completion_sends_the_object_checksum_and_those_of_all_parts_if_known() -> None:
    done = answer(200, DONE % b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")
    async with scripted(done) as script:
        assert await complete(script, WHOLE, WHOLE) == "e-2"
        assert sent(script) == {"crc32": "AAAAAA==", "type": "FULL_OBJECT"}
        assert script.requests[-1].body.count(b"<ChecksumCRC32>P") == 2
        for other in ("", "sha1:P2=="):
            await complete(script, WHOLE, WHOLE, [PARTS[0], Part(2, "e", 1, other)])
            assert b"Checksum" not in script.requests[-1].body


@pytest.mark.parametrize("late", [False, True], ids=["status", "after a 200"])
async def test_completion_refused_for_its_digest_raises_checksum_mismatch(late: bool) -> None:
    body = b"<Error><Code>BadDigest</Code><Message>The CRC32 you specified did not match</Message></Error>"
    async with scripted(answer(200, body) if late else answer(400, body)) as script:
        with pytest.raises(ChecksumMismatchError, match="BadDigest"):
            await complete(script, WHOLE, WHOLE)
        assert not [request for request in script.requests if request.method == "DELETE"], "no object was created"


async def test_completion_that_requires_unknown_part_checksums_is_unsupported() -> None:
    message = "The complete request must include the checksum for each part. It was missing for part 1 in the request."
    async with scripted(error(400, "InvalidRequest", message)) as script:
        with pytest.raises(ChecksumUnsupportedError):
            await complete(script, OF_PARTS, OF_PARTS)
