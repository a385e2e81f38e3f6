"""Held deletions: seen, approved, and taken back so that nothing in flight can undo that."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION
from dualsync.runtime.settings import SideName
from tests.support.fakes.store import Versioning
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL
MANY = 40


def emptied(*, versioning: Versioning = Versioning.NEVER, lost: bool = True) -> Operator:
    """Forty objects on both sides, of which cn's users deleted all but five; the events were lost."""
    operator = Operator(versioning=versioning)
    for number in range(MANY):
        operator.put(CN if number % 2 else GLOBAL, f"k{number:02}")
    operator.settle()
    operator.time.now += 3600
    for number in range(5, MANY):
        operator.delete(CN, f"k{number:02}")
    if lost:
        operator.brokers[CN].letters.clear()
    operator.time.now += 3600
    return operator


def both(operator: Operator) -> int:
    return sum(
        operator.content(CN, f"k{n:02}") == operator.content(GLOBAL, f"k{n:02}") == b"hello" for n in range(MANY)
    )


def run_finders(operator: Operator) -> None:
    operator.call("reconcile", "--yes")
    operator.settle()


def test_nothing_is_held() -> None:
    operator = Operator()
    assert operator.call("deletions", "list").code == 0
    assert "no deletion is held" in operator.call("deletions", "list").out
    assert operator.call("deletions", "approve", "--yes", "--json").data == {"approved": 0}
    assert operator.call("deletions", "reject", "--yes", "--json").data == {"kept": 0, "changed": 0}


def test_too_many_are_held_and_listed() -> None:
    operator = emptied()
    answer = operator.call("reconcile", "--yes", "--json")
    assert answer.code == 3
    assert answer.data["cn->global"]["held"] == 35
    operator.settle()
    assert sum(operator.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == MANY
    listed = operator.call("deletions", "list", "--live", "--json")
    assert listed.code == 3
    assert {h["direction"]: h["count"] for h in listed.data["held"]} == {"cn->global": 35, "global->cn": 35}
    assert len(listed.data["pending"]) == 35
    assert {(d["gone_at"], d["kept_at"]) for d in listed.data["pending"]} == {("cn", "global")}
    assert "35 held" in operator.call("deletions", "list").out


def test_approved_ones_go_at_the_next_run() -> None:
    operator = emptied()
    run_finders(operator)
    assert operator.call("deletions", "approve").code == 2
    answer = operator.call("deletions", "approve", "--now", "--yes", "--json")
    assert answer.data["approved"] == 35
    operator.settle()
    assert sum(operator.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == 5
    assert not any(kind in (HELD_DELETION, DELETION_APPROVAL) for kind, _ in _records(operator))


def test_only_as_many_as_approved() -> None:
    operator = emptied()
    run_finders(operator)
    operator.call("deletions", "approve", "--up-to", "7", "--yes")
    operator.call("reconcile", "cn", "--yes")
    operator.settle()
    assert sum(operator.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == MANY - 7


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED])
def test_rejected_ones_come_back(versioning: Versioning) -> None:
    operator = emptied(versioning=versioning)
    run_finders(operator)
    answer = operator.call("deletions", "reject", "--yes", "--json")
    assert answer.code == 0
    assert answer.data == {"kept": 35, "changed": 0, "failed": {}}
    operator.settle()
    assert both(operator) == MANY
    assert operator.call("deletions", "list").code == 0
    operator.time.now += 3600
    run_finders(operator)
    assert both(operator) == MANY
    assert operator.call("deletions", "list", "--live").code == 0


def test_a_rejection_holds_against_deletions_on_their_way() -> None:
    """cn is paused with all its deletions in the queue; they are handled before and after the objects are back."""
    operator = emptied(lost=False)
    assert operator.call("deletions", "reject", "--yes", "--json").data["kept"] == 35
    asyncio.run(operator.work(CN, rounds=2))
    operator.settle()
    assert both(operator) == MANY
    operator.time.now += 3600
    run_finders(operator)
    assert both(operator) == MANY


def test_a_rejection_holds_when_the_survivors_come_first() -> None:
    operator = emptied(lost=False)
    operator.call("deletions", "reject", "--yes")
    asyncio.run(operator.work(GLOBAL, rounds=3))
    operator.settle()
    assert both(operator) == MANY


def test_some_only() -> None:
    operator = emptied()
    run_finders(operator)
    assert operator.call("deletions", "reject", "--key", "k10", "--yes", "--json").data["kept"] == 1
    assert operator.call("deletions", "reject", "--prefix", "k2", "--yes", "--json").data["kept"] == 10
    operator.settle()
    assert both(operator) == 5 + 11
    assert operator.call("deletions", "list", "--json").data["held"]


def test_a_new_object_is_no_deletion() -> None:
    operator = Operator()
    operator.put(GLOBAL, "new")
    operator.brokers[GLOBAL].letters.clear()
    assert operator.call("deletions", "list", "--live", "--json").data["pending"] == []
    assert operator.call("deletions", "reject", "--yes", "--json").data == {"kept": 0, "changed": 0}


def _records(operator: Operator) -> list[tuple[str, str]]:
    found = []
    for side in operator.sides.values():
        for kind in (HELD_DELETION, DELETION_APPROVAL):

            async def collect(side: object = side, kind: str = kind) -> list[tuple[str, str]]:
                return [(r.kind, r.id) async for r in side.ledger.records(kind)]  # type: ignore[attr-defined]

            found += asyncio.run(collect())
    return found


def gone(versioning: Versioning = Versioning.ENABLED) -> Operator:
    """Forty objects, all but five deleted by cn's users, on both sides: the deletions have travelled."""
    operator = emptied(versioning=versioning, lost=False)
    operator.settle()
    assert sum(operator.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == 5
    return operator


def test_what_is_gone_on_both_sides_comes_back_from_its_versions() -> None:
    operator = gone()
    answer = operator.call("deletions", "restore", "--since", "2026-09-01T00:00", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert answer.data == {"restored": 35, "changed": 0, "failed": {}}
    operator.settle()
    assert both(operator) == MANY
    operator.time.now += 3600
    run_finders(operator)
    assert both(operator) == MANY
    again = operator.call("deletions", "restore", "--since", "2026-09-01T00:00", "--yes", "--json")
    assert again.data == {"restored": 0, "changed": 0}
    acts = operator.call("audit", "--json").data["acts"]
    assert ("deletions restore", {"restored": 35, "changed": 0, "failed": 0}) in [
        (a["command"], a["result"]) for a in acts
    ]


def test_only_a_prefix_and_only_a_time_come_back() -> None:
    operator = gone()
    begun = "2026-09-01T00:00+00:00"
    call = ("deletions", "restore", "--yes", "--json", "--since")
    assert operator.call(*call, begun, "--prefix", "k1").data["restored"] == 10
    assert operator.call(*call, begun, "--until", "2026-09-02").data["restored"] == 0
    assert operator.call(*call, "2099-01-01").data["restored"] == 0
    assert "nothing was deleted on both sides" in operator.call("deletions", "restore", "--yes", "--since", "1s").out


def test_what_still_stands_on_one_side_is_left_to_reject() -> None:
    operator = emptied(versioning=Versioning.ENABLED)
    assert operator.call("deletions", "restore", "--since", "2026-09-01", "--yes", "--json").data["restored"] == 0
    assert operator.call("deletions", "reject", "--yes", "--json").data["kept"] == 35


def test_without_versions_nothing_can_be_brought_back() -> None:
    answer = gone(Versioning.NEVER).call("deletions", "restore", "--since", "4h", "--yes")
    assert answer.code == 1
    assert "neither bucket keeps versions" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "yesterday"), "--since 'yesterday': use a time such as"),
        (("--since", "2026-13-01"), "use a time such as"),
        (("--since", "1h", "--until", "2h"), "is not before"),
        (("--since", "99999999999d"), "use a time such as"),
    ],
)
def test_a_time_that_is_none_is_refused(arguments: tuple[str, ...], words: str) -> None:
    answer = Operator().call("deletions", "restore", *arguments, "--yes")
    assert (answer.code, words in answer.err) == (2, True), answer.err


def test_restoring_asks() -> None:
    assert gone().call("deletions", "restore", "--since", "2026-09-01").code == 2
