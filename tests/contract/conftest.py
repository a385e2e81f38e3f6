"""The worlds that the suite runs in, and coroutine tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.adapters import AdapterWorld
from tests.contract.memory import MemoryWorld
from tests.support.coroutines import run_if_coroutine
from tests.support.moto_server import Server, ServerWorld


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(params=["moto", "memory"])
def world(request: pytest.FixtureRequest) -> Iterator[AdapterWorld]:
    made: AdapterWorld = MemoryWorld()
    if request.param == "moto":
        made = ServerWorld(request.getfixturevalue("server"))
    yield made
    made.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_if_coroutine(pyfuncitem)
