"""Test all stories of the folder's `*.scenario` files, and stories in all orders of their events."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from tests.simulation.scenarios.script import Scenario, perform, scenarios
from tests.simulation.scenarios.stage import ScenarioError

STATES = ("", "Enabled", "Suspended")


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda s: f"{s.file}:{s.line} {s.title}")
def test_scenario(scenario: Scenario) -> None:
    scenario.perform()


@pytest.mark.parametrize("order", list(permutations(("e1", "e2", "e3"))), ids="-".join)
@pytest.mark.parametrize("again", ["e1", "e2", "e3"])
def test_put_delete_put_in_any_order_of_arrival(order: tuple[str, ...], again: str) -> None:
    acts = ("cn put a one", "wait 2", "cn delete a", "wait 2", "cn put a two")
    arrivals = (f"cn deliver {e}" for e in (*order, again))
    perform(*acts, *arrivals, "settle", "expect a two", "expect right", "expect writes 1", "finders", "expect a two")


@pytest.mark.parametrize("order", list(permutations(("e1", "e2", "e3", "e4"))), ids="-".join)
def test_ending_with_a_deletion_in_any_order_of_arrival(order: tuple[str, ...]) -> None:
    acts = ("cn put a one", "cn delete a", "cn put a two", "cn delete a")
    perform(*acts, *(f"cn deliver {e}" for e in order), "settle", "expect a nothing", "expect right")


@pytest.mark.parametrize("order", list(permutations(("e1", "e2", "e3"))), ids="-".join)
def test_events_processed_one_after_the_other_end_right(order: tuple[str, ...]) -> None:
    acts = ("cn put a one", "wait 2", "cn delete a", "wait 2", "cn put a two")
    turns = (line for e in order for line in (f"cn deliver {e}", f"cn take {e}", f"cn {e} ends"))
    perform(*acts, *turns, "settle", "expect a two", "expect right")


@pytest.mark.parametrize(("cn", "there"), list(product(STATES, STATES)))
def test_scenario_ends_right_with_any_mix_of_versioning(cn: str, there: str) -> None:
    given = " ".join(f"{side}={state}" for side, state in (("cn", cn), ("global", there)) if state)
    start = (f"given versioning {given}",) if given else ()
    stage = perform(
        *start,
        "cn put a one",
        "settle",
        "expect a one",
        "global put a two",
        "settle",
        "expect a two",
        "cn delete a",
        "settle",
        "expect a nothing",
        "global put a three",
        "settle",
        "expect a three",
        "global delete a",
        "settle",
        "expect a nothing",
        "expect right",
        "finders",
        "expect a nothing",
        "expect right",
    )
    assert stage.users.writes == 3


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("deleted", ["cn", "global"])
@pytest.mark.parametrize("restored", ["cn", "global"])
@pytest.mark.parametrize("other", STATES)
def test_removed_delete_marker_restores_the_object(silent: bool, deleted: str, restored: str, other: str) -> None:
    peer = "global" if restored == "cn" else "cn"
    versioning = f"{restored}=Enabled" + (f" {peer}={other}" if other else "")
    perform(
        f"given versioning {versioning}",
        f"given silent_undelete {silent}",
        "cn put a one",
        "settle",
        "wait 100",
        f"{deleted} delete a",
        "settle",
        "expect a nothing",
        "wait 100",
        f"{restored} undelete a",
        *(("finders",) if silent else ("settle",)),
        "expect a one",
        "finders",
        "expect a one",
        "expect right",
    )


def test_wrong_expectation_fails() -> None:
    with pytest.raises(ScenarioError, match="'a' on cn: one, expected two"):
        perform("cn put a one", "expect a two")
    with pytest.raises(ScenarioError, match="diverged"):
        perform("cn put a one", "expect right")
    with pytest.raises(ScenarioError, match="no message"):
        perform("cn take e1")
