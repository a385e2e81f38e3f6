"""Test the pipelines' unmodified steps with the real engine: preview, deployment, smoke test, drift."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.environment.processes import ROOT
from tests.e2e.pulumi_lifecycle.stage import EngineStage

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def stage() -> Iterator[EngineStage]:
    """Yield both stacks without resources, with the scripts beside the program, as in a checkout."""
    with EngineStage.open("steps") as opened:
        shutil.copytree(ROOT / ".ci", opened.pulumi.checkout.folder / ".ci")
        for stack in ("cn", "global"):
            opened.create(stack)
        yield opened


def step(stage: EngineStage, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one line of a workflow."""
    environment = stage.pulumi.environment()
    profiles = {f"{side.upper()}_PROFILE": account.profile for side, account in ACCOUNTS.items()}
    return subprocess.run(
        [str(stage.pulumi.checkout.folder / ".ci" / script), *arguments],
        cwd=stage.pulumi.checkout.folder,
        env=environment | profiles,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_change_passes_preview_deployment_and_smoke_test(stage: EngineStage, tmp_path: Path) -> None:
    login = step(stage, "login")
    assert login.returncode == 0, login.stderr

    page = tmp_path / "preview.md"
    preview = step(stage, "preview", "-o", str(page))
    assert preview.returncode == 0, preview.stdout + preview.stderr
    text = page.read_text()
    assert "### Stack `cn`: as follows" in text
    assert "### Stack `global`: as follows" in text
    assert text.count("✅ dualsync@v") == 2

    for stack in ("cn", "global"):
        up = step(stage, "up", stack)
        assert up.returncode == 0, up.stdout + up.stderr
        stage.stage.fleet.outputs = {
            **stage.stage.fleet.outputs,
            SideName(stack): stage.pulumi.outputs(stack)[stack],
        }
    for side in SideName:
        stage.stage.fleet.start(side)
    stage.stage.fleet.wait_until_running()

    smoke = step(stage, "smoke", "60")
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    assert smoke.stdout.count("there after") == 2

    quiet = step(stage, "drift")
    assert quiet.returncode == 0, quiet.stdout + quiet.stderr

    sqs = stage.stage.cloud.client(SideName.CN, "sqs")
    url = stage.stage.fleet.outputs[SideName.CN]["queueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "31"})
    drifted = step(stage, "drift")
    assert drifted.returncode == 1
    assert "visibilityTimeoutSeconds" in drifted.stdout
