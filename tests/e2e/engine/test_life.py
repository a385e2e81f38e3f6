"""`make engine-demo` as a test: the lifecycle checks its own results."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.e2e.pulumi_lifecycle.life import SETTINGS, Life
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.e2e.pulumi_lifecycle.transcript import Transcript

pytestmark = pytest.mark.engine


@pytest.fixture
def busy() -> Iterator[EngineStage]:
    with EngineStage.open("engine-life", SETTINGS) as stage:
        yield stage


def test_a_pairs_whole_life(busy: EngineStage) -> None:
    page = Transcript()
    Life(busy, page, files=12).play()
    said = page.text()
    assert said.count("## ") == 10
    assert "/.sandbox/" not in said
    assert not re.search(r"127\.0\.0\.1:\d", said)
    assert not re.search(r'File "|/home/|/root/', said)
