"""An `up` that is killed at each creation, one after the other, is repaired each time as the runbook says."""

from __future__ import annotations

import pytest

from dualsync.runtime.settings import SideName
from sandbox.provider import hold
from sandbox.provider.hold import ANY, Moment
from tests.e2e.engine.test_repair import repair
from tests.e2e.pulumi_lifecycle.command import EngineError
from tests.e2e.pulumi_lifecycle.stage import EngineStage

pytestmark = pytest.mark.engine(long=True)

MOST = 200
"""More kills than a side has resources."""


@pytest.mark.parametrize("moment", Moment)
def test_up_is_killed_at_every_creation(engine: EngineStage, moment: Moment) -> None:
    """Each `up` begins where the repaired one ended, so that one deployment is killed once per resource."""
    before = engine.census()
    engine.create("cn")
    folder = engine.stage.workspace.folder
    killed: list[str] = []
    while len(killed) < MOST:
        hold.ask(folder, moment, ANY)
        try:
            engine.pulumi.kill_up("cn", lambda: hold.is_reached(folder))
        except EngineError:
            break  # it ended by itself: every creation was interrupted once
        killed.append(hold.reached_name(folder))
        repair(engine, "interrupted")
    hold.withdraw(folder)
    engine.up("cn")
    assert engine.preview("cn", "--expect-no-changes").changed == {}
    resources = [
        resource["urn"].rpartition("::")[2]
        for resource in engine.pulumi.resources("cn")
        if resource["type"].startswith("aws:")
    ]
    assert len(killed) >= 30
    # What the engine created beside a held resource was there when its turn came.
    assert set(killed) <= set(resources) | {"dth-dual-cn-subscription"}
    engine.destroy("cn")
    assert engine.census()[SideName.CN] == before[SideName.CN]
