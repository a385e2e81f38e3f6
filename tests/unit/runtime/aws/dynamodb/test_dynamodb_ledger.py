"""Test ledger records that this version cannot read: lists skip them, and a request for one fails."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dualsync.runtime.aws.dynamodb import items
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.http.client import ServiceClient
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.records import CONFLICT, Record
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import run

GOOD = items.encode_record(Record(CONFLICT, "good", 1, "k"))
UNREADABLE: list[dict[str, Any]] = [
    {**GOOD, "RecordData": {"S": "{"}},
    {**GOOD, "RecordData": {"S": "[]"}},
    {**GOOD, "RecordData": {"N": "1"}},
    {**GOOD, "RecordData": "text"},
    {**GOOD, "RecordTime": {"N": "1.5"}},
    {**GOOD, "RecordTime": {"S": "1"}},
    {**GOOD, "RecordKey": {"BOOL": True}},
    {**GOOD, items.FORMAT_NAME: {"N": str(items.FORMAT + 1)}},
    {**GOOD, "RecordData": {"S": "[" * 100_000}},
]


class Table:
    """A DynamoDB table with these items."""

    def __init__(self, *stored: Any) -> None:
        self.stored = stored

    async def call_json(self, operation: str, *_: Any) -> Any:
        return {"Items": list(self.stored)} if operation == "Query" else {"Item": self.stored[0]}


def ledger(*stored: Any) -> DynamoLedger:
    return DynamoLedger(cast(ServiceClient, Table(*stored)), "table", clock=FakeClock(Time()))


@pytest.mark.parametrize("bad", UNREADABLE, ids=[str(n) for n in range(len(UNREADABLE))])
def test_list_skips_unreadable_records(bad: dict[str, Any]) -> None:
    async def listed() -> list[str]:
        return [record.id async for record in ledger(bad, GOOD, bad).records(CONFLICT)]

    assert run(listed()) == ["good"]


@pytest.mark.parametrize("bad", UNREADABLE, ids=[str(n) for n in range(len(UNREADABLE))])
def test_request_for_an_unreadable_record_fails(bad: dict[str, Any]) -> None:
    with pytest.raises(UnavailableError, match=r"^dynamodb GetItem table, record conflict/good: the answer is malf"):
        run(ledger(bad).get_record(CONFLICT, "good"))
