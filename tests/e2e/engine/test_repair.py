"""Test the documented repairs: after a killed `up`, and after the loss of the peer's credential."""

from __future__ import annotations

import pytest

from dualsync.runtime.settings import SideName
from sandbox.provider.hold import Moment
from tests.e2e.pulumi_lifecycle.repairs import kill_at, lose_credential, repair
from tests.e2e.pulumi_lifecycle.stage import EngineStage

pytestmark = pytest.mark.engine(long=True)

KILLS = (
    (Moment.AFTER, "dth-dual-cn-user"),
    (Moment.BEFORE, "dth-dual-cn-worker-profile"),
    (Moment.AFTER, "dth-dual-cn-worker-template"),
)
"""Moments at which `up` is killed.

Other creations are interrupted with them, because the engine runs creations in parallel.
"""


def test_a_killed_up_is_repaired_and_a_lost_peer_is_removed_from_the_state(engine: EngineStage) -> None:
    before = engine.inventory()
    engine.create("cn")
    for moment, name in KILLS:
        kill_at(engine, moment, name)
        printed = repair(engine, "interrupted")
        assert f"{name}: " in printed, printed
    engine.up("cn")
    assert engine.preview("cn", "--expect-no-changes").changed == {}

    lose_credential(engine, SideName.GLOBAL)
    refused = engine.preview("cn", wanted=(1, 255))
    assert "lost-peer" in refused.text, refused.text
    assert "forgotten" in repair(engine, "lost-peer")
    engine.up("cn")
    assert engine.refresh("cn").changed == {}
    engine.destroy("cn")
    after = engine.inventory()
    assert after[SideName.CN] == before[SideName.CN]
    left = {entry.split()[0] for entry in after[SideName.GLOBAL] - before[SideName.GLOBAL]}
    assert left == {"secretsmanager"}, "the secret stays in the lost account, and nothing else"
