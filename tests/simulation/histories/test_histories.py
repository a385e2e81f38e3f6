"""Test random histories of the real code, and that the checker finds deliberate faults."""

from __future__ import annotations

import pytest

from tests.simulation.histories.__main__ import fixed_seeds
from tests.simulation.histories.mutants import MUTANTS, Mutant
from tests.simulation.histories.naive import naive_worker
from tests.simulation.histories.plan import draw
from tests.simulation.histories.simulation import simulate

CHUNK = 250
CHUNKS = 10


@pytest.mark.parametrize("first", range(0, CHUNK * CHUNKS, CHUNK))
def test_random_histories_end_right(first: int) -> None:
    wrong = {}
    for seed in range(first, first + CHUNK):
        found = simulate(draw(seed)).wrong
        if found:
            wrong[seed] = str(found[0])
    assert not wrong, f"`python -m tests.simulation.histories --seed {min(wrong)}` shows why"


def test_seeds_that_once_failed_end_right() -> None:
    wrong = {seed: [str(f) for f in simulate(draw(seed)).wrong] for seed in fixed_seeds()}
    assert not {seed: found for seed, found in wrong.items() if found}


def test_same_seed_gives_the_same_history() -> None:
    one, two = (simulate(draw(7), record=True) for _ in range(2))
    assert one.script == two.script
    assert one.counts == two.counts


def test_naive_worker_fails_in_some_percent_of_histories() -> None:
    wrong = sum(bool(simulate(draw(seed), naive_worker).wrong) for seed in range(200))
    assert wrong >= 4, "the checker finds nothing: it is broken"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_deliberate_fault_is_caught(mutant: Mutant) -> None:
    for seed in (*mutant.shown_by, *range(3000)):
        history = draw(seed)
        result = mutant.run(history)
        if result.wrong or result.healed:
            sound = simulate(history)
            if not sound.wrong and not sound.healed:
                return
    pytest.fail(f"no history shows what it does to {mutant.name}")
