"""Fixtures of the engine's tests, which are skipped without the `pulumi` command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.cloud.handle import Cloud
from tests.e2e.pulumi_lifecycle.command import is_available
from tests.e2e.pulumi_lifecycle.stage import EngineStage


@pytest.fixture
def engine() -> Iterator[EngineStage]:
    """Yield an emulator with the engine, without stacks."""
    if not is_available():
        pytest.skip("needs `pulumi` and `pulumi-language-python` on PATH")
    with EngineStage.open("engine-test") as stage:
        yield stage


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """Yield a local cloud emulator without the engine."""
    with Cloud.start() as running:
        yield running
