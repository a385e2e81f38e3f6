"""Test the deletion guard: too many deletions of one finder run wait for an operator, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from dualsync.runtime.finder.deletion_guard import FREE_SHARE
from dualsync.runtime.model.records import DELETION_APPROVAL, HELD_DELETION
from tests.support.builders import USER
from tests.support.finder_harness import FinderHarness


def with_deletions(count: int, of: int, **changes: Any) -> FinderHarness:
    """Return a finder over `of` synced keys of which `count` are deleted here, and one new key."""
    world = FinderHarness(**changes)
    keys = [f"k{i:04d}" for i in range(of)]
    world.both(*keys)
    for key in keys[:count]:
        world.here.delete(key, USER)
    world.only_here("new")
    return world


@pytest.mark.parametrize(
    ("count", "of", "changes", "reason"),
    [
        (3, 100, {"deletion_limit": 2}, "3 deletions, more than 2 (DUALSYNC_DELETION_LIMIT)"),
        (1, 100, {"deletion_limit": 0}, "1 deletions, more than 0 (DUALSYNC_DELETION_LIMIT)"),
        (12, 100, {"deletion_limit_percent": 11}, "12 deletions of 100 keys, more than 11 %"),
    ],
)
def test_too_many_deletions_are_held_and_copying_continues(
    count: int, of: int, changes: dict[str, int], reason: str
) -> None:
    world = with_deletions(count, of, **changes)
    report = world.find()
    assert world.queued_keys() == ["new"]
    assert report.held == count
    record = world.record(HELD_DELETION)
    assert record is not None
    assert record.data["count"] == count
    assert str(record.data["reason"]).startswith(reason)
    sample = record.data["sample"]
    assert isinstance(sample, list)
    assert sample[0] == "deleted here: k0000"
    assert world.log.of("finder")[0]["state"] == "held"


@pytest.mark.parametrize(
    ("count", "of", "changes"),
    [
        (2, 100, {"deletion_limit": 2}),
        (11, 100, {"deletion_limit_percent": 11}),
        (FREE_SHARE, 12, {"deletion_limit_percent": 0}),
    ],
    ids=["the number", "the share", "the free ones"],
)
def test_deletions_up_to_the_limit_are_queued(count: int, of: int, changes: dict[str, int]) -> None:
    world = with_deletions(count, of, **changes)
    assert world.find().held == 0
    assert len(world.queued()) == count + 1
    assert world.record(HELD_DELETION) is None


@pytest.mark.parametrize("here", [True, False])
def test_deletions_are_held_if_one_side_is_empty(here: bool) -> None:
    world = FinderHarness()
    world.both("a", "b")
    for key in "ab":
        (world.here if here else world.there).delete(key, USER)
    report = world.find()
    assert report.held == 2
    assert "listing is empty" in report.reason
    assert world.queued() == []


def test_hold_ends_when_the_deletions_are_below_the_limit() -> None:
    world = with_deletions(3, 100, deletion_limit=2)
    world.find()
    world.here.put("k0000", b"k0000", USER)
    assert world.find().held == 0
    assert world.record(HELD_DELETION) is None


def test_approved_deletions_are_queued_once() -> None:
    world = with_deletions(5, 100, deletion_limit=2)
    assert world.find().held == 5
    world.approve(5)
    assert world.find().held == 0
    assert len(world.queued()) == 6
    assert world.record(HELD_DELETION) is None
    assert world.record(DELETION_APPROVAL) is None
    assert world.find().held == 5


def test_approval_covers_only_its_number_of_deletions() -> None:
    world = with_deletions(8, 100, deletion_limit=2)
    world.approve(5)
    assert world.find().held == 3
    assert sum(request.may_delete for request in world.queued()) == 5
    assert world.find().held == 8


def test_deletions_of_an_empty_side_can_be_approved() -> None:
    world = FinderHarness()
    world.both("a", "b")
    for key in "ab":
        world.here.delete(key, USER)
    world.approve(2)
    assert world.find().held == 0
    assert sorted(world.queued_keys()) == ["a", "b"]


@pytest.mark.parametrize("up_to", [None, "all", 0, -1])
def test_approval_without_a_valid_number_approves_nothing(up_to: object) -> None:
    world = with_deletions(3, 100, deletion_limit=2)
    world.approve(up_to)
    assert world.find().held == 3


def test_record_of_held_deletions_names_a_bounded_sample() -> None:
    world = with_deletions(300, 400, deletion_limit=5)
    assert world.find().held == 300
    record = world.record(HELD_DELETION)
    assert record is not None
    assert record.data["count"] == 300
    sample = record.data["sample"]
    assert isinstance(sample, list)
    assert len(sample) == 100


def test_record_of_held_deletions_shortens_long_keys_visibly() -> None:
    world = FinderHarness(deletion_limit=1)
    keys = ["a" * 256, "b" * 200 + "c" * 800]
    world.both(*keys, "kept")
    for key in keys:
        world.here.delete(key, USER)
    assert world.find().held == 2
    record = world.record(HELD_DELETION)
    assert record is not None
    assert record.data["sample"] == [
        f"deleted here: {keys[0]}",
        f"deleted here, shortened: {'b' * 128}…{'c' * 127}",
    ]
    world.approve(2)
    world.find()
    assert set(world.queued_keys()) == set(keys), "only the sample is shortened"
