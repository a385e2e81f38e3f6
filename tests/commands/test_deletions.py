"""Held deletions: seen, approved, and taken back so that nothing in flight can undo that."""

from __future__ import annotations

import asyncio

import pytest

from runtime.record import DELETION_APPROVAL, HELD_DELETION
from runtime.settings import SideName
from tests.commands.desk import Office
from tests.fakes.store import Versioning

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
