"""Where a list says which keys are synchronised, an operator's commands keep to it."""

from __future__ import annotations

from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Office

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def listed(text: str | None) -> Office:
    """`a/1` new at cn, `b/1` too, `b/2` gone at global; the list is beside them."""
    office = Office(prefix_list_file="list")
    office.put(CN, "b/2")
    office.settle()
    office.put(CN, "a/1")
    office.put(CN, "b/1")
    office.delete(GLOBAL, "b/2")
    if text is not None:
        for side in (CN, GLOBAL):
            office.stores[side].put("list", text.encode(), "AIDAUSER")
    for broker in office.brokers.values():
        broker.letters.clear()
    office.time.now += 3600
    return office


def test_what_the_list_does_not_name_is_no_difference() -> None:
    office = listed("a/\n")
    cn, global_ = office.call("plan", "--json").data["plans"]
    assert [finding["key"] for finding in cn["findings"]] == ["a/1"]
    assert (cn["here"], cn["there"], global_["findings"]) == (1, 0, [])
    report = office.call("verify", "--json").data
    assert [difference["key"] for difference in report["named"]] == ["a/1"]
    assert office.call("deletions", "list", "--live", "--json").data["pending"] == []


def test_a_deletion_that_the_list_names_is_seen() -> None:
    found = listed("b/\n").call("deletions", "list", "--live", "--json").data["pending"]
    assert [deletion["key"] for deletion in found] == ["b/2"]


def test_without_the_list_nothing_is_compared() -> None:
    office = listed(None)
    for command in (["plan"], ["reconcile", "--yes"], ["verify"], ["deletions", "list", "--live"]):
        answer = office.call(*command)
        assert answer.code == 2
        assert "DUALSYNC_PREFIX_LIST_FILE='list' is not in the bucket" in answer.out + answer.err
    assert not any(broker.letters for broker in office.brokers.values())
