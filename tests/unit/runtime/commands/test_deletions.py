"""Held deletions: seen, approved, and taken back so that nothing in flight can undo that."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION
from dualsync.runtime.settings import SideName
from tests.support.fakes.store import Versioning
from tests.support.operator_harness import Office

CN, GLOBAL = SideName.CN, SideName.GLOBAL
MANY = 40


def emptied(*, versioning: Versioning = Versioning.NEVER, lost: bool = True) -> Office:
    """Forty objects on both sides, of which cn's users deleted all but five; the events were lost."""
    office = Office(versioning=versioning)
    for number in range(MANY):
        office.put(CN if number % 2 else GLOBAL, f"k{number:02}")
    office.settle()
    office.time.now += 3600
    for number in range(5, MANY):
        office.delete(CN, f"k{number:02}")
    if lost:
        office.brokers[CN].letters.clear()
    office.time.now += 3600
    return office


def both(office: Office) -> int:
    return sum(office.content(CN, f"k{n:02}") == office.content(GLOBAL, f"k{n:02}") == b"hello" for n in range(MANY))


def run_finders(office: Office) -> None:
    office.call("reconcile", "--yes")
    office.settle()


def test_nothing_is_held() -> None:
    office = Office()
    assert office.call("deletions", "list").code == 0
    assert "no deletion is held" in office.call("deletions", "list").out
    assert office.call("deletions", "approve", "--yes", "--json").data == {"approved": 0}
    assert office.call("deletions", "reject", "--yes", "--json").data == {"kept": 0, "changed": 0}


def test_too_many_are_held_and_listed() -> None:
    office = emptied()
    answer = office.call("reconcile", "--yes", "--json")
    assert answer.code == 3
    assert answer.data["cn->global"]["held"] == 35
    office.settle()
    assert sum(office.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == MANY
    listed = office.call("deletions", "list", "--live", "--json")
    assert listed.code == 3
    assert {h["direction"]: h["count"] for h in listed.data["held"]} == {"cn->global": 35, "global->cn": 35}
    assert len(listed.data["pending"]) == 35
    assert {(d["gone_at"], d["kept_at"]) for d in listed.data["pending"]} == {("cn", "global")}
    assert "35 held" in office.call("deletions", "list").out


def test_approved_ones_go_at_the_next_run() -> None:
    office = emptied()
    run_finders(office)
    assert office.call("deletions", "approve").code == 2
    answer = office.call("deletions", "approve", "--now", "--yes", "--json")
    assert answer.data == {"approved": 35}
    office.settle()
    assert sum(office.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == 5
    assert not any(kind in (HELD_DELETION, DELETION_APPROVAL) for kind, _ in _records(office))


def test_only_as_many_as_approved() -> None:
    office = emptied()
    run_finders(office)
    office.call("deletions", "approve", "--up-to", "7", "--yes")
    office.call("reconcile", "cn", "--yes")
    office.settle()
    assert sum(office.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == MANY - 7


@pytest.mark.parametrize("versioning", [Versioning.NEVER, Versioning.ENABLED])
def test_rejected_ones_come_back(versioning: Versioning) -> None:
    office = emptied(versioning=versioning)
    run_finders(office)
    answer = office.call("deletions", "reject", "--yes", "--json")
    assert answer.code == 0
    assert answer.data == {"kept": 35, "changed": 0}
    office.settle()
    assert both(office) == MANY
    assert office.call("deletions", "list").code == 0
    office.time.now += 3600
    run_finders(office)
    assert both(office) == MANY
    assert office.call("deletions", "list", "--live").code == 0


def test_a_rejection_holds_against_deletions_on_their_way() -> None:
    """cn is paused with all its deletions in the queue; they are handled before and after the objects are back."""
    office = emptied(lost=False)
    assert office.call("deletions", "reject", "--yes", "--json").data["kept"] == 35
    asyncio.run(office.work(CN, rounds=2))
    office.settle()
    assert both(office) == MANY
    office.time.now += 3600
    run_finders(office)
    assert both(office) == MANY


def test_a_rejection_holds_when_the_survivors_come_first() -> None:
    office = emptied(lost=False)
    office.call("deletions", "reject", "--yes")
    asyncio.run(office.work(GLOBAL, rounds=3))
    office.settle()
    assert both(office) == MANY


def test_some_only() -> None:
    office = emptied()
    run_finders(office)
    assert office.call("deletions", "reject", "--key", "k10", "--yes", "--json").data["kept"] == 1
    assert office.call("deletions", "reject", "--prefix", "k2", "--yes", "--json").data["kept"] == 10
    office.settle()
    assert both(office) == 5 + 11
    assert office.call("deletions", "list", "--json").data["held"]


def test_a_new_object_is_no_deletion() -> None:
    office = Office()
    office.put(GLOBAL, "new")
    office.brokers[GLOBAL].letters.clear()
    assert office.call("deletions", "list", "--live", "--json").data["pending"] == []
    assert office.call("deletions", "reject", "--yes", "--json").data == {"kept": 0, "changed": 0}


def _records(office: Office) -> list[tuple[str, str]]:
    found = []
    for side in office.sides.values():
        for kind in (HELD_DELETION, DELETION_APPROVAL):

            async def collect(side: object = side, kind: str = kind) -> list[tuple[str, str]]:
                return [(r.kind, r.id) async for r in side.ledger.records(kind)]  # type: ignore[attr-defined]

            found += asyncio.run(collect())
    return found


def gone(versioning: Versioning = Versioning.ENABLED) -> Office:
    """Forty objects, all but five deleted by cn's users, on both sides: the deletions have travelled."""
    office = emptied(versioning=versioning, lost=False)
    office.settle()
    assert sum(office.content(GLOBAL, f"k{n:02}") is not None for n in range(MANY)) == 5
    return office


def test_what_is_gone_on_both_sides_comes_back_from_its_versions() -> None:
    office = gone()
    answer = office.call("deletions", "restore", "--since", "2026-09-01T00:00", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert answer.data == {"restored": 35, "changed": 0}
    office.settle()
    assert both(office) == MANY
    office.time.now += 3600
    run_finders(office)
    assert both(office) == MANY
    again = office.call("deletions", "restore", "--since", "2026-09-01T00:00", "--yes", "--json")
    assert again.data == {"restored": 0, "changed": 0}
    acts = office.call("audit", "--json").data["acts"]
    assert ("deletions restore", {"restored": 35, "changed": 0}) in [(a["command"], a["result"]) for a in acts]


def test_only_a_prefix_and_only_a_time_come_back() -> None:
    office = gone()
    begun = "2026-09-01T00:00+00:00"
    call = ("deletions", "restore", "--yes", "--json", "--since")
    assert office.call(*call, begun, "--prefix", "k1").data["restored"] == 10
    assert office.call(*call, begun, "--until", "2026-09-02").data["restored"] == 0
    assert office.call(*call, "2099-01-01").data["restored"] == 0
    assert "nothing was deleted on both sides" in office.call("deletions", "restore", "--yes", "--since", "1s").out


def test_what_still_stands_on_one_side_is_left_to_reject() -> None:
    office = emptied(versioning=Versioning.ENABLED)
    assert office.call("deletions", "restore", "--since", "2026-09-01", "--yes", "--json").data["restored"] == 0
    assert office.call("deletions", "reject", "--yes", "--json").data["kept"] == 35


def test_without_versions_nothing_can_be_brought_back() -> None:
    answer = gone(Versioning.NEVER).call("deletions", "restore", "--since", "4h", "--yes")
    assert answer.code == 1
    assert "neither bucket keeps versions" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "yesterday"), "--since 'yesterday': give a time as"),
        (("--since", "2026-13-01"), "give a time as"),
        (("--since", "1h", "--until", "2h"), "is not before"),
        (("--since", "99999999999d"), "give a time as"),
    ],
)
def test_a_time_that_is_none_is_refused(arguments: tuple[str, ...], words: str) -> None:
    answer = Office().call("deletions", "restore", *arguments, "--yes")
    assert (answer.code, words in answer.err) == (2, True), answer.err


def test_restoring_asks() -> None:
    assert gone().call("deletions", "restore", "--since", "2026-09-01").code == 2
