"""Run the scenarios of `tests/simulation/scenarios` over HTTP, also mirrored: real adapters against the emulator."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from dualsync.runtime.settings import SideName
from tests.integration.http.cloud import StoryClock
from tests.integration.http.side import People
from tests.integration.http.stage import HttpStage
from tests.simulation.scenarios.script import Scenario, expand, scenarios

BY_HAND = re.compile(
    r" (deliver|take|until|fails|dies|unreachable|revoke|rekey|swap|expire|unversion|purge|archive|thaw) "
    r"|given (kms|parts|silent|expiry|expires)|dead"
    r"|\.conflict-|records"
)
"""Scenarios that need control of single calls or messages, lifecycle rules, archives or simulated time."""
MIRROR = {"cn": "global", "global": "cn"}
STORIES = [s for s in scenarios() if not any(BY_HAND.search(f" {line} ") for line in s.lines)]


def mirrored(line: str) -> str:
    """Return the same line for the other side."""
    return re.sub(r"\b(cn|global)\b", lambda side: MIRROR[side[1]], line)


def test_there_are_stories_of_every_kind() -> None:
    assert len(STORIES) >= 24
    assert {s.file for s in STORIES} >= {
        f"{n}.scenario" for n in ("conflicts", "copies", "deletions", "finder", "ledger")
    }


@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("story", STORIES, ids=lambda s: f"{s.file} {s.title}")
def test_over_http(stage: tuple[Mapping[SideName, People], StoryClock], story: Scenario, mirror: bool) -> None:
    http = HttpStage(*stage)
    try:
        for line in story.lines:
            for one in expand(line):
                http.perform(mirrored(one) if mirror else one)
    finally:
        http.close()


@pytest.mark.parametrize("side", list(SideName))
def test_a_removed_delete_marker_brings_the_object_back(
    stage: tuple[Mapping[SideName, People], StoryClock], side: SideName
) -> None:
    http = HttpStage(*stage)
    try:
        for line in (
            f"given versioning {side}=Enabled",
            "cn put a one",
            "settle",
            "wait 100",
            f"{side.peer} delete a",
            "settle",
            "expect a nothing",
            "wait 100",
            f"{side} undelete a",
            "settle",
            "finders",
            "expect a one",
            "expect right",
        ):
            http.perform(line)
    finally:
        http.close()
