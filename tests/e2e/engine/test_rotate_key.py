"""Test `dualsync rotate-key --run` with the real engine: stacks found by their outputs, a new key in all workers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.demo.comparison import wait_for
from tests.e2e.pulumi_lifecycle.stage import EngineStage

pytestmark = pytest.mark.engine

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def dualsync(engine: EngineStage, *arguments: str) -> tuple[int, Any, str]:
    """Run the command line in the program's folder, without a pair file."""
    profiles = [word for side in SideName for word in (f"--profile-{side}", ACCOUNTS[side].profile)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dualsync.runtime", "--project", str(engine.pulumi.checkout.folder)),
            *(*profiles, *arguments, "--json"),
        ],
        env=engine.pulumi.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def keys(engine: EngineStage, side: SideName) -> list[str]:
    user = engine.stage.fleet.outputs[side]["userName"]
    found = engine.stage.cloud.client(side, "iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
    return [key["AccessKeyId"] for key in found]


def test_a_key_is_rotated_and_a_revoked_one_replaced(engine: EngineStage) -> None:
    fleet = engine.stage.fleet
    for stack in SideName:
        engine.create(stack)
        engine.up(stack)
    for side in SideName:
        fleet.start(side)
    fleet.wait_until_running()
    # Workers record their checked credential in the ledger a few seconds after the check.
    assert wait_for(lambda: dualsync(engine, "rotate-key", "cn")[0] == 0, 60)
    before = keys(engine, CN)

    code, document, errors = dualsync(engine, "rotate-key", "cn", "--run", "--yes", "--timeout", "120")
    assert code == 0, errors
    assert document["commands"][0] == ["pulumi", "config", "set", "dualsync:keyVersion", "2", "--stack", "cn"]
    assert (document["phase"], document["fine"], document["workers_ready"]) == ("steady", True, 1)
    assert document["secret_names"] == keys(engine, CN)[0] != before[0]
    assert "dth-dual-cn-key" in errors, "the output of the engine is not part of the document"

    engine.stage.cloud.client(CN, "iam").update_access_key(
        UserName=fleet.outputs[CN]["userName"], AccessKeyId=document["secret_names"], Status="Inactive"
    )
    code, document, _ = dualsync(engine, "rotate-key", "cn")
    assert (code, document["phase"]) == (3, "broken")
    code, document, errors = dualsync(engine, "rotate-key", "cn", "--run", "--yes", "--timeout", "120")
    assert (code, document["phase"]) == (0, "steady"), errors
    assert document["commands"][0][4] == "3"
    assert len(keys(engine, CN)) == 1
    acts = dualsync(engine, "audit")[1]["acts"]
    assert [(act["command"], act["state"]) for act in acts] == [("rotate-key", "done")] * 2
    fleet.check()
