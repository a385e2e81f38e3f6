"""The dead-letter queue as an operator reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dualsync.runtime.aws.boto3_bridge import Threads
from dualsync.runtime.aws.sqs import BATCH, REASON_ATTRIBUTE
from dualsync.runtime.operations.context import Depth, Letter

if TYPE_CHECKING:
    pass


WAIT_SECONDS = 1
"""Any wait makes SQS ask all its servers, so that an empty answer is one (developer guide, "Long polling")."""


class SqsDeadLetterQueue:
    """Implement `dualsync.runtime.operations.context.DeadLetterQueue` over boto3.

    The dead-letter queue has no dead-letter queue of its own, so that any number of receives loses nothing.
    """

    def __init__(self, client: Callable[[str], Any], url: str, *, threads: Threads) -> None:
        self._client = client
        self._url = url
        self._threads = threads

    async def hold(self, limit: int, seconds: int) -> Sequence[Letter]:
        answer = await self._ask(
            self._client("sqs").receive_message,
            MaxNumberOfMessages=min(limit, BATCH),
            VisibilityTimeout=seconds,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageAttributeNames=[REASON_ATTRIBUTE],
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        return [_letter(item) for item in answer.get("Messages", ())]

    async def release(self, letters: Sequence[Letter]) -> None:
        for start in range(0, len(letters), BATCH):
            entries: Any = [
                {"Id": str(number), "ReceiptHandle": letter.handle, "VisibilityTimeout": 0}
                for number, letter in enumerate(letters[start : start + BATCH])
            ]
            await self._ask(self._client("sqs").change_message_visibility_batch, Entries=entries)

    async def remove(self, letters: Sequence[Letter]) -> None:
        for start in range(0, len(letters), BATCH):
            entries: Any = [
                {"Id": str(number), "ReceiptHandle": letter.handle}
                for number, letter in enumerate(letters[start : start + BATCH])
            ]
            await self._ask(self._client("sqs").delete_message_batch, Entries=entries)

    async def _ask(self, function: Any, **given: Any) -> Any:
        return await self._threads.call_service("sqs", self._url, function, QueueUrl=self._url, **given)


async def depth_of(client: Any, url: str, threads: Threads) -> Depth:
    """Return the counts that SQS gives for the queue."""
    answer = await threads.call_service(
        "sqs",
        url,
        client.get_queue_attributes,
        QueueUrl=url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )
    found: Any = answer.get("Attributes", {})
    return Depth(
        int(found.get("ApproximateNumberOfMessages", 0)),
        int(found.get("ApproximateNumberOfMessagesNotVisible", 0)),
        int(found.get("ApproximateNumberOfMessagesDelayed", 0)),
    )


def _letter(item: Any) -> Letter:
    reason = item.get("MessageAttributes", {}).get(REASON_ATTRIBUTE, {}).get("StringValue", "")
    sent = int(item.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
    return Letter(item["MessageId"], item["Body"], item["ReceiptHandle"], reason, sent)
