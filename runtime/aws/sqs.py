"""The side's queue and its dead-letter queue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.aws.errors import Refusal, error_of, malformed_as_unavailable
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.aws.request_batching import RequestBatcher
from dualsync.runtime.errors import DualSyncError, PermanentError, UnavailableError
from dualsync.runtime.platform import SystemClock
from dualsync.runtime.ports import Clock, Message, QueueDepth

BATCH = 10
"""Most entries of a batch call (Amazon SQS API reference, SendMessageBatch)."""

BATCH_BYTES = 256 * 1024
"""Most bytes of a batch's bodies that every SQS-like service takes; SQS itself takes 1 MiB now."""

LONG_POLL_SECONDS = 20
"""SQS's longest wait."""

REASON_ATTRIBUTE = "DualSyncReason"
"""Message attribute of a message in the dead-letter queue: why it can never succeed."""

BATCHING_SECONDS = 0.05
"""How long an acknowledgement waits for others, to be one request with them."""

_API = "AmazonSQS"
_ATTEMPTS = 3
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
)
_SPENT_HANDLE = ("ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight")
_SPENT_REASONS = ("does not exist or is not available", "receipt handle has expired")
"""What SQS writes of a handle that is spent, under codes that mean something else as well (InvalidParameterValue)."""
_HIDDEN_LONG_ENOUGH = "total visibilitytimeout for the message is beyond the limit"
"""What SQS writes, under InvalidParameterValue, of a message that would be hidden for more than 12 hours since its
receive ("ChangeMessageVisibility", Amazon SQS API reference)."""


@dataclass(slots=True)
class SqsMessage:
    """One received message (`dualsync.runtime.ports.Message`)."""

    body: str
    """Text of the message."""
    handle: str
    """Receipt handle of this receive."""
    receives: int
    """Number of receives, this one included."""
    sent: float
    """When it was sent, in seconds since the epoch."""
    hidden_until: float = math.inf
    """Until when it is hidden from other receivers for sure, in seconds of `Clock.monotonic`."""


@dataclass(slots=True)
class _Answered:
    """The entries of a batch call that have their final answer, by number."""

    done: set[str] = field(default_factory=set)
    """Those that SQS has done."""
    spent: set[str] = field(default_factory=set)
    """Those whose receipt handle is spent: the message belongs to another receiver by now, or is gone."""
    unchanged: set[str] = field(default_factory=set)
    """Messages that cannot be hidden for longer: they return by themselves when their present time ends."""


class SqsQueue:
    """`dualsync.runtime.ports.Queue` over SQS's JSON protocol.

    `visibility_seconds` is how long a received message stays hidden, None for the queue's own setting. The worker
    extends it while it works, so a short time costs nothing, and the messages of a killed worker come back soon.
    """

    def __init__(
        self,
        client: ServiceClient,
        queue_url: str,
        dead_letter_queue_url: str,
        *,
        visibility_seconds: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._url = queue_url
        self._dead_url = dead_letter_queue_url
        self._clock = clock or SystemClock()
        self._visibility = math.inf if visibility_seconds is None else float(visibility_seconds)
        self._hidden = {} if visibility_seconds is None else {"VisibilityTimeout": visibility_seconds}
        self._acknowledge: RequestBatcher[str, None] = RequestBatcher(self._delete_batch, BATCH, BATCHING_SECONDS)

    async def receive(self, limit: int, wait_seconds: int) -> Sequence[SqsMessage]:
        # When SQS hid a message is not in its answer: at the earliest when it was asked. So a poll is much shorter.
        asked = self._clock.monotonic()
        answer = await self._ask(
            "ReceiveMessage",
            self._url,
            MaxNumberOfMessages=min(limit, BATCH),
            WaitTimeSeconds=int(min(wait_seconds, LONG_POLL_SECONDS, self._visibility / 4)),
            MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            **self._hidden,
        )
        with malformed_as_unavailable("sqs ReceiveMessage"):
            return [_message(item, asked + self._visibility) for item in answer.get("Messages") or ()]

    async def delete(self, messages: Sequence[Message]) -> None:
        if len(messages) == 1:
            await self._acknowledge(messages[0].handle)
            return
        handles = [message.handle for message in messages]
        await asyncio.gather(*(self._delete_batch(handles[at : at + BATCH]) for at in range(0, len(handles), BATCH)))

    async def _delete_batch(self, handles: Sequence[str]) -> Sequence[None]:
        await self._batch("DeleteMessageBatch", self._url, [{"ReceiptHandle": handle} for handle in handles])
        return [None] * len(handles)

    async def extend(self, messages: Sequence[Message], seconds: int) -> None:
        """Hide the messages for `seconds` from now, ten per request, all requests at the same time.

        Messages that no longer belong to this receiver, or cannot be hidden for longer, are left out. A batch or a
        message that fails does not keep the others back: the error is raised when all have been answered.
        """
        batches = [messages[at : at + BATCH] for at in range(0, len(messages), BATCH)]
        results = await asyncio.gather(
            *(self._extend_batch(batch, seconds) for batch in batches), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _extend_batch(self, messages: Sequence[Message], seconds: int) -> None:
        asked = self._clock.monotonic()
        entries = [{"ReceiptHandle": message.handle, "VisibilityTimeout": seconds} for message in messages]
        answered = _Answered()
        try:
            await self._batch("ChangeMessageVisibilityBatch", self._url, entries, answered)
        finally:
            for number, message in enumerate(messages):
                if isinstance(message, SqsMessage):
                    if str(number) in answered.spent:
                        message.hidden_until = -math.inf
                    elif str(number) in answered.done:
                        message.hidden_until = asked + seconds

    async def send(self, bodies: Sequence[str], delay_seconds: int = 0) -> None:
        entries = [{"MessageBody": body, "DelaySeconds": delay_seconds} for body in bodies]
        await asyncio.gather(*(self._batch("SendMessageBatch", self._url, batch) for batch in _by_bytes(entries)))

    async def send_to_dlq(self, message: Message, reason: str) -> None:
        attributes = {REASON_ATTRIBUTE: {"DataType": "String", "StringValue": printable(reason)}}
        answer = await self._ask("SendMessage", self._dead_url, MessageBody=message.body, MessageAttributes=attributes)
        if not answer.get("MessageId"):
            raise UnavailableError("sqs SendMessage: the answer names no message")

    async def depth(self) -> QueueDepth:
        main, dead = await asyncio.gather(self._count(self._url), self._count(self._dead_url))
        return QueueDepth(main, dead)

    async def _count(self, url: str) -> int:
        answer = await self._ask("GetQueueAttributes", url, AttributeNames=list(_COUNTS))
        with malformed_as_unavailable("sqs GetQueueAttributes"):
            return sum(int(answer["Attributes"][name]) for name in _COUNTS)

    async def _batch(
        self, operation: str, url: str, entries: Sequence[dict[str, Any]], answered: _Answered | None = None
    ) -> None:
        """Send all entries, or raise: a batch call answers 200 even if some of its entries failed.

        An entry that the answer names neither as done nor as failed is sent again: a lost retry would be a lost change.
        `answered` is filled, also before an error is raised.
        """
        answered = answered or _Answered()
        todo = {str(number): entry for number, entry in enumerate(entries)}
        failed: list[Any] = []
        for _ in range(_ATTEMPTS):
            batch = [{"Id": number, **entry} for number, entry in todo.items()]
            answer = await self._ask(operation, url, Entries=batch)
            with malformed_as_unavailable(f"sqs {operation}"):
                rejected = answer.get("Failed") or ()
                answered.spent |= {item["Id"] for item in rejected if _is_spent(item.get("Code"), item.get("Message"))}
                answered.unchanged |= {item["Id"] for item in rejected if _is_long_enough(item.get("Message"))}
                harmless = answered.spent | answered.unchanged
                failed = [item for item in rejected if item["Id"] not in harmless]
                done = {item["Id"] for item in answer.get("Successful") or ()} - {item["Id"] for item in failed}
                answered.done |= done
                todo = {number: entry for number, entry in todo.items() if number not in done | harmless}
            if not todo or any(item.get("SenderFault") for item in failed):
                break
        if todo and not failed:
            raise UnavailableError(
                f"sqs {operation} {url}: the answer leaves out {len(todo)} of {len(entries)} entries"
            )
        if todo:
            raise _batch_error(operation, url, failed)

    async def _ask(self, operation: str, url: str, **given: Any) -> Any:
        try:
            return await self._client.call_json(operation, _API, url, "1.0", {"QueueUrl": url, **given})
        except ServiceError as refused:
            raise error_of(refused.refusal) from None


def _batch_error(operation: str, url: str, failed: Sequence[Any]) -> DualSyncError:
    worst = max(failed, key=lambda item: bool(item.get("SenderFault")))
    status = 400 if worst.get("SenderFault") else 503
    refusal = Refusal("sqs", operation, url, str(worst.get("Code", "")), status, str(worst.get("Message", "")))
    error = error_of(refusal)
    return (
        error if worst.get("SenderFault") or not isinstance(error, PermanentError) else UnavailableError(str(refusal))
    )


def _is_spent(code: str | None, message: str | None) -> bool:
    """Return whether a receipt handle is refused since the message is another receiver's, visible again, or deleted.

    AWS answers InvalidParameterValue with a reason where its reference names MessageNotInflight.
    """
    text = (message or "").lower()
    return code in _SPENT_HANDLE or any(reason in text for reason in _SPENT_REASONS)


def _is_long_enough(message: str | None) -> bool:
    """Return whether a message is refused since it was hidden for 12 hours, the longest, and returns by itself."""
    return _HIDDEN_LONG_ENOUGH in (message or "").lower()


def _message(item: Any, hidden_until: float) -> SqsMessage:
    attributes = item.get("Attributes", {})
    return SqsMessage(
        body=item["Body"],
        handle=item["ReceiptHandle"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        sent=int(attributes.get("SentTimestamp", 0)) / 1000,
        hidden_until=hidden_until,
    )


def _by_bytes(entries: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    batches: list[list[dict[str, Any]]] = []
    room = 0
    for entry in entries:
        size = len(entry["MessageBody"].encode())
        if not batches or len(batches[-1]) == BATCH or size > room:
            batches.append([])
            room = BATCH_BYTES
        batches[-1].append(entry)
        room -= size
    return batches


def printable(reason: str) -> str:
    """Return a reason as SQS accepts it: no control characters, not empty, at most 1 KiB."""
    text = "".join(character if character.isprintable() else " " for character in reason)
    return text.encode()[:1024].decode(errors="ignore").strip() or "unknown"
