"""The program as both stacks register it, run once a session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.infrastructure.recorder import Deployment, config_of, deploy


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand-ins for the bundles, which have tests of their own."""
    folder = tmp_path_factory.mktemp("bundles")
    for architecture in ("arm64", "x86_64"):
        (folder / f"{architecture}.tar").write_bytes(architecture.encode())
    return folder


@pytest.fixture(scope="session")
def cn(bundles: Path) -> Deployment:
    return deploy("cn", bundles)


@pytest.fixture(scope="session")
def other(bundles: Path) -> Deployment:
    return deploy("global", bundles)


@pytest.fixture(scope="session")
def both(bundles: Path) -> Deployment:
    """One stack that manages both sides."""
    cn = json.loads(config_of("cn")["dualsync:cn"]) | {"finderImage": config_of("cn")["dualsync:finderImage"]}
    return deploy("cn", bundles, {"manages": ["cn", "global"], "peerStack": "", "finderImage": "", "cn": cn})


@pytest.fixture(params=["cn", "other", "both"])
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each of them in turn."""
    found: Deployment = request.getfixturevalue(request.param)
    return found
