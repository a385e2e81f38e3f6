"""The local cloud emulator that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from dualsync.runtime.settings import SideName
from tests.integration.http.cloud import StoryClock, start
from tests.integration.http.side import People


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mapping[SideName, People], StoryClock]]:
    file: Path = tmp_path_factory.mktemp("clock") / "ahead"
    clock = StoryClock(file)
    with start(file) as cloud:
        yield {side: People(cloud, side) for side in SideName}, clock
