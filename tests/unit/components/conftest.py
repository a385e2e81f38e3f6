"""Fixtures: the resources that both stacks register. The program runs once per test session."""

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
    """Close the event loop that the SDK's mock monitor leaves open in every thread in which it answers."""

    def tidy(answer: Callable[[MockMonitor, Any], Any]) -> Callable[[MockMonitor, Any], Any]:
        def answered(self: MockMonitor, request: Any) -> Any:
            with own_loop():
                return answer(self, request)

        return answered

    with pytest.MonkeyPatch.context() as patch:
        for name in ("RegisterResource", "ReadResource", "Invoke"):
            patch.setattr(MockMonitor, name, tidy(getattr(MockMonitor, name)))
        yield


def fake_bundles(folder: Path) -> Path:
    """Write fake bundles and return their folder. Real bundles have their own tests."""
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
    return fake_bundles(tmp_path_factory.mktemp("bundles"))


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
    """Yield each of the three deployments in turn."""
    found: Deployment = request.getfixturevalue(request.param)
    return found
