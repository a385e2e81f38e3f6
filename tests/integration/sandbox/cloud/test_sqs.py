"""Test the emulated SQS: characters of messages, and receipt handles that are no longer valid (SQS API Reference)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud

_numbers = itertools.count()
FORBIDDEN = ["\x00", "\x01", "\x0b", "\x1f", "\ufffe", "\uffff"]
ALLOWED = ["\t", "\n", "\r", " ", "\x7f", "\x85", "\ud7ff", "\ue000", "\ufffd", "\U00010000", "\U0010ffff"]


@pytest.fixture
def queue(cloud: Cloud) -> tuple[Any, str]:
    sqs = cloud.client(SideName.CN, "sqs")
    attributes = {"VisibilityTimeout": "30"}
    return sqs, sqs.create_queue(QueueName=f"sqs-{next(_numbers)}", Attributes=attributes)["QueueUrl"]


def error(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    found = caught.value.response["Error"]
    return found["Code"], found["Message"]


@pytest.mark.parametrize("character", FORBIDDEN)
def test_a_message_with_a_forbidden_character_is_refused(queue: tuple[Any, str], character: str) -> None:
    sqs, url = queue
    assert error(sqs.send_message, QueueUrl=url, MessageBody=f"a{character}")[0] == "InvalidMessageContents"
    entries = [{"Id": "good", "MessageBody": "a"}, {"Id": "bad", "MessageBody": f"a{character}"}]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [sent["Id"] for sent in answer["Successful"]] == ["good"]
    assert [(f["Id"], f["Code"], f["SenderFault"]) for f in answer["Failed"]] == [
        ("bad", "InvalidMessageContents", True)
    ]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries[1:])
    assert len(answer["Failed"]) == 1


def test_allowed_characters_are_received_unchanged(queue: tuple[Any, str]) -> None:
    sqs, url = queue
    body = "".join(ALLOWED)
    sqs.send_message(QueueUrl=url, MessageBody=body)
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == body


def received(sqs: Any, url: str) -> str:
    return str(sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"])


def test_a_handle_of_a_deleted_message_is_refused(queue: tuple[Any, str]) -> None:
    sqs, url = queue
    sqs.send_message(QueueUrl=url, MessageBody="a")
    handle = received(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    code, text = error(sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=60)
    assert code == "InvalidParameterValue"
    assert "Message does not exist or is not available for visibility timeout change" in text
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    entry = {"Id": "a", "ReceiptHandle": handle, "VisibilityTimeout": 60}
    (failed,) = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[entry])["Failed"]
    assert (failed["Code"], failed["SenderFault"]) == ("InvalidParameterValue", True)


def test_an_expired_or_older_handle_is_refused(queue: tuple[Any, str]) -> None:
    sqs, url = queue
    sqs.send_message(QueueUrl=url, MessageBody="a")
    old = received(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=old, VisibilityTimeout=0)
    change = {"QueueUrl": url, "ReceiptHandle": old, "VisibilityTimeout": 60}
    assert error(sqs.change_message_visibility, **change)[0] == "InvalidParameterValue"
    new = received(sqs, url)
    assert error(sqs.change_message_visibility, **change)[0] == "InvalidParameterValue"
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=new, VisibilityTimeout=0)
    assert received(sqs, url) != new
