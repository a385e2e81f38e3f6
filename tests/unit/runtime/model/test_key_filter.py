"""Test the key filter: which keys a list of prefixes covers."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.finder.key_ranges import divide
from dualsync.runtime.finder.scoped_listing import list_scope
from dualsync.runtime.model.key_filter import EVERYTHING, KeyFilter, KeyRange
from tests.support.builders import USER, Side, settings
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.gate import run

TEXT = st.text(st.sampled_from("ab/é"), max_size=4)
KEY = st.text(st.sampled_from("ab/é"), min_size=1, max_size=5)


@given(st.lists(TEXT), st.lists(KEY))
def test_key_is_covered_if_it_begins_with_a_listed_prefix(prefixes: list[str], keys: list[str]) -> None:
    scope = KeyFilter.from_prefixes(prefixes)
    for key in keys:
        assert scope.covers(key) == any(key.startswith(prefix) for prefix in prefixes)
    assert all(not b.startswith(a) for a in scope.prefixes for b in scope.prefixes if a != b)


@given(st.lists(TEXT, min_size=1), st.sets(KEY), st.lists(KEY), st.integers(1, 4))
def test_scope_lists_the_covered_keys_of_a_range_in_order(
    prefixes: list[str], keys: set[str], points: list[str], number: int
) -> None:
    side = Side(settings())
    for key in keys:
        side.here.put("p/" + key, b"", USER)
    scope = KeyFilter.from_prefixes(prefixes)
    bucket = FakeBucket(side.here, "role", prefix="p/", page=2)
    found = [key for within in divide(points, number) for key in listed(scope, bucket, within)]
    assert found == sorted(key for key in keys if scope.covers(key))


def listed(scope: KeyFilter, bucket: FakeBucket, within: KeyRange) -> Sequence[str]:
    async def collect() -> list[str]:
        return [row.key async for rows in list_scope(scope, bucket, within) for row in rows]

    return run(collect())


def test_only_listed_prefixes_within_the_range_are_requested() -> None:
    asked: list[tuple[str, str, str]] = []

    class Recording(FakeBucket):
        def list(self, after: str = "", until: str = "", prefix: str = ""):  # type: ignore[no-untyped-def]
            asked.append((after, until, prefix))
            return super().list(after, until, prefix)

    bucket = Recording(Side(settings()).here, "role")
    listed(KeyFilter.from_prefixes(["b/", "a/", "a/x", "c/"]), bucket, KeyRange("", "b/k"))
    assert asked == [("", "b/k", "a/"), ("", "b/k", "b/")]


def test_filter_name_identifies_the_covered_keys() -> None:
    assert EVERYTHING.name == "" == KeyFilter.from_prefixes(["", "a"]).name
    assert (
        KeyFilter.from_prefixes(["a", "b"]).name
        == KeyFilter.from_prefixes(["b", "a", "ab"]).name
        != KeyFilter.from_prefixes(["a", "c"]).name
    )
