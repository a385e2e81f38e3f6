"""Test errors of requests over HTTP: retries, error codes, and answers that no service sent."""

from __future__ import annotations

import pytest

from dualsync.runtime.aws.http import adaptive_concurrency
from dualsync.runtime.aws.http.adaptive_concurrency import FIRST_WINDOW
from dualsync.runtime.aws.http.client import ATTEMPTS, THROTTLED_ATTEMPTS, ServiceError
from dualsync.runtime.aws.http.connection import HEAD_BYTES
from dualsync.runtime.errors import UnavailableError
from tests.support.scripted_server import CLOSE, Last, answer, chunked, error, scripted
from tests.unit.runtime.aws.http.calls import get, put

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        (CLOSE, ATTEMPTS),
        (error(500, "InternalError"), ATTEMPTS),
        (error(503, "SlowDown"), THROTTLED_ATTEMPTS),
        (answer(400, b'{"__type":"x#ProvisionedThroughputExceededException"}'), THROTTLED_ATTEMPTS),
        (error(400, "KMS.ThrottlingException"), THROTTLED_ATTEMPTS),
        (answer(502), ATTEMPTS),
    ],
)
async def test_faults_are_retried_up_to_the_limit(fault: bytes, attempts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive_concurrency, "FIRST_RATE", 1e6)
    async with scripted(*[fault] * (attempts - 1), answer(200, b"x")) as script:
        assert await get(script.caller()) == b"x"
    async with scripted(fault) as script:
        with pytest.raises((ServiceError, UnavailableError)):
            await get(script.caller())
        assert len(script.requests) == attempts


async def test_retry_delays_are_random_and_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return 0.0

    monkeypatch.setattr("random.uniform", uniform)
    async with scripted(error(503, "SlowDown")) as script:
        with pytest.raises(ServiceError):
            await get(script.caller())
    assert drawn == [(0, 0.2), (0, 0.4), (0, 0.8), (0, 1.6), (0, 3.2), (0, 5.0), (0, 5.0)]


async def test_refusals_are_not_retried() -> None:
    async with scripted(error(412, "PreconditionFailed", "At least one.")) as script:
        with pytest.raises(ServiceError) as caught:
            await put(script.caller(), b"x" * 100_000)
        assert len(script.requests) == 1
    refusal = caught.value.refusal
    assert (refusal.code, refusal.status, refusal.message) == ("PreconditionFailed", 412, "At least one.")


async def test_error_code_is_read_from_malformed_xml() -> None:
    body = b"<Error><Code>NoSuchKey</Code><Message>m</Message><Key>\x01&#x1;</Key></Error>"
    async with scripted(answer(404, body)) as script:
        with pytest.raises(ServiceError) as caught:
            await get(script.caller())
    assert caught.value.refusal.code == "NoSuchKey"


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"m"}', {}, "QueueDoesNotExist"),
        (b'{"__type":"ResourceNotFoundException","Message":"m"}', {}, "ResourceNotFoundException"),
        (
            b"{}",
            {"x_amzn_query_error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (b"{broken", {}, "400"),
        (b"", {}, "400"),
    ],
)
async def test_error_codes_of_json_services_are_read(body: bytes, headers: dict[str, str], code: str) -> None:
    async with scripted(answer(400, body, **headers)) as script:
        with pytest.raises(ServiceError) as caught:
            await script.caller("sqs").call_json("ReceiveMessage", "AmazonSQS", "queue", "1.0", {})
    assert caught.value.refusal.code == code


async def test_truncated_answer_is_a_retryable_error() -> None:
    for cut in (answer(200, b"x" * 1000)[:-10], answer(200, b"x" * 1_000_000)[:-10], chunked(b"x" * 10)[:-10]):
        async with scripted(Last(cut)) as script:
            with pytest.raises(UnavailableError, match="s3 GetObject b/k"):
                await get(script.caller())


@pytest.mark.parametrize("garbage", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * HEAD_BYTES])
async def test_answer_that_is_no_http_is_a_retryable_error(garbage: bytes) -> None:
    async with scripted(garbage) as script:
        with pytest.raises((ServiceError, UnavailableError)):
            await get(script.caller())


async def test_refused_connection_is_a_retryable_error() -> None:
    async with scripted(answer()) as script:
        pass
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await get(script.caller())


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"7", b"{", b"\xff", b"<html><body>Sign in</body></html>", b" <!DOCTYPE html>"]
)
async def test_answer_that_is_no_json_object_is_a_retryable_error(body: bytes) -> None:
    """A captive portal or an inspecting proxy answers 200."""
    async with scripted(answer(200, body), answer(200, b'{"a":1}')) as script:
        assert await script.caller("sqs").call_json("ReceiveMessage", "AmazonSQS", "queue", "1.0", {}) == {"a": 1}
    async with scripted(answer(200, body)) as script:
        with pytest.raises(UnavailableError, match="sqs ReceiveMessage queue"):
            await script.caller("sqs").call_json("ReceiveMessage", "AmazonSQS", "queue", "1.0", {})
        assert len(script.requests) == ATTEMPTS


@pytest.mark.parametrize(
    ("body", "is_page"),
    [
        (b"<html><body>Sign in</body></html>", True),
        (b" \r\n\t<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>", True),
        (b" " * 251 + b"<html>", True),
        (b" " * 252 + b"<html>", False),
        (b"<?xml version='1.0'?><html>", False),
        (b"<htm>", False),
        (b"", False),
    ],
)
async def test_html_page_in_answer_to_a_write_is_a_retryable_error(body: bytes, is_page: bool) -> None:
    async with scripted(answer(200, body)) as script:
        if is_page:
            with pytest.raises(UnavailableError, match=r"an HTML page came instead of an answer \(200\)"):
                await put(script.caller(), b"x")
        else:
            await put(script.caller(), b"x")
        assert len(script.requests) == (ATTEMPTS if is_page else 1)


async def test_empty_answer_is_retried_for_a_service_that_always_sends_a_body() -> None:
    """DynamoDB answers a write with `{}`; an empty body comes from a proxy."""
    async with scripted(answer(200), answer(200, b"{}")) as script:
        assert await script.caller("dynamodb").call_json("PutItem", "DynamoDB_20120810", "table", "1.0", {}) == {}
        assert len(script.requests) == 2
    async with scripted(answer(200)) as script:
        assert await script.caller("sqs").call_json("DeleteMessage", "AmazonSQS", "queue", "1.0", {}) == {}


@pytest.mark.parametrize(
    "refused",
    [
        answer(400, b'{"__type":"com.amazonaws.x#ThrottlingException:http://internal.amazon.com/coral#a/"}'),
        answer(400, b'{"message":"m"}', x_amzn_errortype="ThrottlingException:http://internal.amazon.com/"),
    ],
)
async def test_code_is_read_wherever_the_protocol_allows_it(refused: bytes) -> None:
    """Smithy, "AWS JSON 1.1 protocol: Operation error serialization"."""
    async with scripted(refused) as script:
        with pytest.raises(ServiceError) as caught:
            await script.caller("dynamodb").call_json("PutItem", "DynamoDB_20120810", "table", "1.0", {})
    assert caught.value.refusal.code == "ThrottlingException"


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException"])
async def test_throttling_code_reduces_the_window(code: str) -> None:
    refused = answer(400, f'{{"__type":"x#{code}"}}'.encode())
    async with scripted(refused, answer(200, b"{}")) as script:
        client = script.caller("dynamodb")
        await client.call_json("PutItem", "DynamoDB_20120810", "table", "1.0", {})
        assert client.concurrency.window == FIRST_WINDOW // 2
