"""What the finder would do is told without doing it; reconcile does it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Office

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def missed() -> Office:
    """One key new at cn, one deleted at global, one equal; all events lost."""
    office = Office()
    office.put(CN, "same")
    office.put(CN, "gone")
    office.settle()
    office.put(CN, "new")
    office.delete(GLOBAL, "gone")
    for broker in office.brokers.values():
        broker.letters.clear()
    office.time.now += 3600
    return office


def test_a_plan_does_nothing() -> None:
    office = missed()
    tables = [dict(s.ledger.table.entries) for s in office.sides.values()]  # type: ignore[attr-defined]
    answer = office.call("plan", "--json")
    assert answer.code == 3
    cn, global_ = answer.data["plans"]
    assert {(f["key"], f["why"], f["deletion"]) for f in cn["findings"]} == {
        ("new", "new here", False),
        ("gone", "deleted at the peer", True),
    }
    assert {(f["key"], f["why"]) for f in global_["findings"]} == {("gone", "deleted here")}
    assert not any(broker.letters for broker in office.brokers.values())
    assert tables == [s.ledger.table.entries for s in office.sides.values()]  # type: ignore[attr-defined]
    assert not office.cn.ledger.table.records  # type: ignore[attr-defined]
    text = office.call("plan", "cn").out
    assert "new here" in text
    assert "1 of them delete" in text


def test_reconcile_does_it() -> None:
    office = missed()
    answer = office.call("reconcile", "--yes")
    assert answer.code == 0
    assert "queued" in answer.out
    office.settle()
    assert [r.key for r in office.stores[CN].rows()] == [r.key for r in office.stores[GLOBAL].rows()] == ["new", "same"]
    office.time.now += 3600
    assert office.call("plan").code == 0
    assert "nothing to do" in office.call("plan").out
    assert office.call("status", "--json").data["directions"][0]["finder"]["data"]["queued"] == 2


def test_young_keys_are_left_to_their_events() -> None:
    office = Office()
    office.put(CN, "young")
    answer = office.call("plan", "cn", "--json")
    assert answer.code == 0
    assert answer.data["plans"][0]["young"] == 1


@pytest.mark.parametrize("command", ["plan", "reconcile"])
def test_beside_a_ledger_of_other_buckets_nothing_is_compared(command: str) -> None:
    office = Office()
    office.put(CN, "k")
    office.settle()
    yes = ["--yes"] if command == "reconcile" else []
    assert office.call("reconcile", "--yes").code == 0
    office.change(CN, settings=replace(office.cn.settings, local_prefix="deeper/"))
    answer = office.call(command, *yes)
    assert answer.code == 2
    assert "ledger ledger-cn is about local prefix ''" in answer.err
    assert not office.brokers[CN].letters


def test_a_plan_writes_down_nothing() -> None:
    office = Office()
    assert office.call("plan").code == 0
    assert not office.cn.ledger.table.records  # type: ignore[attr-defined]


def test_what_is_archived_is_said_and_waits() -> None:
    office = Office()
    office.put(CN, "k")
    office.stores[CN].archive("k")
    office.brokers[CN].letters.clear()
    office.time.now += 3600
    answer = office.call("plan")
    assert answer.code == 0
    assert "1 archived" in answer.out
    assert "waits for its restore" in answer.out
    assert office.call("reconcile", "--yes", "--json").data["cn->global"]["archived"] == 1
    assert "1 archived" in office.call("status").out
