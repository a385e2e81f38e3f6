"""Test a preview of a branch against states without secrets, with the real engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.environment.processes import ROOT
from tests.e2e.pulumi_lifecycle.stage import EngineStage

pytestmark = pytest.mark.engine(long=True)


@pytest.fixture
def stage() -> Iterator[EngineStage]:
    """Yield the deployed stack cn, with the scripts beside the program, as in a checkout."""
    with EngineStage.open("redacted") as opened:
        shutil.copytree(ROOT / ".ci", opened.pulumi.checkout.folder / ".ci")
        opened.create("cn")
        opened.pulumi.up("cn")
        yield opened


def step(stage: EngineStage, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one line of a workflow."""
    return subprocess.run(
        [str(stage.pulumi.checkout.folder / ".ci" / script), *arguments],
        cwd=stage.pulumi.checkout.folder,
        env={**stage.pulumi.environment(), "STACKS": "cn", **more},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_branch_is_previewed_without_state_passphrase_and_secrets(stage: EngineStage, tmp_path: Path) -> None:
    states, page = tmp_path / "states", tmp_path / "page.md"
    # The export needs no passphrase: secrets are replaced while they are encrypted.
    redacted = step(stage, "redacted-state", str(states), PULUMI_CONFIG_PASSPHRASE="another")
    assert redacted.returncode == 0, redacted.stderr
    text = (states / "cn.json").read_text()
    assert "ciphertext" not in text
    assert not [key for key in stage.current_keys() if key in text]

    # The preview gets an empty backend and another passphrase, so it cannot read the real state.
    empty = tmp_path / "empty"
    empty.mkdir()
    preview = step(
        stage,
        *("preview", "-o", str(page), "-s", str(states)),
        PULUMI_BACKEND_URL=f"file://{empty}",
        PULUMI_CONFIG_PASSPHRASE="another",
    )
    assert preview.returncode == 0, preview.stdout + preview.stderr
    assert "### Stack `cn`: as follows" in page.read_text()
    assert list(empty.iterdir()) == []
    # The hand-over's secret is shown as replaced, because its old value is a placeholder. Nothing else changes.
    changed = re.findall(r"^\s*(?:\+-?|-|~)\s+aws:\S+\s+(\S+)", preview.stdout, re.MULTILINE)
    assert changed == ["dth-dual-global-credentials-value"]
