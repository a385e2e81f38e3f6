"""The engine's tests need the `pulumi` command; without it they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.cloud.handle import Cloud
from tests.e2e.pulumi_lifecycle.command import is_available
from tests.e2e.pulumi_lifecycle.stage import EngineStage


@pytest.fixture
def engine() -> Iterator[EngineStage]:
    """A cloud with an engine beside it, no stack."""
    if not is_available():
        pytest.skip("needs `pulumi` and `pulumi-language-python` on PATH")
    with EngineStage.open("engine-test") as stage:
        yield stage


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """A local cloud emulator alone, for what needs no engine."""
    with Cloud.start() as running:
        yield running
