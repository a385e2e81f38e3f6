"""Test a soak of a few seconds, and the detection of figures that grow."""

from __future__ import annotations

import random

import pytest

from dualsync.runtime.settings import SideName
from tests.e2e.soak.__main__ import main, table
from tests.e2e.soak.flatness import ALLOWED, Sample, trends
from tests.e2e.soak.soak import Pace, Result, soak

MIB = 1 << 20


def samples(growing: str = "", per_sample: float = 0.0, number: int = 60) -> list[Sample]:
    """Return samples that vary like those of a worker, with one figure that grows."""
    rng = random.Random(7)
    levels = {"memory_bytes": 80 * MIB, "descriptors": 40, "tasks": 30, "pools": 6, "connections": 25}
    noise = {"memory_bytes": 4 * MIB, "descriptors": 10, "tasks": 10, "pools": 0, "connections": 10}
    return [
        Sample(
            n * 10.0,
            {
                name: round(level + rng.randint(-noise[name], noise[name]) + (n * per_sample if name == growing else 0))
                for name, level in levels.items()
            },
        )
        for n in range(number)
    ]


def test_a_figure_that_varies_without_a_trend_is_flat() -> None:
    assert all(trend.flat for trend in trends(samples()))


@pytest.mark.parametrize(
    ("name", "per_sample"),
    [("memory_bytes", 0.4 * MIB), ("descriptors", 0.5), ("tasks", 0.5), ("pools", 0.1), ("connections", 0.5)],
)
def test_a_growing_figure_is_found(name: str, per_sample: float) -> None:
    assert [trend.name for trend in trends(samples(name, per_sample)) if not trend.flat] == [name]


def test_a_peak_and_the_warm_up_are_not_counted_as_growth() -> None:
    peaks = samples()
    for sample in peaks[-2:]:
        sample.values["memory_bytes"] += 100 * MIB
    for sample in peaks[:10]:
        sample.values["memory_bytes"] -= 50 * MIB
    assert all(trend.flat for trend in trends(peaks))


@pytest.mark.parametrize("number", [0, 5])
def test_too_few_samples_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        trends(samples(number=number))


def test_every_figure_has_an_allowed_growth() -> None:
    assert set(samples()[0].values) == set(ALLOWED)


def test_growth_or_a_difference_fails_the_soak() -> None:
    flat = {side: samples() for side in SideName}
    assert Result(flat, equal=True).good
    assert not Result(flat, equal=False).good
    leaking = Result(flat | {SideName.CN: samples("tasks", 1.0)}, equal=True)
    assert not leaking.good
    assert "GROWS" in table(leaking)
    assert table(leaking).count("flat") == 9


def test_an_invalid_duration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0"]) == 2
    assert "use a number from 1 to 600" in capsys.readouterr().err


def test_a_soak_of_16_seconds_ends_equal_and_within_bounds() -> None:
    result = soak(Pace(seconds=16, per_second=2, cut_every=5, rotate_every=9, sample_every=0.8))
    assert result.equal
    assert result.cuts >= 2
    assert result.rotations >= 1
    assert all(len(found) >= 8 for found in result.samples.values())
    for found in result.trends().values():
        assert {trend.name: trend.end for trend in found}["memory_bytes"] < 400 * MIB
        assert {trend.name: trend.end for trend in found}["pools"] <= 12
