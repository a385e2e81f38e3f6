"""Test objects without a stored checksum, which S3's ETags still verify."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Callable

import pytest

from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.errors import ChecksumMismatchError
from dualsync.runtime.model.objects import MUST_NOT_EXIST
from dualsync.runtime.platform import LoopParallel, SystemClock
from dualsync.runtime.ports import Route
from dualsync.runtime.transfer.copier import Copier
from tests.support.fakes.ledger import FakeLedger
from tests.support.fakes.parallel import Serial
from tests.support.scripted_server import ReceivedRequest, Script, answer, error, scripted
from tests.support.wire import MODIFIED, STAMP, bucket

CONTENT = b"A" * 20_000
CORRUPT = b"A" * 19_999 + b"B"
DIGEST = hashlib.md5(CONTENT)
KMS = {"x_amz_server_side_encryption": "aws:kms"}
S3 = Options(restores=True)
PART = 10_000


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


def composite(content: bytes, length: int = PART) -> str:
    digests = [hashlib.md5(content[at : at + length]).digest() for at in range(0, len(content), length)]
    return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"


async def copy(script: Script, options: Options = S3) -> str:
    b = bucket(script, options)
    copier = Copier(
        threshold=16 << 20,
        part_size=8 << 20,
        parallel=LoopParallel(),
        ledger=None,  # type: ignore[arg-type]  # small objects have no upload record
        clock=SystemClock(),
    )
    reading = await b.read("k")
    assert reading is not None
    return (await copier.copy(Route(b, b, "local>remote"), reading, "k", STAMP, MUST_NOT_EXIST)).etag


def store(read: bytes, **headers: str) -> Callable[[ReceivedRequest], bytes]:
    """Serve S3 with one object in one piece, whose reads return `read`."""

    def serve(request: ReceivedRequest) -> bytes:
        if request.method == "GET":
            return answer(200, read, ETag=f'"{DIGEST.hexdigest()}"', Last_Modified=MODIFIED, **headers)
        sent = request.headers.get("content-md5")
        arrived = hashlib.md5(request.body)
        if sent is not None and sent != b64encode(arrived.digest()).decode():
            return error(400, "BadDigest")
        return answer(200, ETag=f'"{arrived.hexdigest()}"')

    return serve


async def test_md5_of_the_source_is_sent_with_the_object() -> None:
    async with scripted(store(CONTENT)) as script:
        assert await copy(script) == DIGEST.hexdigest()
        assert script.requests[-1].headers["content-md5"] == b64encode(DIGEST.digest()).decode()


async def test_corrupted_content_is_refused() -> None:
    async with scripted(store(CORRUPT)) as script:
        with pytest.raises(ChecksumMismatchError, match="BadDigest"):
            await copy(script)


@pytest.mark.parametrize(
    ("headers", "options"),
    [(KMS, S3), ({}, Options()), ({"x_amz_checksum_crc32": "4waSgw=="}, S3)],
    ids=["kms", "another store", "stored checksum"],
)
async def test_etag_that_is_not_an_md5_is_not_sent(headers: dict[str, str], options: Options) -> None:
    async with scripted(store(CONTENT, **headers)) as script:
        await copy(script, options)
        assert "content-md5" not in script.requests[-1].headers


async def test_object_too_large_for_one_request_goes_in_parts_with_its_crc32() -> None:
    crc32 = b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()

    def serve(request: ReceivedRequest) -> bytes:
        if request.method == "GET":
            given = request.headers.get("range")
            start, end = (int(n) for n in given.removeprefix("bytes=").split("-")) if given else (0, len(CONTENT) - 1)
            return answer(
                206 if given else 200, CONTENT[start : end + 1], ETag=f'"{DIGEST.hexdigest()}"', Last_Modified=MODIFIED
            )
        if request.path.endswith("?uploads="):
            confirmed = {"x_amz_checksum_algorithm": "CRC32", "x_amz_checksum_type": "FULL_OBJECT"}
            return answer(200, b"<R><UploadId>u</UploadId></R>", **confirmed)
        if request.method == "POST":
            return answer(200, b"<R><ETag>whole-2</ETag></R>")
        if request.method == "HEAD":
            return answer(200, ETag='"whole-2"', Last_Modified=MODIFIED)
        return answer(200, ETag='"part"')

    async with scripted(serve) as script:
        b = bucket(script, S3)
        copier = Copier(
            threshold=PART,
            part_size=PART,
            parallel=Serial(),
            ledger=FakeLedger(),
            clock=SystemClock(),
            md5_bytes=PART,
        )
        reading = await b.read("k")
        assert reading is not None
        await copier.copy(Route(b, b, "local>remote"), reading, "k", STAMP, MUST_NOT_EXIST)
        started, completed = (request.headers for request in script.requests if request.method == "POST")
        assert (started["x-amz-checksum-algorithm"], started["x-amz-checksum-type"]) == ("CRC32", "FULL_OBJECT")
        assert (completed["x-amz-checksum-crc32"], completed["x-amz-checksum-type"]) == (crc32, "FULL_OBJECT")
        whole = next(request for request in script.requests if request.headers.get("range"))
        assert whole.headers["if-match"] == f'"{DIGEST.hexdigest()}"'


def parts(read: bytes, sizes: tuple[int, int] = (PART, PART), **written: str) -> Callable[[ReceivedRequest], bytes]:
    """Serve S3 with one object in two parts, whose reads return `read`."""
    etag = f'"{composite(CONTENT)}"'
    arrived: dict[str, bytes] = {}

    def serve(request: ReceivedRequest) -> bytes:
        query = dict(pair.partition("=")[::2] for pair in request.path.partition("?")[2].split("&"))
        if request.method == "HEAD" and "partNumber" not in query:
            whole = b"".join(arrived[number] for number in sorted(arrived))
            return answer(200, ETag=f'"{composite(whole)}"', Last_Modified=MODIFIED)
        if request.method == "HEAD":
            number = int(query["partNumber"])
            head = f"HTTP/1.1 206 Some\r\nContent-Length: {sizes[number - 1]}\r\nETag: {etag}\r\n\r\n"
            return head.encode()
        if request.method == "GET":
            given = request.headers.get("range")
            start, end = (int(n) for n in given.removeprefix("bytes=").split("-")) if given else (0, len(read) - 1)
            return answer(206 if given else 200, read[start : end + 1], ETag=etag, Last_Modified=MODIFIED)
        if request.method == "POST" and "uploads" in query:
            return answer(200, b"<R><UploadId>u</UploadId></R>")
        if request.method == "PUT":
            arrived[query["partNumber"]] = request.body
            return answer(200, ETag='"part"')
        if request.method == "POST":
            whole = b"".join(arrived[number] for number in sorted(arrived))
            return answer(200, f"<R><ETag>{composite(whole)}</ETag></R>".encode(), **written)
        return answer(204)

    return serve


async def test_composite_etags_are_compared() -> None:
    async with scripted(parts(CONTENT)) as script:
        assert await copy(script) == composite(CONTENT)
    async with scripted(parts(CORRUPT)) as script:
        with pytest.raises(ChecksumMismatchError, match="ETag"):
            await copy(script)
        deleted = next(request for request in script.requests if request.method == "DELETE")
        assert deleted.headers["if-match"] == f'"{composite(CORRUPT)}"', "what this upload wrote, and nothing newer"


async def test_composite_etags_of_other_parts_or_encryption_are_not_compared() -> None:
    async with scripted(parts(CORRUPT, (PART, PART - 1))) as script:
        assert await copy(script) == composite(CORRUPT)
    async with scripted(parts(CORRUPT, (PART, PART), **KMS)) as script:
        assert await copy(script) == composite(CORRUPT)
