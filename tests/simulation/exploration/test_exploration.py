"""Test that all schedules of all short histories end right. `make explore` explores more and longer ones."""

from __future__ import annotations

import pytest

from tests.simulation.exploration.explorer import Exploration
from tests.simulation.exploration.rows import ROWS, Row, Runner

QUICK = [row for row in ROWS if row.quick]


@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.name)
def test_every_schedule_ends_right(row: Row) -> None:
    runner = Runner(row)
    found = Exploration()
    for start, sequence, timing in row.histories():
        found.add(runner.run(start, sequence, timing))
    assert not found.wrong, "\n".join((found.wrong[0][0], *found.wrong[0][1]))
    assert not found.cut
    assert found.ends > found.needed_finder


def test_explorer_finds_every_order_of_two_writes() -> None:
    row = Row("", 2)
    found = Runner(row).run("empty", (("cn", "put"), ("global", "put")), "own second")
    assert found.schedules > 1000
    assert found.states < found.schedules


def test_versions_of_equal_rank_may_both_win() -> None:
    """The first write is taken for the object that was there before, as its bytes are the same: a named exception."""
    row = Row("", 3, starts=("cn",))
    acts = (("cn", "same bytes"), ("global", "put"), ("cn", "same bytes"))
    found = Runner(row).run("cn", acts, "same second")
    assert found.ends
    assert not found.wrong


def test_rows_have_different_histories_and_names() -> None:
    for row in ROWS:
        histories = list(row.histories())
        assert histories
        assert len(set(histories)) == len(histories)
    assert len({row.name for row in ROWS}) == len(ROWS)
