"""Waits until what users wrote on either side is on both."""

from __future__ import annotations

from sandbox.demo.comparison import unsettled, wait_for
from sandbox.demo.scenario import Scenario
from sandbox.environment.workers import Fleet
from tests.e2e.pulumi_lifecycle.promises import hold

SETTLE_SECONDS = 120
"""How long changes may take to arrive, on a busy machine."""


def hold_settled(promise: str, fleet: Fleet, users: Scenario) -> None:
    """Raise `LifecycleError` unless both sides come to hold what users wrote, and the errors of dead workers."""
    late: list[str] = []

    def done() -> bool:
        fleet.check()
        late[:] = unsettled(users.sides.values(), users.expected)
        return not late

    wait_for(done, SETTLE_SECONDS)
    hold(promise, late, [])
