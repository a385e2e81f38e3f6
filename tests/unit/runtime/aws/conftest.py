"""Run one moto server per test process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.moto_server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()
