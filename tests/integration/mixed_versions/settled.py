"""Wait until both sides are equal after a wave of changes."""

from __future__ import annotations

from collections.abc import Sequence

from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import Expected, Side, compare, unsettled, wait_for
from sandbox.environment.environment import Stage

SETTLE_SECONDS = 240.0
"""Deadline for both sides to become equal; generous, because the machine may be busy."""


def assert_settles(stage: Stage, sides: Sequence[Side], expected: Expected) -> None:
    """Wait until both sides hold what users wrote and the queues are empty, then compare everything."""

    def done() -> bool:
        return not unsettled(sides, expected) and not any(stage.backlog(side)[0] for side in SideName)

    assert wait_for(done, SETTLE_SECONDS, every=0.5), unsettled(sides, expected)
    assert compare(sides, expected).differences == []
    assert [stage.backlog(side)[1] for side in SideName] == [0, 0]
