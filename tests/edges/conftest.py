"""A moto server for the whole run, and coroutine tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edges.coroutines import run_if_coroutine
from tests.edges.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_if_coroutine(pyfuncitem)
