"""The plans that the rules are asked about, made once a session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policy.plan import Plan
from tests.unit.components.conftest import bundles, tidy_threads
from tests.unit.components.recorder import config_of
from tests.unit.policy.plans import plan_of

__all__ = ["bundles", "tidy_threads"]


def both_sides() -> dict[str, Any]:
    """Config of one stack that manages both sides."""
    config = config_of("cn")
    cn = json.loads(config["dualsync:cn"]) | {"finderImage": config["dualsync:finderImage"]}
    return {"manages": ["cn", "global"], "peerStack": "", "finderImage": "", "cn": cn}


@pytest.fixture(scope="session")
def cn(bundles: Path) -> Plan:
    return plan_of("cn", bundles)


@pytest.fixture(scope="session")
def other(bundles: Path) -> Plan:
    return plan_of("global", bundles)


@pytest.fixture(scope="session")
def both(bundles: Path) -> Plan:
    return plan_of("cn", bundles, both_sides())


@pytest.fixture(params=["cn", "other", "both"])
def plan(request: pytest.FixtureRequest) -> Plan:
    """Each of them in turn."""
    found: Plan = request.getfixturevalue(request.param)
    return found
