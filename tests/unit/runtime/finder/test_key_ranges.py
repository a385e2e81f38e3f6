"""Test key ranges: together they cover all keys, each key is in one range, and the sampled keys are few and even."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.finder.key_ranges import MAX_POINT_CHARACTERS, POINTS, KeySampler, divide, evenly_spaced_keys
from dualsync.runtime.model.key_filter import KeyRange

KEY = st.text(st.sampled_from("ab/é😀\uffff\x01"), min_size=1, max_size=4)


def within(key: str, range: KeyRange) -> bool:
    """Return whether the key is in the range, in S3's order of bytes."""
    encoded = key.encode()
    return range.after.encode() < encoded and (not range.until or encoded <= range.until.encode())


@given(st.lists(KEY), st.integers(1, 32), st.lists(KEY))
def test_each_key_is_in_exactly_one_range(points: list[str], number: int, keys: list[str]) -> None:
    ranges = divide(points, number)
    assert len(ranges) <= number
    assert len(ranges) == min(number, len(set(points)) + 1)
    for key in [*keys, *points]:
        assert sum(within(key, range) for range in ranges) == 1


@given(KEY, KEY, st.text(st.sampled_from("ab/é😀\uffff\x01"), max_size=3), KEY)
def test_range_with_a_key_of_a_prefix_meets_the_prefix(after: str, until: str, prefix: str, key: str) -> None:
    for range in (KeyRange(after, until), KeyRange("", until), KeyRange(after, "")):
        if key.startswith(prefix) and within(key, range):
            assert range.may_contain(prefix)


def test_range_does_not_meet_a_prefix_outside_it() -> None:
    assert not KeyRange("b", "").may_contain("a")
    assert not KeyRange("", "b").may_contain("c")
    assert not KeyRange("ab", "").may_contain("aa")
    assert KeyRange("ab", "").may_contain("a")
    assert KeyRange("ab", "ac").may_contain("a")


def passed(keys: int, page: int = 1) -> KeySampler:
    sampler = KeySampler()
    for n in range(page, keys + 1, page):
        sampler.count_keys(page, f"{n:09}")
    return sampler


def test_sampled_keys_are_few_and_evenly_spaced() -> None:
    for keys, page in ((10, 1), (1000, 1), (10_000_000, 1000)):
        sampler = passed(keys, page)
        numbers = [int(key) for key in sampler.keys]
        assert len(numbers) < 2 * POINTS
        gaps = {b - a for a, b in pairwise(numbers)}
        assert max(gaps) <= 2 * min(gaps)


def test_points_sampled_in_unequal_ranges_divide_all_keys_evenly() -> None:
    small, large = passed(1000), KeySampler()
    for n in range(1, 100_001):
        large.count_keys(1, f"9{n:08}")
    points = evenly_spaced_keys([small, large])
    assert len(points) <= POINTS
    assert sum(point < "9" for point in points) <= 2
    ranges = divide(points, 4)
    edges = [int(range.until[1:]) for range in ranges if range.until]
    assert [round(edge / 25_000) for edge in edges] == [1, 2, 3]


def test_few_keys_give_few_ranges() -> None:
    assert evenly_spaced_keys([]) == []
    assert evenly_spaced_keys([passed(1)]) == []
    assert len(divide(evenly_spaced_keys([passed(2)]), 8)) == 2


def test_point_is_truncated_to_its_maximum_length() -> None:
    sampler = KeySampler()
    sampler.count_keys(1, "x" * 1024)
    assert [len(key) for key in sampler.keys] == [MAX_POINT_CHARACTERS]
