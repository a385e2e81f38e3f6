"""Test that `--json` keeps the member names that version 0.1 printed, since programs read them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dualsync.runtime.model.records import DELETION_APPROVAL, FINDER_RUN, HELD_DELETION, Record
from dualsync.runtime.settings import SideName
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL
FIXTURE = Path(__file__).resolve().parents[4] / "contract" / "formats" / "v0_1" / "cli-json.json"
CASES = {case["name"]: case["decoded"] for case in json.loads(FIXTURE.read_text())["cases"]}
COUNTS = {
    *("total", "recent", "dead_reasons", "found", "kinds", "causes", "folders", "ages", "sizes", "data", "left"),
    *("arguments", "result"),
}
"""Members whose names are data: outcomes, reasons, folders."""


def missing(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the names of the old document that the new one lacks."""
    if isinstance(old, dict) and isinstance(new, dict):
        lost = [f"{path}/{name}" for name in old if name not in new]
        return lost + [
            each
            for name in old
            if name in new and name not in COUNTS
            for each in missing(old[name], new[name], f"{path}/{name}")
        ]
    if isinstance(old, list) and isinstance(new, list) and old and new:
        return missing(old[0], new[0], path + "[]")
    return []


@pytest.fixture
def operator() -> Operator:
    """Return both sides after a conflict, a copy, a deletion, a dead letter and held, approved deletions."""
    operator = Operator(versioning=Versioning.ENABLED)
    operator.put(CN, "both", b"cn's")
    operator.time.now += 2
    operator.put(GLOBAL, "both", b"global's")
    for name in ("a", "Straße/über.txt"):
        operator.put(CN, name)
    operator.settle()
    operator.delete(CN, "a")
    operator.settle()
    operator.brokers[CN].dead.append(('{"dualsync": {"key": "k", "cause": "created"}}', "archived: restore it first"))
    asyncio.run(operator.heartbeat())
    now = int(operator.time.now)
    for kind in (HELD_DELETION, DELETION_APPROVAL, FINDER_RUN):
        asyncio.run(
            operator.cn.ledger.record(
                Record(kind, "x", now, data={"count": 1, "up_to": 1, "reason": "r", "sample": []})
            )
        )
    operator.call("pause", "cn", "--yes")
    return operator


READS = [
    name
    for name in CASES
    if name.removeprefix("dualsync ").split()[0] in ("status", "explain", "plan", "audit", "verify", "rotate-key")
    or name.startswith(("dualsync conflicts list", "dualsync dlq list", "dualsync deletions list"))
]


@pytest.mark.parametrize("name", READS)
def test_document_has_all_names_of_version_0_1(operator: Operator, name: str) -> None:
    words = name.split(" [")[0].removeprefix("dualsync ").split()
    answer = operator.call(*words)
    assert answer.code in (0, 3), answer.err
    assert missing(CASES[name], answer.data) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dualsync limit all --bytes 20M --requests 100 --yes --json", ()),
        ("dualsync resume all --json", ()),
        ("dualsync dlq redrive cn --all --yes --json", ()),
        ("dualsync reconcile cn --yes --json", ()),
        ("dualsync deletions approve --up-to 20 --yes --json", ()),
        ("dualsync deletions reject --yes --json", ()),
        ("dualsync conflicts resolve --all --yes --json", ()),
    ],
)
def test_result_of_a_changing_command_has_all_names_of_version_0_1(
    operator: Operator, name: str, words: tuple[str, ...]
) -> None:
    answer = operator.call(*(words or name.removeprefix("dualsync ").split()))
    assert answer.code in (0, 3), answer.err
    assert missing(CASES[name], answer.data) == []


def test_comparison_finds_a_missing_name() -> None:
    assert missing({"a": [{"b": 1}]}, {"a": [{"c": 1}]}) == ["/a[]/b"]
    assert len(READS) > 10
