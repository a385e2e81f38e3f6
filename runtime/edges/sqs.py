"""The side's queue and its dead-letter queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.edges.threads import LONG_POLL_SECONDS, Threads
from runtime.edges.translate import Refusal, error_of
from runtime.errors import Changed, DualSyncError, GiveUp, Unavailable
from runtime.ports import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

BATCH = 10
"""Most entries of a batch call (Amazon SQS API reference, SendMessageBatch)."""

BATCH_BYTES = 256 * 1024
"""Most bytes of a batch's bodies that every SQS-like service takes; SQS itself takes 1 MiB now."""

REASON_ATTRIBUTE = "DualSyncReason"
"""Message attribute of a buried message: why it can never succeed."""

_ATTEMPTS = 3
_SPENT_HANDLE = ("ReceiptHandleIsInvalid", "MessageNotInflight")


@dataclass(frozen=True, slots=True)
class SqsMessage:
    """One received message (`runtime.ports.Message`)."""

    body: str
    handle: str
    receives: int
    sent: float


class SqsQueue:
    """`runtime.ports.Queue` over boto3. Receiving has a thread of its own: a long poll never holds up other calls."""

    def __init__(self, client: SQSClient, queue_url: str, dead_letter_queue_url: str, *, threads: Threads) -> None:
        self._client = client
        self._url = queue_url
        self._dead_url = dead_letter_queue_url
        self._threads = threads
        self._pollers = Threads(4)

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[SqsMessage]:
        answer = await self._pollers.ask(
            "sqs",
            self._url,
            self._client.receive_message,
            QueueUrl=self._url,
            MaxNumberOfMessages=min(limit, BATCH),
            WaitTimeSeconds=min(wait_seconds, LONG_POLL_SECONDS),
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        return [_message(item) for item in answer.get("Messages", ())]

    async def delete(self, messages: Sequence[Message]) -> None:
        entries = [{"ReceiptHandle": message.handle} for message in messages]
        await self._batches("delete_message_batch", self._url, _by_count(entries))

    async def extend(self, message: Message, seconds: int) -> None:
        """Hide the message for `seconds` from now; nothing happens when it is no longer this receiver's."""
        with contextlib.suppress(Changed):
            await self._threads.ask(
                "sqs",
                self._url,
                self._client.change_message_visibility,
                QueueUrl=self._url,
                ReceiptHandle=message.handle,
                VisibilityTimeout=seconds,
            )

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        entries = [{"MessageBody": body, "DelaySeconds": delay_seconds} for body in bodies]
        await self._batches("send_message_batch", self._url, _by_bytes(entries))

    async def bury(self, message: Message, reason: str) -> None:
        await self._threads.ask(
            "sqs",
            self._dead_url,
            self._client.send_message,
            QueueUrl=self._dead_url,
            MessageBody=message.body,
            MessageAttributes={REASON_ATTRIBUTE: {"DataType": "String", "StringValue": printable(reason)}},
        )

    async def _batches(self, method: str, url: str, batches: Sequence[Sequence[dict[str, Any]]]) -> None:
        await asyncio.gather(*(self._batch(method, url, batch) for batch in batches))

    async def _batch(self, method: str, url: str, entries: Sequence[dict[str, Any]]) -> None:
        """All entries or an error: a batch call answers 200 also when some of its entries failed."""
        todo = {str(number): entry for number, entry in enumerate(entries)}
        failed: list[Any] = []
        for _ in range(_ATTEMPTS):
            batch = [{"Id": number, **entry} for number, entry in todo.items()]
            answer = await self._threads.ask("sqs", url, getattr(self._client, method), QueueUrl=url, Entries=batch)
            # A handle that is spent: the message is another receiver's by now, or gone.
            failed = [item for item in answer.get("Failed", []) if item.get("Code") not in _SPENT_HANDLE]
            todo = {item["Id"]: todo[item["Id"]] for item in failed}
            if not todo or any(item.get("SenderFault") for item in failed):
                break
        if todo:
            raise _failure(method, url, failed)


def _failure(method: str, url: str, failed: Sequence[Any]) -> DualSyncError:
    worst = max(failed, key=lambda item: bool(item.get("SenderFault")))
    status = 400 if worst.get("SenderFault") else 503
    refusal = Refusal("sqs", method, url, str(worst.get("Code", "")), status, str(worst.get("Message", "")))
    error = error_of(refusal)
    return error if worst.get("SenderFault") or not isinstance(error, GiveUp) else Unavailable(str(refusal))


def _message(item: Any) -> SqsMessage:
    attributes = item.get("Attributes", {})
    return SqsMessage(
        body=item["Body"],
        handle=item["ReceiptHandle"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        sent=int(attributes.get("SentTimestamp", 0)) / 1000,
    )


def _by_count(entries: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    return [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]


def _by_bytes(entries: Sequence[dict[str, Any]]) -> list[Sequence[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = []
    room = 0
    for entry in entries:
        size = len(entry["MessageBody"].encode())
        if not batches or len(batches[-1]) == BATCH or size > room:
            batches.append([])
            room = BATCH_BYTES
        batches[-1].append(entry)
        room -= size
    return list(batches)


def printable(reason: str) -> str:
    """A reason as SQS takes it: no control characters, not empty, at most 1 KiB."""
    text = "".join(character if character.isprintable() else " " for character in reason)
    return text.encode()[:1024].decode(errors="ignore").strip() or "unknown"
