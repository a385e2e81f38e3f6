"""Test reads of an object's content: archived, interrupted, waiting for memory, of unknown length."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import cast

import pytest

from dualsync.runtime.aws.http import client as http_client
from dualsync.runtime.aws.http.body_memory import Admission
from dualsync.runtime.aws.http.connection import EXPECT_BYTES
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.errors import PermanentError, UnavailableError
from tests.support.scripted_server import (
    CLOSE,
    Last,
    ReceivedRequest,
    answer,
    client_of,
    error,
    read_head,
    scripted,
    serving,
)
from tests.support.wire import DATE, bucket


async def test_archived_object_is_read_as_a_head_without_content() -> None:
    """S3 refuses its GET, not its HEAD; the class does not show archives of INTELLIGENT_TIERING."""
    refused = error(403, "InvalidObjectState", "The operation is not valid for the object's storage class")

    def serve(request: ReceivedRequest) -> bytes:
        return refused if request.method == "GET" else answer(200, b"", **DATE, x_amz_storage_class="DEEP_ARCHIVE")

    async with scripted(serve) as script:
        reading = await bucket(script).read("k")
        assert reading is not None
        assert (reading.head.etag, reading.head.archived) == ("e", True)
        assert reading.head.attributes.storage_class == "DEEP_ARCHIVE"
        await reading.close()
    async with scripted(refused, answer(200, b"", **DATE)) as script:
        reading = await bucket(script).read("k")
        assert reading is not None
        assert reading.head.archived
    async with scripted(refused, answer(404), error(404, "NoSuchKey")) as script:
        assert await bucket(script).read("k") is None, "deleted meanwhile"


@pytest.mark.parametrize("when", ["while it waits for memory", "in the middle"])
async def test_content_of_a_lost_connection_is_read_again_from_the_same_version(when: str) -> None:
    content = b"x" * 200_000
    whole = answer(200, content, **DATE)
    admission = Admission(len(content))
    others = await admission.body(1)

    def serve(request: ReceivedRequest) -> bytes:
        if "range" in request.headers:
            return answer(206, content, **DATE)
        return whole if when.startswith("while") else Last(whole[:-10])

    async with scripted(serve) as script:
        b = S3Bucket(script.caller(), "b", "p/", path_style=True, admission=admission)
        reading = await b.read("k")
        assert reading is not None
        reading_it: asyncio.Future[bytes] = asyncio.ensure_future(anext(aiter(reading.chunks())))
        await asyncio.sleep(0)
        if when.startswith("while"):
            script.close_connections()
            connection = reading._connection
            assert connection is not None
            connection.abort()  # as the pool does after the silence limit
        del others
        assert await asyncio.wait_for(reading_it, 60) == content
        assert [request.headers.get("if-match") for request in script.requests] == [None, '"e"']
        del reading_it
    assert admission.held_bytes == 0


@pytest.mark.parametrize("size", [200_000, 20 << 20])
async def test_failed_request_releases_its_memory_at_once(size: int) -> None:
    """Other tasks wait for that memory, so it must not depend on the garbage collector."""
    admission = Admission(size)
    gc.disable()
    try:
        async with scripted(Last(answer(200, b"x" * size, **DATE)[:-10])) as script:
            b = S3Bucket(script.caller(), "b", "p/", path_style=True, admission=admission)
            reading = await b.read("k")
            assert reading is not None
            connection = reading._connection
            assert connection is not None
            with contextlib.suppress(UnavailableError):  # pytest.raises would keep the error, and all that it has seen
                await b.receive("k", connection, await admission.body(size))
                pytest.fail("it came")
            await asyncio.sleep(0)
            assert admission.held_bytes == 0
        async with scripted(CLOSE) as script:
            b = S3Bucket(script.caller(), "b", "p/", path_style=True)
            with contextlib.suppress(UnavailableError):
                await b.put_part("k", "u", 1, cast(bytes, await admission.body(size)))
                pytest.fail("it was put")
            await asyncio.sleep(0)
            assert admission.held_bytes == 0
    finally:
        gc.enable()


async def test_body_of_a_connection_that_is_lost_before_the_consent_releases_its_memory_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_client, "_HASHED_ASIDE", EXPECT_BYTES + 1)  # a thread releases it a moment later
    admission = Admission(EXPECT_BYTES)

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)

    gc.disable()
    try:
        async with serving(close) as url:
            b = S3Bucket(client_of(url), "b", path_style=True)
            with contextlib.suppress(UnavailableError):
                await b.put_part("k", "u", 1, cast(bytes, await admission.body(EXPECT_BYTES)))
                pytest.fail("it was put")
            await asyncio.sleep(0)
            assert admission.held_bytes == 0
    finally:
        gc.enable()


async def test_object_of_unknown_length_fails_permanently() -> None:
    head = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nTransfer-Encoding: chunked\r\n\r\n'
    async with scripted(head + b"5\r\nhello\r\n0\r\n\r\n") as script:
        with pytest.raises(PermanentError, match="MissingContentLength"):
            await bucket(script).read("k")
    async with scripted(head) as script:
        with pytest.raises(PermanentError, match="MissingContentLength"):
            await bucket(script).head("k")
