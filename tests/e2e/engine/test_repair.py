"""The documented ways back: from an `up` that was killed, and from a peer whose credential is lost."""

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

The creations beside them are interrupted, too: the engine runs them in parallel.
"""


def test_a_killed_up_is_repaired_and_a_lost_peer_is_left_behind(engine: EngineStage) -> None:
    before = engine.census()
    engine.create("cn")
    for moment, name in KILLS:
        kill_at(engine, moment, name)
        said = repair(engine, "interrupted")
        assert f"{name}: " in said, said
    engine.up("cn")
    assert engine.preview("cn", "--expect-no-changes").changed == {}

    lose_credential(engine, SideName.GLOBAL)
    refused = engine.preview("cn", wanted=(1, 255))
    assert "lost-peer" in refused.text, refused.text
    assert "forgotten" in repair(engine, "lost-peer")
    engine.up("cn")
    assert engine.refresh("cn").changed == {}
    engine.destroy("cn")
    after = engine.census()
    assert after[SideName.CN] == before[SideName.CN]
    left = {entry.split()[0] for entry in after[SideName.GLOBAL] - before[SideName.GLOBAL]}
    assert left == {"secretsmanager"}, "the secret stays in the lost account, and nothing else"
