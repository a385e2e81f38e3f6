"""Test `dualsync verify`: it finds all differences independently, gives causes, and writes self-contained reports."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.errors import FatalError
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.operations.verify.bucket_lister import Item
from dualsync.runtime.operations.verify.compare import ComparisonCounts, ComparisonDepth, Kind, Pair, merge_listings
from dualsync.runtime.operations.verify.reasons import Cause
from dualsync.runtime.operations.verify.run import verify as compare
from dualsync.runtime.operations.verify.svg import bar_chart, line_chart
from dualsync.runtime.service.operator_controls import DirectionControls
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import USER, FakeBucketLister, Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def synced(count: int = 20, **more: Any) -> Operator:
    """Return a pair with these keys synced an hour ago."""
    operator = Operator(**more)
    for number in range(count):
        operator.put(CN if number % 2 else GLOBAL, f"folder/k{number:03}")
    operator.settle()
    operator.time.now += 3600
    return operator


def silently(operator: Operator, *, also_old: bool = True) -> None:
    """Drop the events of what users just did, and by default let an hour pass."""
    for broker in operator.brokers.values():
        broker.letters.clear()
    if also_old:
        operator.time.now += 3600


def verify(operator: Operator, *more: str) -> Any:
    return operator.call("verify", "--json", *more).data


def found(operator: Operator, *more: str) -> dict[str, tuple[str, str]]:
    return {d["key"]: (d["kind"], d["why"]) for d in verify(operator, *more)["named"]}


def lister(operator: Operator, side: SideName) -> FakeBucketLister:
    fake: Any = operator.sides[side].lister
    assert isinstance(fake, FakeBucketLister)
    return fake


def test_equal_sides_exit_with_zero() -> None:
    operator = synced()
    answer = operator.call("verify")
    assert answer.code == 0
    assert answer.out.endswith("Both sides are the same.\n")
    data = verify(operator)
    assert data["keys"] == {"cn": 20, "global": 20, "equal": 20, "looked_at_closely": 0}
    assert data["bytes"]["read"] == 0


def test_all_kinds_of_differences_are_found() -> None:
    operator = synced()
    operator.put(CN, "only-cn")
    operator.put(GLOBAL, "only-global")
    operator.put(CN, "folder/k001", b"longer than before")
    operator.put(GLOBAL, "folder/k002", b"olleh")
    operator.delete(CN, "folder/k003")
    silently(operator)
    answer = operator.call("verify", "--json")
    assert answer.code == 3
    assert found(operator) == {
        "only-cn": (Kind.ONLY_CN, Cause.MISSED),
        "only-global": (Kind.ONLY_GLOBAL, Cause.MISSED),
        "folder/k001": (Kind.SIZE, Cause.CHANGED),
        "folder/k002": (Kind.CONTENT, Cause.CHANGED),
        "folder/k003": (Kind.ONLY_GLOBAL, Cause.DELETED),
    }
    assert verify(operator)["verdict"] == "5 keys differ; besides, 0 on their way, 0 so by the settings."


def test_step_of_the_wall_clock_does_not_bend_the_progress() -> None:
    operator = synced()

    def step(_: ComparisonCounts) -> None:
        operator.time.now += 5
        operator.clock.skew -= 3600

    report = asyncio.run(compare(operator.context(), ComparisonDepth(), grace=0, on_progress=step))
    seconds = [at for at, _ in report.progress]
    assert len(seconds) > 1
    assert seconds == [5.0 * number for number in range(len(seconds))]


def test_change_within_the_grace_period_is_under_way() -> None:
    operator = synced()
    operator.put(CN, "new")
    answer = operator.call("verify", "--json")
    assert answer.code == 0
    assert answer.data["causes"] == {Cause.UNDER_WAY: 1}
    assert operator.call("verify", "--grace", "0").code == 3


def test_difference_of_a_paused_direction_has_that_cause() -> None:
    operator = synced()
    operator.put(CN, "new")
    silently(operator)
    asyncio.run(operator.cn.ledger.record(DirectionControls(paused=True).record(1)))
    assert found(operator) == {"new": (Kind.ONLY_CN, Cause.PAUSED)}


def test_pause_is_the_cause_of_a_key_written_on_both_sides() -> None:
    operator = synced()
    operator.put(CN, "new", b"cn's own")
    operator.put(GLOBAL, "new", b"global's own")
    silently(operator)
    asyncio.run(operator.cn.ledger.record(DirectionControls(paused=True).record(1)))
    assert found(operator) == {"new": (Kind.SIZE, Cause.PAUSED)}


def test_key_changed_on_both_sides_without_events_is_found() -> None:
    operator = synced()
    operator.put(CN, "folder/k001", b"cn's own")
    operator.put(GLOBAL, "folder/k001", b"global's own")
    silently(operator)
    assert found(operator) == {"folder/k001": (Kind.SIZE, Cause.CHANGED_BOTH)}


def test_deletion_that_is_not_synced_is_accepted() -> None:
    from dualsync.runtime.settings import Events

    operator = synced(events=Events.CREATE)
    operator.delete(CN, "folder/k001")
    silently(operator)
    assert found(operator) == {"folder/k001": (Kind.ONLY_GLOBAL, Cause.WANTED)}
    assert operator.call("verify").code == 0


def test_equal_content_with_other_etags_is_compared_by_content() -> None:
    """With other part sizes or KMS encryption, only the content can be compared."""
    operator = Operator()
    store = operator.stores[CN]
    upload = store.create_upload("k")
    store.put_part(upload, 1, b"hello")
    store.complete_upload(upload, USER)
    operator.stores[GLOBAL].put("k", b"hello", USER)
    silently(operator)
    answer = operator.call("verify", "--json")
    assert answer.code == 0
    assert answer.data["keys"]["looked_at_closely"] == 1
    assert found(operator, "--content", "never") == {"k": (Kind.UNSURE, Cause.SIMILAR)}
    assert found(operator, "--read-limit", "0") == {"k": (Kind.UNSURE, Cause.SIMILAR)}
    operator.stores[GLOBAL].put("k", b"jello", USER)
    silently(operator)
    assert found(operator)["k"][0] == Kind.CONTENT


def test_metadata_and_tags_are_compared_if_requested() -> None:
    operator = synced(4)
    version = operator.stores[GLOBAL].current("folder/k001")
    assert version is not None
    object.__setattr__(version.seen, "attributes", Attributes("text/plain", metadata=(("a", "b"),)))
    lister(operator, CN).tagged["folder/k002"] = {"colour": "red"}
    assert operator.call("verify").code == 0
    data = verify(operator, "--metadata", "--tags")
    assert {d["key"]: (d["kind"], d["detail"]) for d in data["named"]} == {
        "folder/k001": (Kind.METADATA, "ContentType, x-amz-meta-a"),
        "folder/k002": (Kind.TAGS, "colour"),
    }


def test_all_content_finds_corruption_that_etags_do_not_show() -> None:
    operator = synced(4)
    version = operator.stores[GLOBAL].current("folder/k001")
    assert version is not None
    version.body = b"rotte"
    assert operator.call("verify").code == 0
    assert found(operator, "--content", "all")["folder/k001"][0] == Kind.CONTENT
    assert verify(operator, "--content", "all", "--sample", "0")["keys"]["looked_at_closely"] == 0


def test_unreadable_object_is_reported() -> None:
    operator = synced(4)
    lister(operator, CN).denied.add("folder/k001")
    data = verify(operator, "--metadata")
    assert data["kinds"] == {Kind.UNREADABLE: 1}
    assert "AccessDenied" in data["named"][0]["detail"]


def test_verify_is_limited_to_a_prefix() -> None:
    operator = synced(4)
    operator.put(CN, "other")
    silently(operator)
    assert operator.call("verify", "--prefix", "folder/").code == 0
    assert verify(operator, "--prefix", "o")["keys"]["cn"] == 1


def test_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder, words in ((file, "File exists"), (file / "below", "Not a directory")):
        answer = Operator().call("verify", "--out", str(folder))
        assert answer.code == 2
        assert answer.err == f"error: --out {folder}: {words}; give a folder that can be written\n"


def test_reports_are_self_contained(tmp_path: Path) -> None:
    operator = synced()
    for number in range(30):
        operator.put(CN, f"new<{number}>/x")
    silently(operator)
    answer = operator.call("verify", "--out", str(tmp_path / "reports"), "--json")
    assert answer.code == 3
    files = {file.suffix: file for file in (tmp_path / "reports").iterdir()}
    assert sorted(files) == [".html", ".json", ".jsonl", ".txt"]
    assert len(files[".jsonl"].read_text().splitlines()) == 30
    assert json.loads(files[".json"].read_text())["differences"] == 30
    assert "30 keys differ" in files[".txt"].read_text()
    page = files[".html"].read_text()
    assert "30 keys differ" in page
    assert page.count("<svg") >= 4
    assert not re.search(r"<script|https?:|src=|<link", page)
    assert "new&lt;1&gt;/x" in page
    assert "new<1>" not in page


def items(keys: Sequence[str]) -> list[Item]:
    return [Item(key, 1, "e", 1) for key in sorted(keys, key=str.encode)]


async def paged(rows: Sequence[Item], page: int) -> AsyncIterator[Sequence[Item]]:
    for start in range(0, len(rows), page):
        yield rows[start : start + page]
    yield []


async def merged(a: Sequence[Item], b: Sequence[Item], page: int) -> list[Pair]:
    return [pair async for batch in merge_listings(paged(a, page), paged(b, page + 1)) for pair in batch]


KEYS = st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=3), max_size=12)


@given(KEYS, KEYS, st.integers(1, 5))
def test_merge_contains_all_keys_of_both_sides(a: set[str], b: set[str], page: int) -> None:
    result = asyncio.run(merged(items(list(a)), items(list(b)), page))
    assert [pair.key for pair in result] == sorted(a | b, key=str.encode)
    assert all((pair.cn is not None) == (pair.key in a) for pair in result)
    assert all((pair.global_ is not None) == (pair.key in b) for pair in result)


def test_unsorted_listing_is_a_fatal_error() -> None:
    with pytest.raises(FatalError, match="global is not sorted"):
        asyncio.run(merged(items(["a"]), items(["a", "b"])[::-1], 3))


def test_failed_listing_ends_the_comparison() -> None:
    operator = synced(4)

    async def broken(prefix: str) -> AsyncIterator[Sequence[Item]]:
        yield items(["folder/k000"])
        raise FatalError("s3 ListObjectsV2: NoSuchBucket (404)")

    lister(operator, CN).pages = broken  # type: ignore[method-assign]
    answer = operator.call("verify")
    assert answer.code == 2
    assert "NoSuchBucket" in answer.err


def test_plots_are_empty_without_data_and_escape_text() -> None:
    assert bar_chart("t", []) == line_chart("t", [(0, 1)], "x", "y") == ""
    assert "&lt;b&gt;" in bar_chart("t", [("<b>", 3)])
    assert "polyline" in line_chart("t", [(0, 0), (1, 5)], "x", "y")
