"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.cloud.handle import Cloud
from tests.e2e.pulumi_lifecycle.stage import EngineStage


@pytest.fixture
def engine() -> Iterator[EngineStage]:
    """Yield an emulator with the engine, without stacks."""
    with EngineStage.open("engine-test") as stage:
        yield stage


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """Yield a local cloud emulator without the engine."""
    with Cloud.start() as running:
        yield running
