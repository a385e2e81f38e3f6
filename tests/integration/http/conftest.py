"""The local cloud emulator that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dualsync.runtime.settings import SideName
from tests.integration.http.cloud import EmulatorClock, start
from tests.integration.http.side import AccountClients
from tests.integration.http.stage import HttpStage, Perform


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Mapping[SideName, AccountClients], EmulatorClock]]:
    file: Path = tmp_path_factory.mktemp("clock") / "ahead"
    clock = EmulatorClock(file)
    with start(file) as cloud:
        yield {side: AccountClients(cloud, side) for side in SideName}, clock


@pytest.fixture
def perform(stage: tuple[Mapping[SideName, AccountClients], EmulatorClock]) -> Iterator[Perform]:
    """Yield a function that performs lines of a scenario in a new stage and returns the stage."""
    stages: list[HttpStage] = []

    def begin(*lines: str) -> HttpStage:
        stages.append(HttpStage(*stage))
        for line in (*lines, "settle"):
            stages[-1].perform(line)
        return stages[-1]

    yield begin
    for one in stages:
        one.close()
