"""A ledger is about two buckets, and beside others it proves nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.model.records import PREMISES
from dualsync.runtime.service.bucket_guard import check_buckets
from dualsync.runtime.settings import SideName
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import run
from tests.support.fakes.ledger import FakeLedger
from tests.support.operator_harness import settings

CN = SideName.CN
KNOWN = settings(CN, local_account="111111111111", remote_account="222222222222", local_prefix="in/")


def ask(ledger: FakeLedger, **changes: Any) -> str:
    return run(check_buckets(ledger, replace(KNOWN, **changes), FakeClock(Time())))


def test_the_first_process_writes_down_what_the_ledger_is_about() -> None:
    ledger = FakeLedger()
    assert ask(ledger) == ""
    (record,) = ledger.table.records.values()
    assert record.kind == PREMISES
    assert record.data["local"] == {
        "bucket": "bucket-cn",
        "prefix": "in/",
        "account": "111111111111",
        "region": "cn-north-1",
    }
    assert ask(ledger) == ""
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
def test_another_bucket_or_prefix_is_refused_and_does_not_become_the_known_one(change: dict[str, str]) -> None:
    ledger = FakeLedger()
    ask(ledger)
    for _ in range(2):
        problem = ask(ledger, **change)
        ((field, value),) = change.items()
        assert f"{field.replace('_', ' ')} " in problem
        assert repr(value) in problem
        assert "every key would look deleted" in problem
    assert ask(ledger) == ""


def test_an_account_that_was_not_known_is_no_other_one() -> None:
    """A ledger of a version that knew no accounts, or of a store that has none."""
    ledger = FakeLedger()
    assert ask(ledger, local_account="", remote_account="") == ""
    assert ask(ledger) == ""
