"""Test random histories with forged lifecycle events, in every second history after each message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.histories.forger import EXPIRIES, NAMES
from tests.simulation.histories.plan import draw
from tests.simulation.histories.simulation import Simulation, simulate


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_histories_with_forged_expiries_end_right(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Simulation, "forged_names", (*NAMES, *EXPIRIES))
    for seed in range(first, first + 25):
        plain = draw(seed)
        result = simulate(replace(plain, modes=replace(plain.modes, forge=(0.3, 1.0)[seed % 2])))
        assert not result.wrong, seed
        assert result.counts["forged"]
