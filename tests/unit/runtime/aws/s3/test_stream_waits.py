"""Test what a streamed body waits for: never for a request, or for memory, that waits for the stream."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from dualsync.runtime.aws.http.adaptive_concurrency import FIRST_WINDOW, AdaptiveConcurrency
from dualsync.runtime.aws.http.body_memory import Admission
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes, PutResult
from dualsync.runtime.model.streamed_body import StreamedBody
from tests.support.scripted_server import (
    CLOSE,
    ReceivedRequest,
    Script,
    answer,
    client_of,
    error,
    read_head,
    scripted,
    serving,
)

SIZE = 100_000
"""Bytes of a piece: more than come with an answer's head, so that its read waits for memory."""

PATIENCE_SECONDS = 60
"""Time after which a test that would wait for ever fails."""

SLOW_DOWN = error(503, "SlowDown")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


class Window(AdaptiveConcurrency):
    """A window that records for each request whether it took a slot."""

    def __init__(self, first: int = FIRST_WINDOW) -> None:
        super().__init__(first)
        self.entered: list[bool] = []

    async def enter(self, *, slot: bool = True) -> None:
        self.entered.append(slot)
        await super().enter(slot=slot)


class Source:
    """Content in a bucket, whose read waits until the test lets it begin."""

    def __init__(self, bucket: S3Bucket) -> None:
        self._bucket = bucket
        self.asked = asyncio.Event()
        self.may_begin = asyncio.Event()
        self.ended = asyncio.Event()

    async def _read(self, start: int, end: int) -> bytes:
        self.asked.set()
        try:
            await self.may_begin.wait()
            return await self._bucket.read_range("source", start, end, "e")
        finally:
            self.ended.set()

    def body(self) -> StreamedBody:
        return StreamedBody(self._read, 0, SIZE)


def serve(request: ReceivedRequest) -> bytes:
    return answer(206, bytes(SIZE), ETag='"e"') if request.method == "GET" else answer(200, ETag='"e"')


def bucket(script: Script, window: AdaptiveConcurrency, admission: Admission | None = None) -> S3Bucket:
    b = S3Bucket(script.caller(), "b", path_style=True, admission=admission)
    b.client.concurrency = window
    return b


async def put(b: S3Bucket, key: str, body: bytes | StreamedBody) -> PutResult:
    return await b.put(key, body, Attributes(), None, MUST_NOT_EXIST)


async def test_stream_within_one_bucket_needs_no_slot_and_leaves_them_to_other_requests() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), scripted(serve) as script:
        b = bucket(script, AdaptiveConcurrency(1))
        source = Source(b)
        copy = asyncio.create_task(put(b, "k", source.body()))
        await source.asked.wait()
        await put(b, "other", b"x")
        source.may_begin.set()
        await copy
        assert [(request.method, request.path, len(request.body)) for request in script.requests] == [
            ("PUT", "/b/other", 1),
            ("GET", "/b/source", 0),
            ("PUT", "/b/k", SIZE),
        ]


async def test_streams_of_both_directions_do_not_wait_for_each_other() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), scripted(serve) as script:
        local, remote = (bucket(script, AdaptiveConcurrency(1)) for _ in range(2))
        push, pull = Source(local), Source(remote)
        copies = [asyncio.create_task(put(remote, "k", push.body())), asyncio.create_task(put(local, "k", pull.body()))]
        for source in (push, pull):
            await source.asked.wait()
        for source in (push, pull):
            source.may_begin.set()
        await asyncio.gather(*copies)


async def test_bodies_in_memory_do_not_wait_for_a_stream_that_waits_for_their_memory() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), scripted(serve) as script:
        admission = Admission(SIZE)
        local, remote = (bucket(script, AdaptiveConcurrency(1), admission) for _ in range(2))
        source = Source(local)
        long = asyncio.create_task(put(remote, "long", source.body()))
        await source.asked.wait()
        small = [asyncio.create_task(put(remote, "small", cast(bytes, await admission.body(SIZE))))]
        source.may_begin.set()
        await asyncio.gather(long, *small)
        assert admission.held_bytes == 0


@pytest.mark.parametrize("method", ["PUT", "GET"], ids=["stream", "read of a piece"])
async def test_refusal_cuts_the_rate_and_the_window_and_the_next_try_has_its_place_of_the_rate(method: str) -> None:
    refusals = [error(503, "SlowDown")]

    def refuse_once(request: ReceivedRequest) -> bytes:
        return refusals.pop() if request.method == method and refusals else serve(request)

    async with asyncio.timeout(PATIENCE_SECONDS), scripted(refuse_once) as script:
        window = {"PUT": Window(), "GET": Window()}
        source = Source(bucket(script, window["GET"]))
        source.may_begin.set()
        await put(bucket(script, window["PUT"]), "k", source.body())
        assert window["PUT"].entered[0] is window["GET"].entered[0] is False, "neither takes a slot"
        assert window[method].entered[:2] == [False, False]
        assert window[method].window == FIRST_WINDOW // 2
        assert window[method].rate < float("inf")


@pytest.mark.parametrize("last", [CLOSE, error(400, "RequestTimeout")], ids=["connection lost", "refused"])
async def test_piece_is_not_awaited_after_its_request_has_ended(last: bytes) -> None:
    admission = Admission(SIZE)
    others = await admission.body(SIZE)
    reads: asyncio.Queue[ReceivedRequest] = asyncio.Queue()

    def serve_and_note(request: ReceivedRequest) -> bytes:
        reads.put_nowait(request)
        return serve(request)

    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reads.get()
        writer.write(last)

    async with asyncio.timeout(PATIENCE_SECONDS), scripted(serve_and_note) as script, serving(end) as url:
        source = Source(bucket(script, Window(), admission))
        source.may_begin.set()
        target = S3Bucket(client_of(url), "b", path_style=True)
        with pytest.raises(UnavailableError):
            await put(target, "k", source.body())
        assert target.client.pool.open == 0
        del others
        assert admission.held_bytes == 0, "no read waits for memory any more"


async def test_cancelled_stream_ends_the_read_of_its_piece() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), scripted(serve) as script:
        b = bucket(script, Window())
        source = Source(b)
        copy = asyncio.create_task(put(b, "k", source.body()))
        await source.asked.wait()
        copy.cancel()
        await asyncio.wait({copy})
        assert copy.cancelled()
        assert source.ended.is_set()
        assert b.client.pool.open == 0
