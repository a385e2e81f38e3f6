"""Test the bucket guard: a ledger belongs to two buckets, and is refused with others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.model.records import BUCKET_GUARD
from dualsync.runtime.service.bucket_guard import check_buckets
from dualsync.runtime.settings import SideName
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import run
from tests.support.fakes.ledger import FakeLedger
from tests.support.operator_harness import settings

CN = SideName.CN
KNOWN = settings(CN, local_account="111111111111", remote_account="222222222222", local_prefix="in/")


def check(ledger: FakeLedger, **changes: Any) -> str:
    return run(check_buckets(ledger, replace(KNOWN, **changes), FakeClock(Time())))


def test_first_process_records_the_buckets() -> None:
    ledger = FakeLedger()
    assert check(ledger) == ""
    (record,) = ledger.table.records.values()
    assert record.kind == BUCKET_GUARD
    assert record.data["local"] == {
        "bucket": "bucket-cn",
        "prefix": "in/",
        "account": "111111111111",
        "region": "cn-north-1",
    }
    assert check(ledger) == ""
    assert len(ledger.table.records) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"local_bucket": "other"},
        {"local_prefix": ""},
        {"local_region": "cn-northwest-1"},
        {"local_account": "333333333333"},
        {"remote_bucket": "other"},
        {"remote_prefix": "out/"},
        {"remote_region": "eu-west-1"},
        {"remote_account": "333333333333"},
    ],
)
def test_other_bucket_account_region_or_prefix_is_refused_and_not_recorded(change: dict[str, str]) -> None:
    ledger = FakeLedger()
    check(ledger)
    for _ in range(2):
        problem = check(ledger, **change)
        ((field, value),) = change.items()
        assert f"{field.replace('_', ' ')} " in problem
        assert repr(value) in problem
        assert "every key would look deleted" in problem
    assert check(ledger) == ""


def test_unknown_account_is_accepted() -> None:
    """The record may be of a version without accounts, or the store may have none."""
    ledger = FakeLedger()
    assert check(ledger, local_account="", remote_account="") == ""
    assert check(ledger) == ""
