"""Kill `up`, run the repair command, and remove a credential, for tests of the documented repairs."""

from __future__ import annotations

import configparser
import subprocess
import sys
import time

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.provider import hold
from sandbox.provider.hold import EVERY, Moment
from tests.e2e.pulumi_lifecycle.command import EndedError, EngineError
from tests.e2e.pulumi_lifecycle.stage import EngineStage

QUIET_SECONDS = 2.0
"""Time without a further creation after which `up` is killed, because the engine then waits for the held creations."""


def repair(engine: EngineStage, command: str, stack: str = "cn") -> str:
    """Run one command of the repair as the runbook gives it, and return its output. Raises `EngineError`."""
    folder = engine.pulumi.checkout.folder
    done = subprocess.run(
        [sys.executable, "-m", "dualsync.components.repair", command, stack, "--run"],
        cwd=folder,
        env={**engine.pulumi.environment(), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError(f"repair {command} {stack}: code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def kill_at(engine: EngineStage, moment: Moment, name: str, stack: str = "cn") -> None:
    """Kill an `up` at one moment of the creation of one resource."""
    folder = engine.stage.workspace.folder
    hold.request_stop(folder, moment, name)
    engine.pulumi.kill_up(stack, lambda: bool(hold.reached(folder)))


def kill_at_next_creations(engine: EngineStage, moment: Moment, stack: str = "cn") -> list[str]:
    """Kill an `up` while every creation that it can begin is held, and return their names.

    Each creation is held once per stage. When none is left, `up` ends and the list is empty.
    """
    folder = engine.stage.workspace.folder
    hold.request_stop(folder, moment, EVERY)
    begun: dict[str, float] = {}

    def is_quiet() -> bool:
        now = time.monotonic()
        for name in hold.reached(folder):
            begun.setdefault(name, now)
        return bool(begun) and now - max(begun.values()) > QUIET_SECONDS

    try:
        engine.pulumi.kill_up(stack, is_quiet)
    except EndedError as e:
        if e.code:
            raise
    finally:
        hold.withdraw(folder)
    return hold.reached(folder)


def lose_credential(engine: EngineStage, side: SideName) -> None:
    """Remove the profile of one side from this machine's configuration."""
    path = engine.stage.workspace.config_file
    profiles = configparser.ConfigParser()
    profiles.read(path)
    profiles.remove_section(f"profile {ACCOUNTS[side].profile}")
    with path.open("w") as file:
        profiles.write(file)
