"""Provide the worlds that the contract tests run in, and run coroutine tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.adapters import AdapterWorld
from tests.contract.memory import MemoryWorld
from tests.contract.other_server import OtherServer, other_name, other_server
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


@pytest.fixture(scope="session")
def other() -> OtherServer:
    return other_server()


OTHER = other_name()
WORLDS = ["moto", "memory", *(["ministack"] if interpreter() else []), *([OTHER] if OTHER else [])]
"""ministack is included where `make conformity` has installed it, another server where the environment names it."""


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[AdapterWorld]:
    made: AdapterWorld = MemoryWorld()
    if request.param == "moto":
        made = ServerWorld(request.getfixturevalue("server"))
    elif request.param == "ministack":
        made = ServerWorld(request.getfixturevalue("ministack"), "ministack", "us-east-1")
    elif request.param == OTHER:
        made = ServerWorld(request.getfixturevalue("other"), OTHER, "us-east-1")
    yield made
    made.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return run_if_coroutine(pyfuncitem)
