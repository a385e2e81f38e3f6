"""Test the demo's comparison and result: each kind of difference, and each reason to fail."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud
from sandbox.demo.comparison import LISTING_SECONDS, QUIET_SECONDS, Comparison, Expected, Lull, Side, compare, unsettled
from sandbox.demo.report import Result
from sandbox.environment.journal import Journal
from tests.integration.sandbox.conftest import Watched

CN, GLOBAL = SideName.CN, SideName.GLOBAL


@pytest.fixture
def sides(cloud: Cloud, watched: Callable[..., Watched]) -> dict[SideName, Side]:
    return {side: Side(side, watched(side).bucket, cloud.client(side, "s3", connections=32)) for side in SideName}


def put(side: Side, key: str, content: bytes) -> None:
    side.s3.put_object(Bucket=side.bucket, Key=key, Body=content)


def both(sides: dict[SideName, Side], expected: Expected, key: str, content: bytes) -> None:
    for side in sides.values():
        put(side, key, content)
    expected.write(key, content)


def test_equal_sides_are_equal(sides: dict[SideName, Side]) -> None:
    expected = Expected()
    both(sides, expected, "a", b"1")
    both(sides, expected, "b/ü +", b"")
    found = compare(sides.values(), expected)
    assert found == Comparison({CN: 2, GLOBAL: 2}, 1, [])
    assert unsettled(sides.values(), expected) == []


def test_each_kind_of_difference_is_named(sides: dict[SideName, Side]) -> None:
    expected = Expected()
    both(sides, expected, "same", b"1")
    put(sides[CN], "one-sided", b"1")
    expected.write("one-sided", b"1")
    both(sides, expected, "back", b"1")
    expected.delete("back")
    put(sides[GLOBAL], "unwritten", b"1")
    both(sides, expected, "stale", b"old")
    expected.write("stale", b"new")
    found = compare(sides.values(), expected).differences
    assert found == [
        "back: is on cn, although a user deleted it",
        "one-sided: is missing on global",
        "stale: cn holds 3 bytes that differ from the last write",
        "unwritten: is on global, although no user wrote it",
    ]
    assert set(unsettled(sides.values(), expected)) == {"back", "unwritten", "one-sided"}


def journal(tmp_path: Path, *lines: str) -> Journal:
    made = Journal()
    made.follow(iter(lines), tmp_path / "log", "worker-cn").join()
    return made


ECHO = '{"event": "outcome", "outcome": "cancelled", "key": "a"}'
COPY = '{"event": "outcome", "outcome": "copied", "key": "a", "lag_seconds": 0.5}'
CONFLICT = '{"event": "outcome", "outcome": "skipped", "key": "c", "conflict": true}'


@pytest.fixture
def good(tmp_path: Path) -> Result:
    expected = Expected()
    expected.write("a", b"1")
    return Result(
        comparison=Comparison({CN: 1, GLOBAL: 1}, 1, []),
        expected=expected,
        writes=1,
        deletions=0,
        journal=journal(tmp_path, ECHO, COPY, CONFLICT, "not JSON"),
        conflict_won=True,
        foreign_kept=True,
        dead_letters={CN: 0, GLOBAL: 0},
        killed=False,
        seconds=1,
        steps=[],
    )


def test_a_good_run_has_no_failures(good: Result) -> None:
    assert good.failures() == []
    assert good.journal.lags() == [0.5]
    assert [line["text"] for line in good.journal.lines("text")] == ["not JSON"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"comparison": Comparison({CN: 1, GLOBAL: 1}, 1, ["a: is missing on cn"])}, "a: is missing"),
        ({"comparison": Comparison({CN: 2, GLOBAL: 1}, 1, [])}, "expected on each side"),
        ({"conflict_won": False}, "the newer version of the conflict is not on both sides"),
        ({"foreign_kept": False}, "another team"),
        ({"dead_letters": {CN: 0, GLOBAL: 2}}, "dead letters"),
        ({"writes": 0}, "an echo was copied back"),
    ],
)
def test_each_reason_to_fail(good: Result, change: dict[str, object], words: str) -> None:
    (failure,) = dataclasses.replace(good, **change).failures()  # type: ignore[arg-type]
    assert words in failure


def test_a_run_without_an_echo_or_a_conflict_fails(good: Result, tmp_path: Path) -> None:
    failures = dataclasses.replace(good, journal=journal(tmp_path, COPY)).failures()
    assert any("no echo" in f for f in failures)
    assert any("was not detected" in f for f in failures)


def test_buckets_are_listed_when_the_workers_are_idle_or_after_a_deadline() -> None:
    now, lines = 0.0, 0
    lull = Lull(lambda: lines, lambda: now)
    listed: list[float] = []
    step = 0.1
    for tick in range(1, 81):
        now = tick * step
        # Busy for four seconds, then idle.
        lines += now <= 4.0
        if lull():
            listed.append(round(now, 1))
    # While the workers are busy, buckets are listed only at the longest interval.
    assert listed[0] == pytest.approx(LISTING_SECONDS, abs=step)
    assert listed[1] == pytest.approx(4.0 + QUIET_SECONDS, abs=2 * step)
    rest = [later - earlier for earlier, later in itertools.pairwise(listed[1:])]
    assert min(rest) >= QUIET_SECONDS - 1e-9
    assert max(rest) <= QUIET_SECONDS + 2 * step
