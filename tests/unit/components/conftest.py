"""The program as both stacks register it, run once a session."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.mocks import MockMonitor

from tests.unit.components.recorder import Deployment, config_of, deploy, own_loop


@contextmanager
def tidied() -> Iterator[None]:
    """The SDK's mock monitor leaves an open event loop behind in every thread that it answers in: not while in this."""

    def tidy(answer: Callable[[MockMonitor, Any], Any]) -> Callable[[MockMonitor, Any], Any]:
        def answered(self: MockMonitor, request: Any) -> Any:
            with own_loop():
                return answer(self, request)

        return answered

    with pytest.MonkeyPatch.context() as patch:
        for name in ("RegisterResource", "ReadResource", "Invoke"):
            patch.setattr(MockMonitor, name, tidy(getattr(MockMonitor, name)))
        yield


def stand_ins(folder: Path) -> Path:
    """Write fake bundles, as real ones have tests of their own; return their folder."""
    for architecture in ("arm64", "x86_64"):
        (folder / f"{architecture}.tar").write_bytes(architecture.encode())
    return folder


def both_sides() -> dict[str, Any]:
    """Config of one stack that manages both sides."""
    config = config_of("cn")
    cn = json.loads(config["dualsync:cn"]) | {"finderImage": config["dualsync:finderImage"]}
    return {"manages": ["cn", "global"], "peerStack": "", "finderImage": "", "cn": cn}


@pytest.fixture(scope="session", autouse=True)
def tidy_threads() -> Iterator[None]:
    with tidied():
        yield


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_ins(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def cn(bundles: Path) -> Deployment:
    return deploy("cn", bundles)


@pytest.fixture(scope="session")
def other(bundles: Path) -> Deployment:
    return deploy("global", bundles)


@pytest.fixture(scope="session")
def both(bundles: Path) -> Deployment:
    """One stack that manages both sides."""
    return deploy("cn", bundles, both_sides())


@pytest.fixture(params=["cn", "other", "both"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each of them in turn."""
    found: Deployment = request.getfixturevalue(request.param)
    return found
