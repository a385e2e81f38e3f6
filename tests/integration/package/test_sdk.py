"""Test that the engine generates the package in every language whose host is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dualsync.components.plugin.plugin import schema

HOSTS = {"nodejs": "dualSyncPair.ts", "python": "dual_sync_pair.py", "go": "dualSyncPair.go"}


@pytest.mark.engine
@pytest.mark.parametrize("language", HOSTS)
def test_the_package_is_written_with_its_descriptions(language: str, tmp_path: Path) -> None:
    host = f"pulumi-language-{language}"
    if shutil.which(host) is None:
        pytest.skip(f"needs {host} on the path")
    source = tmp_path / "schema.json"
    source.write_text(json.dumps(schema()))
    out = tmp_path / "sdk"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PULUMI_")}
    subprocess.run(
        ["pulumi", "package", "gen-sdk", str(source), "--language", language, "--local", "--out", str(out)],
        env={**environment, "PULUMI_HOME": str(tmp_path / "home"), "PULUMI_SKIP_UPDATE_CHECK": "true"},
        check=True,
        capture_output=True,
    )
    (written,) = out.rglob(HOSTS[language])
    text = " ".join(written.read_text().split())
    assert "Which version wins if both sides changed an object" in text
    assert "Id of each managed side's dedicated user" in text
