"""The emulated services that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.moto_server import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Yield a running server."""
    server = Server()
    yield server
    server.stop()
