"""Wait until both sides have the objects that users wrote."""

from __future__ import annotations

from sandbox.demo.comparison import unsettled, wait_for
from sandbox.demo.scenario import Scenario
from sandbox.environment.workers import Fleet
from tests.e2e.pulumi_lifecycle.checks import expect

SETTLE_SECONDS = 120
"""How long changes may take to arrive, on a busy machine."""


def expect_settled(expectation: str, fleet: Fleet, users: Scenario) -> None:
    """Raise `LifecycleError` unless both sides have the users' objects in time, and the error of an ended worker."""
    late: list[str] = []

    def done() -> bool:
        fleet.check()
        late[:] = unsettled(users.sides.values(), users.expected)
        return not late

    wait_for(done, SETTLE_SECONDS)
    expect(expectation, late, [])
