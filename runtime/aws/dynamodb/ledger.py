"""The side's ledger: one DynamoDB table with one item per key, and the records for operators.

Hash key `ObjectKey` (S); sparse global index `records` (`RecordKind` S, `RecordTime` N, all attributes); time to live
on `ExpiresAt` (N).
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from typing import Any

from dualsync.runtime.aws.dynamodb import items as items
from dualsync.runtime.aws.errors import error_of, malformed_as_unavailable
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.aws.request_batching import RequestBatcher
from dualsync.runtime.errors import ThrottledError, UnavailableError
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.records import Record
from dualsync.runtime.platform import SystemClock
from dualsync.runtime.ports import Clock

MAX_BATCH_KEYS = 100
"""Most keys of one BatchGetItem (Amazon DynamoDB API reference)."""

_ROUNDS = 6
_SECONDS_A_DAY = 86400
_API = "DynamoDB_20120810"


class DynamoLedger:
    """Implement `dualsync.runtime.ports.Ledger` over a DynamoDB table.

    Reads of entries are strongly consistent. Lists of records read an index, which DynamoDB never reads consistently.
    Entries that are read in the same turn of the event loop (those of one received batch) share one request.
    """

    def __init__(
        self, client: ServiceClient, table: str, *, tombstone_days: int = 60, clock: Clock | None = None
    ) -> None:
        self._client = client
        self._table = table
        self._tombstone_seconds = tombstone_days * _SECONDS_A_DAY
        self._clock = clock or SystemClock()
        self._batcher: RequestBatcher[str, LedgerEntry | None] = RequestBatcher(self._get_batch, MAX_BATCH_KEYS)

    async def get(self, key: str) -> LedgerEntry | None:
        return await self._batcher(key)

    async def _get_batch(self, keys: Sequence[str]) -> Sequence[LedgerEntry | None]:
        if len(keys) > 1:
            found = await self.get_many(keys)
            return [found.get(key) for key in keys]
        key = {items.KEY: {"S": items.table_key(keys[0])}}
        answer = await self._ask("GetItem", Key=key, ConsistentRead=True)
        with malformed_as_unavailable(f"dynamodb GetItem {self._table}"):
            return [_of_key(items.entry_or_unreadable(answer["Item"]), keys) if "Item" in answer else None]

    async def get_many(self, keys: Sequence[str]) -> dict[str, LedgerEntry]:
        if len(keys) > MAX_BATCH_KEYS:
            raise ValueError(f"{len(keys)} keys asked at once: at most {MAX_BATCH_KEYS}")
        found: dict[str, LedgerEntry] = {}
        wanted = dict.fromkeys(keys)
        todo = [{items.KEY: {"S": items.table_key(key)}} for key in wanted]
        for attempt in range(_ROUNDS):
            if not todo:
                return found
            if attempt:
                # Full jitter, as DynamoDB recommends for unprocessed keys.
                await self._clock.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
            asked = {self._table: {"Keys": todo, "ConsistentRead": True}}
            answer = await self._ask("BatchGetItem", TableName=None, RequestItems=asked)
            with malformed_as_unavailable(f"dynamodb BatchGetItem {self._table}"):
                for stored in answer["Responses"].get(self._table, ()):
                    entry = _of_key(items.entry_or_unreadable(stored), wanted)
                    found[entry.key] = entry
                rest = (answer.get("UnprocessedKeys") or {}).get(self._table) or {}
                todo = list(rest.get("Keys") or ())
        if todo:
            raise ThrottledError(f"dynamodb BatchGetItem {self._table}: {len(todo)} keys stay unprocessed")
        return found

    async def put(self, entry: LedgerEntry, expected_revision: int) -> None:
        if entry.revision != expected_revision + 1:
            entry = replace(entry, revision=expected_revision + 1)
        given: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({items.KEY})"}
        if expected_revision:
            given = {
                "ConditionExpression": f"{items.REVISION} = :expected",
                "ExpressionAttributeValues": {":expected": {"N": str(expected_revision)}},
            }
        given |= {
            "TableName": self._table,
            "Item": items.encode_entry(entry, self._tombstone_seconds),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            await self._client.call_json("PutItem", _API, f"{self._table}/{entry.key}", "1.0", given)
        except ServiceError as refused:
            # A first attempt has written it, and its answer was lost.
            if refused.refusal.code == "ConditionalCheckFailedException" and _stored_entry(refused) == entry:
                return
            raise error_of(refused.refusal) from None

    async def record(self, record: Record) -> None:
        await self._ask("PutItem", Item=items.encode_record(record))

    async def records(self, kind: str) -> AsyncIterator[Record]:
        position: dict[str, Any] = {}
        while True:
            answer = await self._ask(
                "Query",
                IndexName=items.RECORDS_INDEX,
                KeyConditionExpression=f"{items.RECORD_KIND} = :kind",
                ExpressionAttributeValues={":kind": {"S": kind}},
                **position,
            )
            with malformed_as_unavailable(f"dynamodb Query {self._table}"):
                found = [items.record_or_none(stored, kind) for stored in answer["Items"]]
            for record in found:
                if record is not None:
                    yield record
            if not answer.get("LastEvaluatedKey"):
                return
            before, position = position, {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
            if position == before:
                raise UnavailableError(f"dynamodb Query {self._table}: the same page again")

    async def remove_record(self, record: Record) -> None:
        await self._ask("DeleteItem", Key={items.KEY: {"S": items.record_key(record.kind, record.id)}})

    async def get_record(self, kind: str, id: str) -> Record | None:
        key = {items.KEY: {"S": items.record_key(kind, id)}}
        answer = await self._ask("GetItem", Key=key, ConsistentRead=True)
        with malformed_as_unavailable(f"dynamodb GetItem {self._table}, record {kind}/{id}"):
            return _of_kind(items.decode_record(answer["Item"]), kind) if "Item" in answer else None

    async def claim(self, record: Record, instead: Record | None) -> None:
        given = _condition_of(instead) | {"Item": items.encode_record(record)}
        await self._write_conditionally("PutItem", given, items.encode_record(record))

    async def release(self, record: Record) -> None:
        given = _condition_of(record) | {"Key": {items.KEY: {"S": items.record_key(record.kind, record.id)}}}
        await self._write_conditionally("DeleteItem", given, None)

    async def _write_conditionally(self, operation: str, given: dict[str, Any], done: items.Item | None) -> None:
        """Write or delete a record under a condition.

        A condition that fails only because an earlier attempt succeeded, whose answer was lost, counts as success.
        Raises `PreconditionFailedError`.
        """
        given |= {"TableName": self._table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            await self._client.call_json(operation, _API, self._table, "1.0", given)
        except ServiceError as refused:
            if refused.refusal.code == "ConditionalCheckFailedException" and _old_item(refused) == done:
                return
            raise error_of(refused.refusal) from None

    async def _ask(self, operation: str, **given: Any) -> Any:
        given = {name: value for name, value in ({"TableName": self._table} | given).items() if value is not None}
        try:
            return await self._client.call_json(operation, _API, self._table, "1.0", given)
        except ServiceError as refused:
            raise error_of(refused.refusal) from None


def _of_key(entry: LedgerEntry, asked: Collection[str]) -> LedgerEntry:
    """Return the entry. Raises `ValueError` for one that was not asked for."""
    if entry.key not in asked:
        raise ValueError(f"an item of another key: {entry.key!r}")
    return entry


def _of_kind(record: Record, kind: str) -> Record:
    """Return the record. Raises `ValueError` for one of another kind."""
    if record.kind != kind:
        raise ValueError(f"an item of kind {record.kind!r}, not {kind!r}")
    return record


def _stored_entry(refused: ServiceError) -> LedgerEntry | None:
    """Return the entry that the table holds instead."""
    stored = _old_item(refused)
    return items.entry_or_unreadable(stored) if stored else None


def _old_item(refused: ServiceError) -> items.Item | None:
    with malformed_as_unavailable(str(refused)):
        found: items.Item | None = json.loads(refused.body or b"{}").get("Item")
    return found or None


def _condition_of(record: Record | None) -> dict[str, Any]:
    """Return the condition that the table holds exactly `record`, or nothing if it is None."""
    if record is None:
        return {"ConditionExpression": f"attribute_not_exists({items.KEY})"}
    item = items.encode_record(record)
    return {
        "ConditionExpression": "RecordData = :data AND RecordTime = :time",
        "ExpressionAttributeValues": {":data": item["RecordData"], ":time": item[items.RECORD_TIME]},
    }
