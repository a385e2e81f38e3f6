"""Test `dualsync deletions`: held deletions are listed, approved, rejected and restored."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION
from dualsync.runtime.settings import SideName
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL
MANY = 40


def emptied(*, versioning: Versioning = Versioning.NEVER, lost: bool = True) -> Operator:
    """Return a pair of 40 synced objects of which cn's users deleted all but five; by default the events are lost."""
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


def on_both_sides(operator: Operator) -> int:
    return sum(
        operator.content(CN, f"k{n:02}") == operator.content(GLOBAL, f"k{n:02}") == b"hello" for n in range(MANY)
    )


def run_finders(operator: Operator) -> None:
    operator.call("reconcile", "--yes")
    operator.settle()


def test_commands_without_held_deletions_change_nothing() -> None:
    operator = Operator()
    assert operator.call("deletions", "list").code == 0
    assert "no deletion is held" in operator.call("deletions", "list").out
    assert operator.call("deletions", "approve", "--yes", "--json").data == {"approved": 0}
    assert operator.call("deletions", "reject", "--yes", "--json").data == {"kept": 0, "changed": 0}


def test_too_many_deletions_are_held_and_listed() -> None:
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


def test_approved_deletions_are_applied_at_the_next_run() -> None:
    operator = emptied()
    run_finders(operator)
    assert operator.call("deletions", "approve").code == 2
    answer = operator.call("deletions", "approve", "--now", "--yes", "--json")
    assert answer.data["approved"] == 35
    operator.settle()
    assert sum(operator.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == 5
    assert not any(kind in (HELD_DELETION, DELETION_APPROVAL) for kind, _ in _records(operator))


def test_only_the_approved_number_is_deleted() -> None:
    operator = emptied()
    run_finders(operator)
    operator.call("deletions", "approve", "--up-to", "7", "--yes")
    operator.call("reconcile", "cn", "--yes")
    operator.settle()
    assert sum(operator.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == MANY - 7


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED])
def test_rejected_deletions_restore_the_objects(versioning: Versioning) -> None:
    operator = emptied(versioning=versioning)
    run_finders(operator)
    answer = operator.call("deletions", "reject", "--yes", "--json")
    assert answer.code == 0
    assert answer.data == {"kept": 35, "changed": 0, "failed": {}}
    operator.settle()
    assert on_both_sides(operator) == MANY
    assert operator.call("deletions", "list").code == 0
    operator.time.now += 3600
    run_finders(operator)
    assert on_both_sides(operator) == MANY
    assert operator.call("deletions", "list", "--live").code == 0


def test_rejection_prevails_over_queued_deletions() -> None:
    """cn's deletions are in its queue, and are processed before and after the objects are restored."""
    operator = emptied(lost=False)
    assert operator.call("deletions", "reject", "--yes", "--json").data["kept"] == 35
    asyncio.run(operator.work(CN, rounds=2))
    operator.settle()
    assert on_both_sides(operator) == MANY
    operator.time.now += 3600
    run_finders(operator)
    assert on_both_sides(operator) == MANY


def test_rejection_prevails_if_the_restored_objects_are_processed_first() -> None:
    operator = emptied(lost=False)
    operator.call("deletions", "reject", "--yes")
    asyncio.run(operator.work(GLOBAL, rounds=3))
    operator.settle()
    assert on_both_sides(operator) == MANY


def test_rejection_is_limited_to_a_key_or_prefix() -> None:
    operator = emptied()
    run_finders(operator)
    assert operator.call("deletions", "reject", "--key", "k10", "--yes", "--json").data["kept"] == 1
    assert operator.call("deletions", "reject", "--prefix", "k2", "--yes", "--json").data["kept"] == 10
    operator.settle()
    assert on_both_sides(operator) == 5 + 11
    assert operator.call("deletions", "list", "--json").data["held"]


def test_new_object_is_not_listed_as_a_deletion() -> None:
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
    """Return a pair of 40 objects of which all but five are deleted on both sides."""
    operator = emptied(versioning=versioning, lost=False)
    operator.settle()
    assert sum(operator.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == 5
    return operator


def test_restore_brings_back_objects_deleted_on_both_sides() -> None:
    operator = gone()
    answer = operator.call("deletions", "restore", "--since", "2026-09-01T00:00", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert answer.data == {"restored": 35, "changed": 0, "failed": {}}
    operator.settle()
    assert on_both_sides(operator) == MANY
    operator.time.now += 3600
    run_finders(operator)
    assert on_both_sides(operator) == MANY
    again = operator.call("deletions", "restore", "--since", "2026-09-01T00:00", "--yes", "--json")
    assert again.data == {"restored": 0, "changed": 0}
    acts = operator.call("audit", "--json").data["acts"]
    assert ("deletions restore", {"restored": 35, "changed": 0, "failed": 0}) in [
        (a["command"], a["result"]) for a in acts
    ]


def test_restore_is_limited_to_a_prefix_and_a_period() -> None:
    operator = gone()
    begun = "2026-09-01T00:00+00:00"
    call = ("deletions", "restore", "--yes", "--json", "--since")
    assert operator.call(*call, begun, "--prefix", "k1").data["restored"] == 10
    assert operator.call(*call, begun, "--until", "2026-09-02").data["restored"] == 0
    assert operator.call(*call, "2099-01-01").data["restored"] == 0
    assert "nothing was deleted on both sides" in operator.call("deletions", "restore", "--yes", "--since", "1s").out


def test_restore_leaves_objects_that_exist_on_one_side() -> None:
    operator = emptied(versioning=Versioning.ENABLED)
    assert operator.call("deletions", "restore", "--since", "2026-09-01", "--yes", "--json").data["restored"] == 0
    assert operator.call("deletions", "reject", "--yes", "--json").data["kept"] == 35


def test_restore_is_refused_without_versioning() -> None:
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
def test_malformed_time_is_refused(arguments: tuple[str, ...], words: str) -> None:
    answer = Operator().call("deletions", "restore", *arguments, "--yes")
    assert (answer.code, words in answer.err) == (2, True), answer.err


def test_restore_requires_confirmation() -> None:
    assert gone().call("deletions", "restore", "--since", "2026-09-01").code == 2
