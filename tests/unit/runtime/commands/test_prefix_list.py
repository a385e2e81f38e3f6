"""Where a list says which keys are synchronised, an operator's commands keep to it."""

from __future__ import annotations

from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def listed(text: str | None) -> Operator:
    """`a/1` new at cn, `b/1` too, `b/2` gone at global; the list is beside them."""
    operator = Operator(prefix_list_file="list")
    operator.put(CN, "b/2")
    operator.settle()
    operator.put(CN, "a/1")
    operator.put(CN, "b/1")
    operator.delete(GLOBAL, "b/2")
    if text is not None:
        for side in (CN, GLOBAL):
            operator.stores[side].put("list", text.encode(), "AIDAUSER")
    for broker in operator.brokers.values():
        broker.letters.clear()
    operator.time.now += 3600
    return operator


def test_what_the_list_does_not_name_is_no_difference() -> None:
    operator = listed("a/\n")
    cn, global_ = operator.call("plan", "--json").data["plans"]
    assert [finding["key"] for finding in cn["findings"]] == ["a/1"]
    assert (cn["here"], cn["there"], global_["findings"]) == (1, 0, [])
    report = operator.call("verify", "--json").data
    assert [difference["key"] for difference in report["named"]] == ["a/1"]
    assert operator.call("deletions", "list", "--live", "--json").data["pending"] == []


def test_a_deletion_that_the_list_names_is_seen() -> None:
    found = listed("b/\n").call("deletions", "list", "--live", "--json").data["pending"]
    assert [deletion["key"] for deletion in found] == ["b/2"]


def test_without_the_list_nothing_is_compared() -> None:
    operator = listed(None)
    for command in (["plan"], ["reconcile", "--yes"], ["verify"], ["deletions", "list", "--live"]):
        answer = operator.call(*command)
        assert answer.code == 2
        assert "DUALSYNC_PREFIX_LIST_FILE='list' is not in the bucket" in answer.out + answer.err
    assert not any(broker.letters for broker in operator.brokers.values())
