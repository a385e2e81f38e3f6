"""Test stores that refuse conditional writes, and those that answer 501 for another reason."""

from __future__ import annotations

import pytest

from dualsync.runtime.errors import PermanentError, PreconditionFailedError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Precondition
from tests.support.scripted_server import ReceivedRequest, answer, error, scripted
from tests.support.wire import DATE, PLAIN, bucket

REFUSED = error(501, "NotImplemented", "A header you provided implies functionality that is not implemented")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


async def test_only_the_refused_operation_loses_its_condition() -> None:
    def serve(request: ReceivedRequest) -> bytes:
        if request.method == "DELETE" and "if-match" in request.headers:
            return REFUSED
        return answer(204 if request.method == "DELETE" else 200, **DATE)

    async with scripted(serve) as script:
        b = bucket(script)
        await b.delete("k", Precondition("e"))
        assert b.lacks_conditions
        await b.put("k", b"x", PLAIN, None, Precondition("e"))
        assert script.requests[-1].headers["if-match"] == '"e"'


async def test_refusal_for_another_reason_keeps_the_conditions() -> None:
    """A server without a key service answers 501 to SSE-KMS, with the condition and without."""

    def serve(request: ReceivedRequest) -> bytes:
        return REFUSED if request.method == "PUT" else error(404, "NoSuchKey")

    async with scripted(serve) as script:
        b = bucket(script)
        for _ in range(2):
            with pytest.raises(PermanentError, match="NotImplemented"):
                await b.put("k", b"x", PLAIN, None, MUST_NOT_EXIST)
            assert not b.lacks_conditions
        sent = [request.headers.get("if-none-match") for request in script.requests if request.method == "PUT"]
        assert sent[0] == "*"


async def test_store_that_has_evaluated_a_condition_keeps_getting_them() -> None:
    async with scripted(error(412, "PreconditionFailed"), REFUSED) as script:
        b = bucket(script)
        with pytest.raises(PreconditionFailedError):
            await b.put("k", b"x", PLAIN, None, MUST_NOT_EXIST)
        with pytest.raises(PermanentError, match="NotImplemented"):
            await b.put("k", b"x", PLAIN, None, MUST_NOT_EXIST)
        assert [request.headers.get("if-none-match") for request in script.requests] == ["*"] * len(script.requests)
