"""Test random histories of one-way pairs, and that their judge finds deliberate faults."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualsync.runtime.settings import Settings
from dualsync.runtime.sync import decision, full_sync, one_way
from dualsync.runtime.sync.decision import Action, Decision, KeyState
from tests.simulation.histories.plan import draw
from tests.simulation.histories.simulation import simulate
from tests.simulation.one_way.mirror import draw_one_way, simulate_one_way

CHUNK = 250
CHUNKS = 4
Decide = Callable[[Settings, KeyState], Decision]


@pytest.mark.parametrize("first", range(0, CHUNK * CHUNKS, CHUNK))
def test_random_histories_end_as_a_mirror(first: int) -> None:
    wrong = {}
    for seed in range(first, first + CHUNK):
        found = simulate_one_way(draw_one_way(seed)).wrong
        if found:
            wrong[seed] = str(found[0])
    assert not wrong


def test_same_seed_gives_the_same_history() -> None:
    one, two = (simulate_one_way(draw_one_way(7)) for _ in range(2))
    assert (one.steps, one.counts) == (two.steps, two.counts)


def test_both_directions_are_drawn() -> None:
    assert {draw_one_way(seed).modes.settings[-1][1] for seed in range(20)} == {"cn-to-global", "global-to-cn"}


def test_two_way_history_of_a_seed_is_unchanged() -> None:
    before = draw(11)
    draw_one_way(11)
    assert draw(11) == before
    assert simulate(before).steps == simulate(draw(11)).steps


def _two_way(settings: Settings, state: KeyState) -> Decision:
    return decision.decide(state)


def _deletes_what_is_alone(settings: Settings, state: KeyState) -> Decision:
    if state.local is None and state.remote is not None:
        return Decision(Action.DELETE_REMOTE, "a mirror without mercy")
    return one_way.decide(state)


def _keeps_changes(settings: Settings, state: KeyState) -> Decision:
    found = one_way.decide(state)
    changed = state.local is not None and state.remote is not None and not state.remote.is_replica
    return Decision(Action.NOTHING, "left") if changed and found.action is Action.PUSH else found


def _forgets_deletions(settings: Settings, state: KeyState) -> Decision:
    found = one_way.decide(state)
    return Decision(Action.NOTHING, "left") if found.action is Action.DELETE_REMOTE else found


MUTANTS: dict[str, Decide] = {
    "the two-way table": _two_way,
    "what is alone is deleted": _deletes_what_is_alone,
    "changes at the destination are left": _keeps_changes,
    "late deletions are left": _forgets_deletions,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_deliberate_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_sync, "decide_for", MUTANTS[name])
    if not any(simulate_one_way(draw_one_way(seed)).wrong for seed in range(400)):
        pytest.fail(f"no history shows that {name}")
