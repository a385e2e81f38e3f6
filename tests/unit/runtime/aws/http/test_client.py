"""Test requests over HTTP: what is sent and received, over which connections, and with which credential."""

from __future__ import annotations

import asyncio
import time
import tomllib
from email.utils import formatdate
from pathlib import Path

import pytest

from dualsync.runtime.aws.credentials import Credential
from dualsync.runtime.aws.http.client import ServiceError
from dualsync.runtime.aws.http.connection import HEAD_BYTES
from dualsync.runtime.aws.http.signing import _trimmed
from dualsync.runtime.errors import CredentialRejectedError, PermanentError
from dualsync.runtime.settings import VERSION
from tests.support.scripted_server import CLOSE, Last, ReceivedRequest, answer, chunked, error, scripted
from tests.unit.runtime.aws.http.calls import get, put

pytestmark = pytest.mark.usefixtures("no_pauses")


async def test_request_path_is_sent_and_signed_unchanged() -> None:
    async with scripted(answer(200, b"hello")) as script:
        assert await get(script.caller(), "/b/a//../%2E/x%20y") == b"hello"
    (request,) = script.requests
    assert (request.method, request.path) == ("GET", "/b/a//../%2E/x%20y")
    assert request.headers["host"] == script.url.removeprefix("http://")
    authorization = request.headers["authorization"]
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/us-west-2/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=" in authorization


@pytest.mark.parametrize("broken", ["a\r\nx-amz-acl: public-read", "a\nb", "a\rb", "a\0b"])
async def test_request_with_a_line_break_or_nul_in_its_head_is_not_sent(broken: str) -> None:
    async with scripted(answer(200, b"hello")) as script:
        caller = script.caller()
        for path, query, headers in (
            ("/b/k", "", {"x-amz-meta-x": broken}),
            ("/b/k", "", {f"x-amz-meta-{broken}": "x"}),
            (f"/b/{broken}", "", {}),
            ("/b/k", f"versionId={broken}", {}),
        ):
            with pytest.raises(PermanentError, match="a line break or NUL in the head of the request"):
                await caller.call("PutObject", "b/k", "PUT", path, query, headers, b"x")
        assert script.requests == []


@pytest.mark.parametrize("value", ["\xc3\xa0", "\x85", "a\xa0", "\x1c"])
async def test_only_spaces_and_tabs_are_trimmed_from_header_values(value: str) -> None:
    """RFC 9110, 5.5. The last byte of "à" in UTF-8 is a non-breaking space in Latin-1."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Name: \t {value} \t\r\n\r\n".encode("latin-1")
    async with scripted(head) as script:
        answered = await script.caller().call("GetObject", "b/k", "GET", "/b/k")
    assert answered.headers["x-name"] == value


@pytest.mark.parametrize(
    ("value", "signed"),
    [("a  b\xc3\xa0", "a b\xc3\xa0"), (" \x85 ", "\x85"), ("a   b  c", "a b c"), ("\xc3\xa0", "\xc3\xa0")],
)
def test_signature_folds_spaces_only(value: str, signed: str) -> None:
    """IAM User Guide, "Create a signed AWS API request": sequential spaces become one. Other characters stay."""
    assert _trimmed(value) == signed


@pytest.mark.parametrize("size", [0, 1, HEAD_BYTES - 200, HEAD_BYTES, HEAD_BYTES + 1, 3_000_000])
async def test_bodies_of_any_size_are_sent_and_received(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    async with scripted(answer(200, body[:size])) as script:
        caller = script.caller()
        await put(caller, body[:size])
        assert await get(caller) == body[:size]
    assert script.requests[0].body == body[:size]
    assert script.connections == 1


async def test_chunked_and_close_delimited_answers_are_read() -> None:
    end = Last(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
    async with scripted(chunked(b"one", b"two" * 100_000, b"\r\n"), end) as script:
        caller = script.caller()
        assert await get(caller) == b"one" + b"two" * 100_000 + b"\r\n"
        assert await get(caller) == b"until the end"


async def test_provisional_answer_is_skipped() -> None:
    async with scripted(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(200, b"hello")) as script:
        assert await get(script.caller()) == b"hello"


async def test_connections_are_reused() -> None:
    async with scripted(answer(200, b"x")) as script:
        caller = script.caller()
        for _ in range(5):
            await get(caller)
        assert script.connections == 1
        await asyncio.gather(*(get(caller) for _ in range(5)))
        assert script.connections == 5


async def test_closed_idle_connection_counts_no_attempt() -> None:
    async with scripted(answer(200, b"x"), CLOSE, CLOSE, answer(200, b"y")) as script:
        caller = script.caller()
        await asyncio.gather(get(caller))
        assert await get(caller) == b"y"


async def test_connection_with_an_unread_error_body_is_not_reused() -> None:
    """The next request would wait behind the unread body."""
    async with scripted(answer(404, b"x" * 100_000), answer(200, b"hello")) as script:
        assert await get(script.caller()) == b"hello"
        assert script.connections == 2


async def test_connection_closed_while_idle_is_replaced() -> None:
    async with scripted(answer(200, b"x")) as script:
        caller = script.caller()
        for _ in range(3):
            assert await get(caller) == b"x"
            script.close_connections()
            await asyncio.sleep(0)
        assert len(script.requests) == 3


async def test_json_request_and_answer_are_encoded() -> None:
    async with scripted(answer(200, b'{"a": 1}'), answer(200)) as script:
        caller = script.caller("dynamodb")
        assert await caller.call_json("GetItem", "DynamoDB_20120810", "table", "1.0", {"ü": [1]}) == {"a": 1}
        assert await script.caller("sqs").call_json("DeleteMessage", "AmazonSQS", "queue", "1.0", {}) == {}
    request = script.requests[0]
    assert (request.method, request.path) == ("POST", "/")
    assert request.headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert request.headers["content-type"] == "application/x-amz-json-1.0"
    assert request.body == b'{"\\u00fc": [1]}'


async def test_cancelled_request_closes_its_connection() -> None:
    request_received = asyncio.Event()

    def half(_: ReceivedRequest) -> bytes:
        request_received.set()
        return answer(200, b"x" * 1000)[:-10]

    async with scripted(half) as script:
        caller = script.caller()
        asking = asyncio.create_task(get(caller))
        await request_received.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert caller.pool.open == 0


async def test_skewed_clock_is_corrected_from_the_answer() -> None:
    late = formatdate(time.time() + 3600, usegmt=True)
    refused = answer(403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>", Date=late)
    async with scripted(refused, answer(200, b"x")) as script:
        assert await get(script.caller()) == b"x"
    first, second = (request.headers["x-amz-date"] for request in script.requests)
    assert second > first


class Rotating:
    """Credentials whose first key is rejected and whose second one is accepted."""

    def __init__(self) -> None:
        self.keys = ["AKIAOLD", "AKIANEW"]

    async def get(self) -> Credential:
        return Credential(self.keys[0], "secret", "token")

    async def renew(self) -> bool:
        if len(self.keys) == 1:
            return False
        self.keys.pop(0)
        return True


async def test_rejected_key_is_renewed_once() -> None:
    async with scripted(error(403, "ExpiredToken"), answer(200, b"x")) as script:
        assert await get(script.caller(credentials=Rotating())) == b"x"
    assert "AKIAOLD" in script.requests[0].headers["authorization"]
    assert "AKIANEW" in script.requests[1].headers["authorization"]
    assert script.requests[1].headers["x-amz-security-token"] == "token"
    async with scripted(error(403, "InvalidAccessKeyId")) as script:
        with pytest.raises(ServiceError):
            await get(script.caller())
        assert len(script.requests) == 1


async def test_request_without_a_credential_is_not_sent() -> None:
    class Nothing(Rotating):
        async def get(self) -> Credential:
            raise CredentialRejectedError("none")

    async with scripted(answer()) as script:
        with pytest.raises(CredentialRejectedError):
            await get(script.caller(credentials=Nothing()))
        assert script.requests == []


async def test_spare_connections_are_opened_in_advance() -> None:
    async with scripted(answer(200, b"x")) as script:
        caller = script.caller(spare=3)
        await get(caller)
        async with asyncio.timeout(10):
            while caller.pool.open < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await asyncio.gather(*(get(caller) for _ in range(3)))
        assert script.connections == 3


async def test_requests_have_a_user_agent_and_errors_have_the_request_id() -> None:
    ids = {"x_amz_request_id": "4442587FB7D0A2F9", "x_amz_id_2": "vi5pAP7u"}
    refused = answer(403, b"<Error><Code>AccessDenied</Code><Message>&quot;a&#39;b&quot;</Message></Error>", **ids)
    async with scripted(refused) as script:
        with pytest.raises(ServiceError) as caught:
            await get(script.caller())
    assert script.requests[0].headers["user-agent"].startswith(f"dualsync/{VERSION} Python/3.")
    assert "user-agent" not in script.requests[0].headers["authorization"]
    assert str(caught.value).endswith('AccessDenied (403): "a\'b" (request 4442587FB7D0A2F9 host vi5pAP7u)')
    refused = answer(400, b'{"__type":"x#ValidationException","message":"m"}', x_amzn_requestid="R1")
    async with scripted(refused) as script:
        with pytest.raises(ServiceError, match=r"ValidationException \(400\): m \(request R1\)"):
            await script.caller("dynamodb").call_json("GetItem", "DynamoDB_20120810", "table", "1.0", {})


def test_version_equals_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[5] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
