"""DynamoDB: a table with provisioned capacity throttles writes above it; moto serves any number.

A table in the billing mode PROVISIONED consumes one write unit per started KiB of an item, two in a transaction. Above
`WriteCapacityUnits` per second it answers 400 ProvisionedThroughputExceededException, a transaction is cancelled with
the reason ThrottlingError, and BatchWriteItem returns what it did not write as `UnprocessedItems`. DynamoDB may grant
unused capacity of five minutes as a burst but does not promise it; here the burst is that of one second. Reads are not
limited. So `UpdateTable` of a ledger to N write units is the way to have it throttled.
Sources: Amazon DynamoDB Developer Guide, "Provisioned capacity mode", "Burst and adaptive capacity"; API Reference,
"Common Errors" and "TransactWriteItems".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb import responses
from moto.dynamodb.exceptions import TransactionCanceledException

from sandbox.cloud.patches.replace import replace

UNIT_BYTES = 1024
"""Size of an item that one write unit covers."""

clock: Callable[[], float] = time.monotonic
"""Seconds; a test of this module replaces it."""

_NAMESPACE = "com.amazonaws.dynamodb.v20120810#"
_MESSAGE = (
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning"
    " level with the UpdateTable API."
)


class ProvisionedThroughputExceeded(JsonRESTError):
    """The table's write capacity of this second is used up."""

    def __init__(self) -> None:
        super().__init__(f"{_NAMESPACE}ProvisionedThroughputExceededException", _MESSAGE)


def take(table: Any, units: int) -> bool:
    """Take write units of a table and return whether it had them. Tables on demand have any number."""
    if table is None or table.billing_mode != "PROVISIONED":
        return True
    per_second = float(table.throughput["WriteCapacityUnits"])
    now = clock()
    capacity, level, since = vars(table).get("write_bucket", (per_second, per_second, now))
    if capacity != per_second:
        level = per_second
    level = min(per_second, level + (now - since) * per_second)
    # An item larger than a second's capacity is written when the bucket is full.
    granted = bool(level >= min(units, per_second))
    table.write_bucket = (per_second, level - units if granted else level, now)
    return granted


def units_of(item: Any) -> int:
    """Return the write units of an item or key, by its size as JSON."""
    return max(1, -(-len(json.dumps(item)) // UNIT_BYTES))


def _single(original: Any, member: str) -> Any:
    def call(self: Any) -> Any:
        table = self.dynamodb_backend.tables.get(self.body["TableName"])
        if not take(table, units_of(self.body[member])):
            raise ProvisionedThroughputExceeded
        return original(self)

    return call


def _batch(original: Any) -> Any:
    def call(self: Any) -> Any:
        wanted: dict[str, list[Any]] = self.body["RequestItems"]
        left: dict[str, list[Any]] = {}
        done: dict[str, list[Any]] = {}
        for name, requests in wanted.items():
            table = self.dynamodb_backend.tables.get(name)
            for request in requests:
                ((_, given),) = request.items()
                granted = take(table, units_of(given.get("Item") or given.get("Key")))
                (done if granted else left).setdefault(name, []).append(request)
        if not done:
            raise ProvisionedThroughputExceeded
        self.body["RequestItems"] = done
        answer = original(self)
        answer.result["UnprocessedItems"] = left
        return answer

    return call


def _transaction(original: Any) -> Any:
    def call(self: Any) -> Any:
        reasons: list[tuple[str | None, str | None, None]] = []
        for entry in self.body["TransactItems"]:
            ((_, given),) = entry.items()
            table = self.dynamodb_backend.tables.get(given["TableName"])
            granted = take(table, 2 * units_of(given.get("Item") or given.get("Key")))
            reasons.append((None, None, None) if granted else ("ThrottlingError", _MESSAGE, None))
        if any(code for code, _, _ in reasons):
            raise TransactionCanceledException(reasons)
        return original(self)

    return call


def apply() -> None:
    handler = responses.DynamoHandler
    for name, member in (("put_item", "Item"), ("update_item", "Key"), ("delete_item", "Key")):
        replace(handler, name, _single(getattr(handler, name), member))
    replace(handler, "batch_write_item", _batch(handler.batch_write_item))
    replace(handler, "transact_write_items", _transaction(handler.transact_write_items))
