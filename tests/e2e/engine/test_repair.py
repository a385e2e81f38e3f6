"""The documented ways back: from an `up` that was killed, and from a peer whose credential is lost."""

from __future__ import annotations

import configparser
import subprocess
import sys

import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.provider import hold
from sandbox.provider.hold import Moment
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


def repair(engine: EngineStage, command: str) -> str:
    """Run one command of the repair as the runbook gives it, and return its output."""
    folder = engine.pulumi.checkout.folder
    done = subprocess.run(
        [sys.executable, "-m", "dualsync.components.repair", command, "cn", "--run"],
        cwd=folder,
        env={**engine.pulumi.environment(), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lose_credential(engine: EngineStage, side: SideName) -> None:
    """Remove the profile of one side from this machine's configuration."""
    path = engine.stage.workspace.config_file
    profiles = configparser.ConfigParser()
    profiles.read(path)
    assert profiles.remove_section(f"profile {ACCOUNTS[side].profile}")
    with path.open("w") as file:
        profiles.write(file)


def test_a_killed_up_is_repaired_and_a_lost_peer_is_left_behind(engine: EngineStage) -> None:
    before = engine.census()
    engine.create("cn")
    folder = engine.stage.workspace.folder
    for moment, name in KILLS:
        hold.ask(folder, moment, name)
        engine.pulumi.kill_up("cn", lambda: hold.is_reached(folder))
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
