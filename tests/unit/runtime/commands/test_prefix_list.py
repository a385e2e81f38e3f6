"""Test operators' commands with a prefix list: they cover only the keys that it names."""

from __future__ import annotations

from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def listed(text: str | None) -> Operator:
    """Return a pair with a prefix list, `a/1` and `b/1` new at cn, and `b/2` deleted at global."""
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


def test_keys_outside_the_list_are_no_difference() -> None:
    operator = listed("a/\n")
    cn, global_ = operator.call("plan", "--json").data["plans"]
    assert [finding["key"] for finding in cn["findings"]] == ["a/1"]
    assert (cn["here"], cn["there"], global_["findings"]) == (1, 0, [])
    report = operator.call("verify", "--json").data
    assert [difference["key"] for difference in report["named"]] == ["a/1"]
    assert operator.call("deletions", "list", "--live", "--json").data["pending"] == []


def test_deletion_of_a_listed_key_is_found() -> None:
    found = listed("b/\n").call("deletions", "list", "--live", "--json").data["pending"]
    assert [deletion["key"] for deletion in found] == ["b/2"]


def test_commands_fail_without_the_list() -> None:
    operator = listed(None)
    for command in (["plan"], ["reconcile", "--yes"], ["verify"], ["deletions", "list", "--live"]):
        answer = operator.call(*command)
        assert answer.code == 2
        assert "DUALSYNC_PREFIX_LIST_FILE='list' is not in the bucket" in answer.out + answer.err
    assert not any(broker.letters for broker in operator.brokers.values())
