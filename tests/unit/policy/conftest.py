"""Fixtures: the plans that the rules review, made once per test session."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy.plan import Plan
from tests.unit.components.conftest import both_sides, bundles, tidy_threads
from tests.unit.policy.plans import plan_of

__all__ = ["bundles", "tidy_threads"]


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
    """Yield each of the three plans in turn."""
    found: Plan = request.getfixturevalue(request.param)
    return found
