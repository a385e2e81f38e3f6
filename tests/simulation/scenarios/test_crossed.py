"""Test copies that reach the peer long after their version was deleted, and replace what the peer's users wrote.

Meanwhile the peer's version was copied to this side, so each side holds a replica of the other side's version.
"""

from __future__ import annotations

from itertools import permutations

import pytest

from tests.simulation.scenarios.script import perform

LOSER = ("global put a w1", "global deliver e1", "global take e1", "global e1 until before remote.put", "wait 1")
WINNER = ("cn put a w2", "wait 1", "cn deliver e1", "cn take e1", "cn e1 ends", "wait 15", "cn take e1~")
FOUND = ("cn put a w2", "wait 1", "cn finder f1", "cn f1 ends", "cn take f1~", "cn f1~ ends", "wait 15", "cn take f1~2")
PEER_WAITS = (
    *("global finder g1", "global g1 ends", "global take g1~", "global g1~ ends", "wait 15"),
    *("global take g1~2", "global g1~2 ends", "wait 30", "global take g1~3", "global g1~3 ends", "wait 60"),
    *("global take g1~4", "global g1~4 ends"),
)
"""A finder run at the peer, and all the checks that a conflict waits for there but the last one."""


def handled(event: str) -> tuple[str, ...]:
    return f"cn deliver {event}", f"cn take {event}", f"cn {event} ends"


@pytest.fixture(params=["", "Enabled"], ids=["no versions", "versions kept"])
def given(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return (f"given versioning cn={request.param} global={request.param}",) if request.param else ()


@pytest.mark.parametrize("fails", [True, False], ids=["killed", "recorded"])
@pytest.mark.parametrize("shown", [True, False], ids=["absence shown", "absence not shown"])
@pytest.mark.parametrize("received", [True, False], ids=["received again", "received once"])
def test_deleted_version_does_not_reappear_if_both_workers_fail(
    given: tuple[str, ...], fails: bool, shown: bool, received: bool
) -> None:
    """The peer's worker lost the answer to its own write, and checks the key again."""
    stage = perform(
        *given,
        *LOSER,
        *WINNER,
        *("cn e1~ until before remote.put", "wait 5", "cn delete a"),
        *((*handled("e2"), "wait 5") if shown else ()),
        *("global e1 until after remote.put", "global e1 fails Unavailable"),
        *(("wait 60", "cn take e1~", "cn e1~.2 ends") if received else ()),
        *("wait 5", "cn e1~ until after remote.put", "cn e1~ killed" if fails else "cn e1~ ends"),
        *(() if shown else ("cn deliver e2",)),
        *("settle", "finders"),
    )
    assert stage.users.judge(strict=False) == []


@pytest.mark.parametrize("order", list(permutations(("e1", "e2", "e3"))), ids="-".join)
@pytest.mark.parametrize("before", [(), ("e1",), ("e2",), ("e1", "e2")], ids=lambda events: "-".join(events) or "none")
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_version_deleted_after_a_finder_queued_it_does_not_reappear(
    given: tuple[str, ...], order: tuple[str, ...], before: tuple[str, ...], first: str
) -> None:
    ours, theirs = ("cn f1~2 until after remote.put", "cn f1~2 ends"), ("global e1 ends",)
    stage = perform(
        *given,
        "given grace 0",
        *LOSER,
        *FOUND,
        *("cn f1~2 until before remote.put", "wait 5", "cn delete a"),
        *(line for event in before for line in handled(event)),
        *("wait 5", *(ours if first == "ours" else theirs), "wait 5", *(theirs if first == "ours" else ours)),
        *(line for event in order if event not in before for line in handled(event)),
        *("settle", "finders"),
    )
    assert stage.users.judge(strict=False) == []


@pytest.mark.parametrize(("here", "there"), [("cn", "global"), ("global", "cn")])
def test_copy_that_is_written_again_does_not_undo_the_deletion_of_what_a_user_wrote_over_it(
    given: tuple[str, ...], here: str, there: str
) -> None:
    """The worker lost the answer to its first write, and writes again when the key is absent for a moment."""
    stage = perform(
        *given,
        *(f"{here} put a w1", f"{here} deliver e1", f"{here} take e1", f"{here} e1 until after remote.put"),
        *(f"{here} e1 fails Unavailable", f"{here} e1 ends", f"{there} deliver e1", f"{there} take e1"),
        *(f"{there} e1 ends", "wait 15", f"{here} take e1~", f"{here} e1~ until before remote.head", "wait 1"),
        *(f"{there} put a w2", f"{there} deliver e2", f"{there} take e2", f"{there} e2 until before remote.put"),
        *("wait 1", f"{there} delete a", f"{here} e1~ until before remote.put", f"{there} e2 ends"),
        *(f"{here} e1~ ends", "settle", "expect a nothing", "finders", "expect a nothing", "expect right"),
    )
    assert stage.users.judge(strict=False) == []


def test_version_that_was_deleted_before_its_arrival_was_known_does_not_reappear(given: tuple[str, ...]) -> None:
    """Its event is read before its copy is recorded, and the deletion's event long after the loser has arrived here."""
    stage = perform(
        *given,
        "given grace 0",
        *LOSER,
        *FOUND,
        *("cn f1~2 until before remote.put", "wait 5", "cn delete a", *handled("e1"), "wait 5"),
        *("cn f1~2 ends", "wait 5", "global e1 ends", *handled("e3"), *PEER_WAITS, *handled("e2")),
        *("wait 120", "global take g1~5", "global g1~5 ends"),
        *("settle", "finders", "expect a nothing", "expect right"),
    )
    assert stage.users.judge(strict=False) == []


@pytest.mark.parametrize("fails", ["cn f2~2 killed", "cn f2~2 fails Unavailable"], ids=["killed", "no answer"])
def test_write_that_undoes_a_replacement_is_made_again_if_it_fails(given: tuple[str, ...], fails: str) -> None:
    """Its announcement takes the place of that of the write which it undoes, and says the same."""
    again = ("cn take f2~2", "cn f2~2.2 ends") if "killed" in fails else ("cn take f2~3", "cn f2~3 ends")
    stage = perform(
        *given,
        "given grace 0",
        *LOSER,
        *FOUND,
        *("cn f1~2 until before remote.put", "wait 5", "cn delete a", "wait 5", "cn f1~2 until after remote.put"),
        *("cn f1~2 killed", "global e1 ends", *handled("e3"), "cn finder f2", "cn f2 ends", "cn take f2~"),
        *("cn f2~ ends", "wait 15", "cn take f2~2", "cn f2~2 until before remote.put", fails),
        *(("cn f2~2 ends",) if "killed" not in fails else ()),
        *(*PEER_WAITS, *again, "wait 120", "settle", "finders", "expect right"),
    )
    assert stage.users.judge(strict=False) == []
