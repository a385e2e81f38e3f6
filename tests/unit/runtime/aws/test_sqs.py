"""Test the SQS adapter over scripted answers."""

from __future__ import annotations

import json
import math

import pytest

from dualsync.runtime.aws.sqs import SqsMessage, SqsQueue
from dualsync.runtime.errors import DualSyncError, RetryableError, UnavailableError
from tests.support.scripted_server import ReceivedRequest, Script, answer, scripted

GONE = "Value for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: 0)


def queue(script: Script) -> SqsQueue:
    return SqsQueue(script.caller("sqs"), "https://queue", "https://dead")


def messages(count: int) -> list[SqsMessage]:
    return [SqsMessage(str(number), f"h{number}", 1, 0.0) for number in range(count)]


def refusal(code: str, message: str) -> bytes:
    return answer(400, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}).encode())


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("MessageNotInflight", ""),
        ("ReceiptHandleIsInvalid", "The input receipt handle is invalid."),
        ("InvalidParameterValue", f"{GONE} visibility timeout change."),
        ("InvalidParameterValueException", f"{GONE} visibility timeout change."),
        (
            "InvalidParameterValue",
            "Value for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
        ),
    ],
)
async def test_expired_receipt_handle_is_no_error_with_any_code(code: str, message: str) -> None:
    """AWS answers InvalidParameterValue with a reason where its reference names MessageNotInflight."""
    failed = {
        "Successful": [{"Id": "0"}],
        "Failed": [{"Id": "1", "SenderFault": True, "Code": code, "Message": message}],
    }
    async with scripted(answer(200, json.dumps(failed).encode())) as script:
        await queue(script).extend(messages(2), 30)
        assert len(script.requests) == 1


async def test_visibility_beyond_its_limit_is_an_error() -> None:
    message = "Value 50000 for parameter VisibilityTimeout is invalid. Reason: must be between 0 and 43200."
    async with scripted(refusal("InvalidParameterValue", message)) as script:
        with pytest.raises(DualSyncError, match="43200"):
            await queue(script).extend(messages(1), 50_000)


async def test_failed_batch_does_not_stop_the_other_batches() -> None:
    def serve(request: ReceivedRequest) -> bytes:
        handles = [entry["ReceiptHandle"] for entry in json.loads(request.body)["Entries"]]
        assert all(entry["VisibilityTimeout"] == 30 for entry in json.loads(request.body)["Entries"])
        if "h0" in handles:
            return refusal("AccessDeniedException", "no")
        extended.extend(handles)
        done = {"Successful": [{"Id": entry["Id"]} for entry in json.loads(request.body)["Entries"]]}
        return answer(200, json.dumps(done).encode())

    extended: list[str] = []
    async with scripted(serve) as script:
        with pytest.raises(RetryableError, match="AccessDenied"):
            await queue(script).extend(messages(25), 30)
    assert sorted(extended) == sorted(f"h{number}" for number in range(10, 25))


@pytest.mark.parametrize(
    "body", [b'{"Messages":[{"Body":"b"}]}', b'{"Messages":[null]}', b'{"Messages":7}', b'{"Messages":[{"Body":1}]}']
)
async def test_malformed_messages_are_a_retryable_error(body: bytes) -> None:
    async with scripted(answer(200, body)) as script:
        with pytest.raises(UnavailableError, match="ReceiveMessage"):
            await queue(script).receive(10, 0)


async def test_answer_without_messages_is_empty() -> None:
    for body in (b"{}", b'{"Messages":null}'):
        async with scripted(answer(200, body)) as script:
            assert await queue(script).receive(10, 0) == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"Successful":[]}', b'{"Successful":[{"Id":"0"}]}'])
async def test_entries_missing_in_the_answer_are_not_sent(body: bytes) -> None:
    """A message is deleted once its retry has been sent: a retry that was lost would be a lost change."""
    async with scripted(answer(200, body)) as script:
        with pytest.raises(UnavailableError, match="SendMessageBatch"):
            await queue(script).send(["a", "b"])


@pytest.mark.parametrize("body", [b"", b"{}", b'{"MessageId":null}'])
async def test_dead_letter_without_a_message_id_is_not_sent(body: bytes) -> None:
    async with scripted(answer(200, body)) as script:
        with pytest.raises(UnavailableError, match="SendMessage"):
            await queue(script).send_to_dlq(messages(1)[0], "why")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"Attributes":null}', b'{"Attributes":{}}'])
async def test_missing_queue_length_is_a_retryable_error(body: bytes) -> None:
    async with scripted(answer(200, body)) as script:
        with pytest.raises(UnavailableError, match="GetQueueAttributes"):
            await queue(script).depth()


class Ticking:
    """A clock that advances one second with each reading."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        self.time += 1.0
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def test_visibility_is_counted_from_the_time_of_the_request() -> None:
    """The answer does not contain when SQS hid the message, and the process may stop before it reads the answer."""
    received = {"Messages": [{"Body": "b", "ReceiptHandle": "h"}, {"Body": "c", "ReceiptHandle": "i"}]}
    failed = {
        "Successful": [{"Id": "0"}],
        "Failed": [{"Id": "1", "SenderFault": True, "Code": "ReceiptHandleIsInvalid", "Message": ""}],
    }
    bodies = [answer(200, json.dumps(document).encode()) for document in (received, failed)]
    async with scripted(*bodies) as script:
        hidden = SqsQueue(script.caller("sqs"), "q", "d", visibility_seconds=40, clock=Ticking())
        found = await hidden.receive(10, 20)
        assert [message.hidden_until for message in found] == [41.0, 41.0]
        assert json.loads(script.requests[0].body)["WaitTimeSeconds"] == 10
        await hidden.extend(found, 90)
    assert [message.hidden_until for message in found] == [92.0, -math.inf]


LIMIT = (
    "Value 60 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the"
    " limit [43200 seconds]"
)
"""AWS's own text (https://github.com/localstack/localstack/issues/3956)."""


def batch_answer(*failed: tuple[int, str, str, bool], of: int = 10) -> bytes:
    """Return an answer to a batch in which these entries fail: number, code, message, the sender's fault."""
    rows = [{"Id": str(n), "Code": code, "Message": text, "SenderFault": fault} for n, code, text, fault in failed]
    done = [{"Id": str(n)} for n in range(of) if n not in [row[0] for row in failed]]
    return answer(200, json.dumps({"Successful": done, "Failed": rows}).encode())


def hidden_messages(count: int = 10) -> list[SqsMessage]:
    return [SqsMessage(str(number), f"h{number}", 1, 0.0, 30.0) for number in range(count)]


async def test_failed_entry_does_not_make_its_neighbours_lost() -> None:
    async with scripted(batch_answer((4, "InvalidParameterValue", "Value 60 is invalid.", True))) as script:
        found = hidden_messages()
        with pytest.raises(DualSyncError, match="Value 60"):
            await SqsQueue(script.caller("sqs"), "q", "d", clock=Ticking()).extend(found, 60)
    assert [message.hidden_until for message in found] == [61.0] * 4 + [30.0] + [61.0] * 5


async def test_failed_repetition_does_not_make_extended_messages_lost() -> None:
    busy = (2, "InternalError", "", False)
    answers = [batch_answer(busy), refusal("AccessDeniedException", "no")]
    async with scripted(*answers) as script:
        found = hidden_messages()
        with pytest.raises(RetryableError, match="AccessDenied"):
            await SqsQueue(script.caller("sqs"), "q", "d", clock=Ticking()).extend(found, 60)
        assert len(script.requests) == 2
    assert [message.hidden_until for message in found] == [61.0] * 2 + [30.0] + [61.0] * 7


async def test_message_that_was_hidden_for_12_hours_returns_by_itself() -> None:
    """It stays hidden for as long as it is: no error, which each later extension would raise again."""
    async with scripted(batch_answer((0, "InvalidParameterValue", LIMIT, True))) as script:
        found = hidden_messages()
        await SqsQueue(script.caller("sqs"), "q", "d", clock=Ticking()).extend(found, 60)
        assert len(script.requests) == 1
    assert [message.hidden_until for message in found] == [30.0] + [61.0] * 9
