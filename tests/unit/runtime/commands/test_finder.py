"""Test `dualsync plan`, which explains what the finder would do, and `dualsync reconcile`, which does it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def missed() -> Operator:
    """Return a pair with one key new at cn, one deleted at global and one equal; all events are lost."""
    operator = Operator()
    operator.put(CN, "same")
    operator.put(CN, "gone")
    operator.settle()
    operator.put(CN, "new")
    operator.delete(GLOBAL, "gone")
    for broker in operator.brokers.values():
        broker.letters.clear()
    operator.time.now += 3600
    return operator


def test_plan_lists_differences_and_changes_nothing() -> None:
    operator = missed()
    tables = [dict(s.ledger.table.entries) for s in operator.sides.values()]  # type: ignore[attr-defined]
    answer = operator.call("plan", "--json")
    assert answer.code == 3
    cn, global_ = answer.data["plans"]
    assert {(f["key"], f["why"], f["deletion"]) for f in cn["findings"]} == {
        ("new", "new here", False),
        ("gone", "deleted at the peer", True),
    }
    assert {(f["key"], f["why"]) for f in global_["findings"]} == {("gone", "deleted here")}
    assert not any(broker.letters for broker in operator.brokers.values())
    assert tables == [s.ledger.table.entries for s in operator.sides.values()]  # type: ignore[attr-defined]
    assert not operator.cn.ledger.table.records  # type: ignore[attr-defined]
    text = operator.call("plan", "cn").out
    assert "new here" in text
    assert "1 of them delete" in text


def test_reconcile_applies_the_differences() -> None:
    operator = missed()
    answer = operator.call("reconcile", "--yes")
    assert answer.code == 0
    assert "queued" in answer.out
    operator.settle()
    assert (
        [r.key for r in operator.stores[CN].rows()]
        == [r.key for r in operator.stores[GLOBAL].rows()]
        == ["new", "same"]
    )
    operator.time.now += 3600
    assert operator.call("plan").code == 0
    assert "nothing to do" in operator.call("plan").out
    assert operator.call("status", "--json").data["directions"][0]["finder"]["data"]["queued"] == 2


def test_plan_leaves_young_keys_to_their_events() -> None:
    operator = Operator()
    operator.put(CN, "young")
    answer = operator.call("plan", "cn", "--json")
    assert answer.code == 0
    assert answer.data["plans"][0]["young"] == 1


@pytest.mark.parametrize("command", ["plan", "reconcile"])
def test_ledger_of_other_buckets_is_refused(command: str) -> None:
    operator = Operator()
    operator.put(CN, "k")
    operator.settle()
    yes = ["--yes"] if command == "reconcile" else []
    assert operator.call("reconcile", "--yes").code == 0
    operator.change(CN, settings=replace(operator.cn.settings, local_prefix="deeper/"))
    answer = operator.call(command, *yes)
    assert answer.code == 2
    assert "ledger ledger-cn is about local prefix ''" in answer.err
    assert not operator.brokers[CN].letters


def test_plan_writes_no_record() -> None:
    operator = Operator()
    assert operator.call("plan").code == 0
    assert not operator.cn.ledger.table.records  # type: ignore[attr-defined]


def test_archived_objects_are_counted_and_not_queued() -> None:
    operator = Operator()
    operator.put(CN, "k")
    operator.stores[CN].archive("k")
    operator.brokers[CN].letters.clear()
    operator.time.now += 3600
    answer = operator.call("plan")
    assert answer.code == 0
    assert "1 archived" in answer.out
    assert "waits for its restore" in answer.out
    assert operator.call("reconcile", "--yes", "--json").data["cn->global"]["archived"] == 1
    assert "1 archived" in operator.call("status").out
