"""Provide a side whose ledger table an operator has deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from dualsync.runtime.aws.errors import Refusal, error_of
from dualsync.runtime.model.records import Record
from tests.support.operator_harness import Operator


def lose_ledger(operator: Operator) -> None:
    """Make each read of the table of `cn` fail with DynamoDB's error for a missing table."""
    ledger: Any = operator.cn.ledger

    async def gone(*_: object) -> Any:
        raise error_of(Refusal("dynamodb", "Query", "dth-dual-cn-ledger", "ResourceNotFoundException", 400))

    async def records(kind: str) -> AsyncIterator[Record]:
        await gone(kind)
        yield Record(kind, "", 0)

    ledger.records, ledger.get, ledger.get_many, ledger.get_record = records, gone, gone, gone
