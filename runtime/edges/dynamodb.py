"""The side's ledger: one DynamoDB table with an item a key, and the records that a person may want to see.

Hash key `ObjectKey` (S); sparse global index `records` (`RecordKind` S, `RecordTime` N, all attributes); time to live
on `ExpiresAt` (N).
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from runtime.edges import item as items
from runtime.edges.clock import SystemClock
from runtime.edges.threads import Threads
from runtime.edges.translate import error_of, refusal_of
from runtime.entry import Entry
from runtime.errors import Throttled
from runtime.ports import Clock
from runtime.record import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

MOST_KEYS = 100
"""Most keys of one BatchGetItem (Amazon DynamoDB API reference)."""

_ROUNDS = 6
_SECONDS_A_DAY = 86400


class DynamoLedger:
    """`runtime.ports.Ledger` over boto3. All reads of entries are strongly consistent; those of records, through an
    index, are not (DynamoDB has no other there)."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        threads: Threads,
        tombstone_days: int = 60,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._table = table
        self._threads = threads
        self._tombstone_seconds = tombstone_days * _SECONDS_A_DAY
        self._clock = clock or SystemClock()

    async def get(self, key: str) -> Entry | None:
        answer = await self._ask(
            self._client.get_item,
            TableName=self._table,
            Key={items.KEY: {"S": items.table_key(key)}},
            ConsistentRead=True,
        )
        return items.to_entry(answer["Item"]) if "Item" in answer else None

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        if len(keys) > MOST_KEYS:
            raise ValueError(f"{len(keys)} keys asked at once: at most {MOST_KEYS}")
        found: dict[str, Entry] = {}
        todo = [{items.KEY: {"S": items.table_key(key)}} for key in dict.fromkeys(keys)]
        for attempt in range(_ROUNDS):
            if not todo:
                return found
            if attempt:
                # Full jitter, as DynamoDB asks for unprocessed keys.
                await self._clock.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
            answer = await self._ask(
                self._client.batch_get_item, RequestItems={self._table: {"Keys": todo, "ConsistentRead": True}}
            )
            for stored in answer["Responses"].get(self._table, ()):
                entry = items.to_entry(stored)
                found[entry.key] = entry
            todo = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
        if todo:
            raise Throttled(f"dynamodb BatchGetItem {self._table}: {len(todo)} keys stay unprocessed")
        return found

    async def put(self, entry: Entry, expected_revision: int) -> None:
        entry = replace(entry, revision=expected_revision + 1)
        item = items.of_entry(entry, self._tombstone_seconds)
        condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({items.KEY})"}
        if expected_revision:
            condition = {
                "ConditionExpression": f"{items.REVISION} = :expected",
                "ExpressionAttributeValues": {":expected": {"N": str(expected_revision)}},
            }
        try:
            await self._threads.ask_raw(
                "dynamodb",
                self._table,
                self._client.put_item,
                TableName=self._table,
                Item=item,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **condition,
            )
        except ClientError as error:
            refusal = refusal_of(error, "dynamodb", f"{self._table}/{entry.key}")
            stored: Any = error.response.get("Item")
            # A first attempt whose answer was lost, and which the client's own retry met: it is written.
            if refusal.code == "ConditionalCheckFailedException" and stored and items.to_entry(stored) == entry:
                return
            raise error_of(refusal) from None

    async def record(self, record: Record) -> None:
        await self._ask(self._client.put_item, TableName=self._table, Item=items.of_record(record))

    async def records(self, kind: str) -> AsyncIterator[Record]:
        position: dict[str, Any] = {}
        while True:
            answer = await self._ask(
                self._client.query,
                TableName=self._table,
                IndexName=items.RECORDS_INDEX,
                KeyConditionExpression=f"{items.RECORD_KIND} = :kind",
                ExpressionAttributeValues={":kind": {"S": kind}},
                **position,
            )
            for stored in answer["Items"]:
                yield items.to_record(stored)
            if "LastEvaluatedKey" not in answer:
                return
            position = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def remove_record(self, record: Record) -> None:
        await self._ask(
            self._client.delete_item,
            TableName=self._table,
            Key={items.KEY: {"S": items.record_key(record.kind, record.id)}},
        )

    async def _ask(self, function: Any, /, **given: Any) -> Any:
        return await self._threads.ask("dynamodb", self._table, function, **given)
