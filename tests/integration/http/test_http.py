"""Run the scenarios of `tests/simulation/scenarios` over HTTP, also mirrored: real adapters against the emulator."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from dualsync.runtime.settings import SideName
from tests.integration.http.cloud import EmulatorClock
from tests.integration.http.side import AccountClients
from tests.integration.http.stage import HttpStage
from tests.simulation.scenarios.script import Scenario, expand, scenarios

NOT_OVER_HTTP = re.compile(
    r" (deliver|take|until|fails|killed|unreachable|revoke|rekey|swap|expire|unversion|purge|archive|thaw) "
    r"|given (kms|parts|silent|expiry|expires|uploads_by_start False)|dead"
    r"|\.conflict-|records"
)
"""Scenarios that need control of single calls or messages, lifecycle rules, archives or simulated time."""
MIRROR = {"cn": "global", "global": "cn"}
SCENARIOS = [s for s in scenarios() if not any(NOT_OVER_HTTP.search(f" {line} ") for line in s.lines)]


def mirrored(line: str) -> str:
    """Return the same line for the other side."""
    return re.sub(r"\b(cn|global)\b", lambda side: MIRROR[side[1]], line)


def test_scenarios_of_every_subject_run_over_http() -> None:
    assert len(SCENARIOS) >= 24
    assert {s.file for s in SCENARIOS} >= {
        f"{n}.scenario" for n in ("conflicts", "copies", "deletions", "finder", "ledger")
    }


@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.file} {s.title}")
def test_a_scenario_runs_over_http(
    stage: tuple[Mapping[SideName, AccountClients], EmulatorClock], scenario: Scenario, mirror: bool
) -> None:
    http = HttpStage(*stage)
    try:
        for line in scenario.lines:
            for one in expand(line):
                http.perform(mirrored(one) if mirror else one)
    finally:
        http.close()


@pytest.mark.parametrize("side", list(SideName))
def test_a_removed_delete_marker_brings_the_object_back(
    stage: tuple[Mapping[SideName, AccountClients], EmulatorClock], side: SideName
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
