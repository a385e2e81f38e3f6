"""Provide the worlds that the contract tests run in, and run coroutine tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.adapters import AdapterWorld
from tests.contract.memory import MemoryWorld
from tests.support.coroutines import run_if_coroutine
from tests.support.ministack_server import Ministack, interpreter
from tests.support.moto_server import Server, ServerWorld


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    server = Ministack(tmp_path_factory.mktemp("ministack"))
    yield server
    server.stop()


WORLDS = ["moto", "memory", *(["ministack"] if interpreter() else [])]
"""ministack is included where `make conformity` has installed it."""


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[AdapterWorld]:
    made: AdapterWorld = MemoryWorld()
    if request.param == "moto":
        made = ServerWorld(request.getfixturevalue("server"))
    elif request.param == "ministack":
        made = ServerWorld(request.getfixturevalue("ministack"), "ministack", "us-east-1")
    yield made
    made.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_if_coroutine(pyfuncitem)
