"""`verify` finds every difference by its own means, says why it thinks so, and writes reports that stand alone."""

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
from dualsync.runtime.operations.verify.census import Item
from dualsync.runtime.operations.verify.compare import Kind, Pair, pairs
from dualsync.runtime.operations.verify.reasons import Cause
from dualsync.runtime.operations.verify.svg import bars, line
from dualsync.runtime.service.operator_controls import Orders
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import USER, FakeCensus, Office

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def synced(count: int = 20, **more: Any) -> Office:
    """Keys on both sides, an hour ago."""
    office = Office(**more)
    for number in range(count):
        office.put(CN if number % 2 else GLOBAL, f"folder/k{number:03}")
    office.settle()
    office.time.now += 3600
    return office


def silently(office: Office, *, also_old: bool = True) -> None:
    """What users did just now raised no event, and is long ago."""
    for broker in office.brokers.values():
        broker.letters.clear()
    if also_old:
        office.time.now += 3600


def verify(office: Office, *more: str) -> Any:
    return office.call("verify", "--json", *more).data


def found(office: Office, *more: str) -> dict[str, tuple[str, str]]:
    return {d["key"]: (d["kind"], d["why"]) for d in verify(office, *more)["named"]}


def census(office: Office, side: SideName) -> FakeCensus:
    fake: Any = office.sides[side].census
    assert isinstance(fake, FakeCensus)
    return fake


def test_the_same() -> None:
    office = synced()
    answer = office.call("verify")
    assert answer.code == 0
    assert answer.out.startswith("Both sides are the same.\n")
    data = verify(office)
    assert data["keys"] == {"cn": 20, "global": 20, "equal": 20, "looked_at_closely": 0}
    assert data["bytes"]["read"] == 0


def test_every_kind_of_difference() -> None:
    office = synced()
    office.put(CN, "only-cn")
    office.put(GLOBAL, "only-global")
    office.put(CN, "folder/k001", b"longer than before")
    office.put(GLOBAL, "folder/k002", b"olleh")
    office.delete(CN, "folder/k003")
    silently(office)
    answer = office.call("verify", "--json")
    assert answer.code == 3
    assert found(office) == {
        "only-cn": (Kind.ONLY_CN, Cause.MISSED),
        "only-global": (Kind.ONLY_GLOBAL, Cause.MISSED),
        "folder/k001": (Kind.SIZE, Cause.CHANGED),
        "folder/k002": (Kind.CONTENT, Cause.CHANGED),
        "folder/k003": (Kind.ONLY_GLOBAL, Cause.DELETED),
    }
    assert verify(office)["verdict"] == "5 keys differ; besides, 0 on their way, 0 so by the settings."


def test_what_is_on_its_way_is_no_fault() -> None:
    office = synced()
    office.put(CN, "new")
    answer = office.call("verify", "--json")
    assert answer.code == 0
    assert answer.data["causes"] == {Cause.UNDER_WAY: 1}
    assert office.call("verify", "--grace", "0").code == 3


def test_a_paused_direction_is_named() -> None:
    office = synced()
    office.put(CN, "new")
    silently(office)
    asyncio.run(office.cn.ledger.record(Orders(paused=True).record(1)))
    assert found(office) == {"new": (Kind.ONLY_CN, Cause.PAUSED)}


def test_a_paused_direction_is_the_likely_cause_of_what_both_sides_wrote() -> None:
    office = synced()
    office.put(CN, "new", b"cn's own")
    office.put(GLOBAL, "new", b"global's own")
    silently(office)
    asyncio.run(office.cn.ledger.record(Orders(paused=True).record(1)))
    assert found(office) == {"new": (Kind.SIZE, Cause.PAUSED)}


def test_changed_behind_both_ledgers_and_on_both_sides() -> None:
    office = synced()
    office.put(CN, "folder/k001", b"cn's own")
    office.put(GLOBAL, "folder/k001", b"global's own")
    silently(office)
    assert found(office) == {"folder/k001": (Kind.SIZE, Cause.CHANGED_BOTH)}


def test_deletions_that_do_not_travel_are_wanted() -> None:
    from dualsync.runtime.settings import Events

    office = synced(events=Events.CREATE)
    office.delete(CN, "folder/k001")
    silently(office)
    assert found(office) == {"folder/k001": (Kind.ONLY_GLOBAL, Cause.WANTED)}
    assert office.call("verify").code == 0


def test_other_etags_of_the_same_content() -> None:
    """Parts of other sizes, or encryption with a key: only the content tells."""
    office = Office()
    store = office.stores[CN]
    upload = store.create_upload("k")
    store.put_part(upload, 1, b"hello")
    store.complete_upload(upload, USER)
    office.stores[GLOBAL].put("k", b"hello", USER)
    silently(office)
    answer = office.call("verify", "--json")
    assert answer.code == 0
    assert answer.data["keys"]["looked_at_closely"] == 1
    assert found(office, "--content", "never") == {"k": (Kind.UNSURE, Cause.SIMILAR)}
    assert found(office, "--read-limit", "0") == {"k": (Kind.UNSURE, Cause.SIMILAR)}
    office.stores[GLOBAL].put("k", b"jello", USER)
    silently(office)
    assert found(office)["k"][0] == Kind.CONTENT


def test_metadata_and_tags() -> None:
    office = synced(4)
    version = office.stores[GLOBAL].current("folder/k001")
    assert version is not None
    object.__setattr__(version.seen, "attributes", Attributes("text/plain", metadata=(("a", "b"),)))
    census(office, CN).tagged["folder/k002"] = {"colour": "red"}
    assert office.call("verify").code == 0
    data = verify(office, "--metadata", "--tags")
    assert {d["key"]: (d["kind"], d["detail"]) for d in data["named"]} == {
        "folder/k001": (Kind.METADATA, "ContentType, x-amz-meta-a"),
        "folder/k002": (Kind.TAGS, "colour"),
    }


def test_all_content_finds_what_etags_hide() -> None:
    office = synced(4)
    version = office.stores[GLOBAL].current("folder/k001")
    assert version is not None
    version.body = b"rotte"
    assert office.call("verify").code == 0
    assert found(office, "--content", "all")["folder/k001"][0] == Kind.CONTENT
    assert verify(office, "--content", "all", "--sample", "0")["keys"]["looked_at_closely"] == 0


def test_what_can_not_be_read_is_told() -> None:
    office = synced(4)
    census(office, CN).denied.add("folder/k001")
    data = verify(office, "--metadata")
    assert data["kinds"] == {Kind.UNREADABLE: 1}
    assert "AccessDenied" in data["named"][0]["detail"]


def test_a_prefix() -> None:
    office = synced(4)
    office.put(CN, "other")
    silently(office)
    assert office.call("verify", "--prefix", "folder/").code == 0
    assert verify(office, "--prefix", "o")["keys"]["cn"] == 1


def test_reports_stand_alone(tmp_path: Path) -> None:
    office = synced()
    for number in range(30):
        office.put(CN, f"new<{number}>/x")
    silently(office)
    answer = office.call("verify", "--out", str(tmp_path / "reports"), "--json")
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
    return [pair async for batch in pairs(paged(a, page), paged(b, page + 1)) for pair in batch]


KEYS = st.sets(st.text(st.characters(codec="utf-8"), min_size=1, max_size=3), max_size=12)


@given(KEYS, KEYS, st.integers(1, 5))
def test_the_merge_loses_nothing(a: set[str], b: set[str], page: int) -> None:
    result = asyncio.run(merged(items(list(a)), items(list(b)), page))
    assert [pair.key for pair in result] == sorted(a | b, key=str.encode)
    assert all((pair.cn is not None) == (pair.key in a) for pair in result)
    assert all((pair.global_ is not None) == (pair.key in b) for pair in result)


def test_an_unsorted_listing_proves_nothing() -> None:
    with pytest.raises(FatalError, match="global is not sorted"):
        asyncio.run(merged(items(["a"]), items(["a", "b"])[::-1], 3))


def test_a_listing_that_fails_ends_the_comparison() -> None:
    office = synced(4)

    async def broken(prefix: str) -> AsyncIterator[Sequence[Item]]:
        yield items(["folder/k000"])
        raise FatalError("s3 ListObjectsV2: NoSuchBucket (404)")

    census(office, CN).pages = broken  # type: ignore[method-assign]
    answer = office.call("verify")
    assert answer.code == 2
    assert "NoSuchBucket" in answer.err


def test_plots() -> None:
    assert bars("t", []) == line("t", [(0, 1)], "x", "y") == ""
    assert "&lt;b&gt;" in bars("t", [("<b>", 3)])
    assert "polyline" in line("t", [(0, 0), (1, 5)], "x", "y")
