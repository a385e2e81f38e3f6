"""Test processes that were stopped: they act on nothing that they had read before."""

from __future__ import annotations

from tests.simulation.histories.stops import count


def test_histories_with_stopped_processes_end_right() -> None:
    counts = count(range(150))
    assert counts["stops"] >= 150
    assert counts["wrong"] == 0
    assert counts["equal bytes"] <= 6, "the odds in docs/decisions/2026-11-28-old-observations.md are another thing"
