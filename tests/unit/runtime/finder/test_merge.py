"""Test the merge of two listings: it does not depend on pages, and reports no key that only one listing passed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.errors import DualSyncError, FatalError, UnavailableError
from dualsync.runtime.finder.merge import ListedPair, MergeCounters, merge
from dualsync.runtime.model.objects import ListedObject
from tests.support.fakes.gate import run

KEY = st.text(st.sampled_from("ab/é😀\uffff\x01"), min_size=1, max_size=4)
LISTING = st.dictionaries(KEY, st.tuples(st.sampled_from("xyz"), st.integers(0, 2)), max_size=12)
CUTS = st.lists(st.integers(0, 4), max_size=12)


def rows(objects: dict[str, tuple[str, int]]) -> list[ListedObject]:
    """Return the objects in S3's order."""
    return [ListedObject(key, *objects[key], 5) for key in sorted(objects, key=str.encode)]


async def pages(
    listed: Sequence[ListedObject], cuts: Sequence[int] = (), error: Exception | None = None
) -> AsyncIterator[Sequence[ListedObject]]:
    """Yield pages of the given lengths, also empty ones, and the rest in one; then raise the error, if any."""
    at = 0
    for cut in cuts:
        yield listed[at : at + cut]
        at += cut
    if at < len(listed):
        yield listed[at:]
    if error is not None:
        raise error


def merged(
    here: AsyncIterator[Sequence[ListedObject]],
    there: AsyncIterator[Sequence[ListedObject]],
    *,
    equal_too: bool = False,
) -> tuple[list[ListedPair], MergeCounters, Exception | None]:
    """Return the pairs until the end or the error, the counters and the error."""
    counters = MergeCounters()
    pairs: list[ListedPair] = []

    async def collect() -> None:
        async for some in merge(here, there, counters, equal_too=equal_too):
            pairs.extend(some)

    try:
        run(collect())
    except DualSyncError as e:
        return pairs, counters, e
    return pairs, counters, None


@given(LISTING, LISTING, CUTS, CUTS, st.booleans())
def test_merge_equals_the_union_of_both_listings(
    a: dict[str, tuple[str, int]], b: dict[str, tuple[str, int]], cuts_a: list[int], cuts_b: list[int], equal: bool
) -> None:
    here, there = {r.key: r for r in rows(a)}, {r.key: r for r in rows(b)}
    everything = [ListedPair(k, here.get(k), there.get(k)) for k in sorted(here.keys() | there.keys(), key=str.encode)]
    same = [p for p in everything if p.here == p.there]
    pairs, counters, error = merged(pages(rows(a), cuts_a), pages(rows(b), cuts_b), equal_too=equal)
    assert error is None
    assert pairs == [p for p in everything if equal or p not in same]
    assert (counters.here, counters.there, counters.equal) == (len(a), len(b), len(same))


def test_equality_compares_etag_and_size_and_not_time() -> None:
    pairs, counters, _ = merged(pages([ListedObject("k", "e", 1, 5)]), pages([ListedObject("k", "e", 1, 9)]))
    assert (pairs, counters.equal) == ([], 1)


@pytest.mark.parametrize("page", [0, 1, 2, 3])
def test_merge_reports_no_absence_after_a_failed_listing(page: int) -> None:
    listed = rows(dict.fromkeys("abc", ("x", 1)))
    for flipped in (False, True):
        broken = pages(listed[:page], [1] * page, UnavailableError("page lost"))
        whole = pages(listed, [1, 1, 1])
        pairs, _, error = merged(whole, broken) if flipped else merged(broken, whole)
        assert isinstance(error, UnavailableError)
        assert pairs == []


def test_pairs_before_a_failure_were_listed_on_both_sides() -> None:
    here = pages(rows({"a": ("x", 1), "c": ("x", 1)}), [1, 1], UnavailableError("page lost"))
    there = pages(rows({"b": ("x", 1), "c": ("x", 1), "d": ("x", 1)}), [2, 1])
    pairs, _, error = merged(here, there)
    assert isinstance(error, UnavailableError)
    assert [p.key for p in pairs] == ["a", "b"]


@pytest.mark.parametrize(
    ("keys", "cuts"),
    [("ba", []), ("ba", [1, 1]), ("aa", []), ("aa", [1, 1]), ("acb", [2]), ("abab", [2, 2])],
)
@pytest.mark.parametrize("local", [True, False])
def test_unordered_listing_is_a_fatal_error(keys: str, cuts: list[int], local: bool) -> None:
    wrong = pages([ListedObject(k, "x", 1, 5) for k in keys], cuts)
    right = pages([])
    pairs, _, error = merged(wrong, right) if local else merged(right, wrong)
    assert isinstance(error, FatalError)
    assert f"the {'local' if local else 'remote'} listing is not in UTF-8 binary order" in str(error)
    assert len(pairs) < len(keys)


def test_merge_of_two_empty_listings_is_empty() -> None:
    assert merged(pages([]), pages([], [0, 0])) == ([], MergeCounters(), None)
