"""Test `pulumi package add` and `pulumi install` from the project's folder, without a network.

The engine wants to see every plugin that the component needs installed before it asks the component for its schema; it
does not start them for that. So the `aws` plugin may be a fake here, which fails if it is run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from sandbox.environment.processes import ROOT

pytestmark = pytest.mark.engine


@dataclass
class Workspace:
    """A checkout of the project beside a user's program, and an engine of its own."""

    folder: Path

    def run(self, where: str, *arguments: str) -> str:
        """Run the engine there and return its output. Raises `AssertionError` with the whole output if it fails."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_", "PIP_"))}
        done = subprocess.run(
            ["pulumi", "-C", str(self.folder / where), "--non-interactive", "--color", "never", *arguments],
            env={
                **keep,
                "PULUMI_HOME": str(self.folder / "home"),
                "PULUMI_BACKEND_URL": f"file://{self.folder / 'home'}",
                "PULUMI_CONFIG_PASSPHRASE": "x",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PIP_NO_INDEX": "1",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    project = tmp_path / "dualsync"
    for name in ("components", "runtime", "dualsync", "requirements"):
        shutil.copytree(ROOT / name, project / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Pulumi.yaml", project)
    # A virtual environment that uses the packages installed in this one.
    venv.create(project / ".venv", with_pip=False)
    packages = Path(sysconfig.get_paths(vars={"base": str(project / ".venv")})["purelib"])
    (packages / "here.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    # The engine has pip install `wheel`, which these tests do not need. Its metadata alone satisfies pip.
    metadata = packages / "wheel-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wheel\nVersion: 1\n")
    plugin = tmp_path / "home" / "plugins" / f"resource-aws-v{version('pulumi-aws')}" / "pulumi-resource-aws"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("#!/bin/sh\necho 'the aws plugin was run' >&2\nexit 1\n")
    plugin.chmod(0o755)
    program = tmp_path / "program"
    program.mkdir()
    (program / "Pulumi.yaml").write_text("name: mine\nruntime: yaml\n")
    return Workspace(tmp_path)


def test_the_package_is_added_to_a_program_by_its_folder(place: Workspace) -> None:
    if shutil.which("pulumi-language-yaml") is None:
        pytest.skip("needs the engine's host for YAML (pulumi-language-yaml) on the path")
    said = place.run("program", "package", "add", "../dualsync/components")
    assert "dualsync" in said.lower()
    program = yaml.safe_load((place.folder / "program" / "Pulumi.yaml").read_text())
    assert program["packages"] == {"dualsync": "../dualsync/components"}
    place.run("program", "install")


def test_the_engine_gets_the_schema_from_the_folder(place: Workspace) -> None:
    said = place.run("program", "package", "get-schema", "../dualsync/components")
    assert '"dualsync:index:DualSyncPair"' in said
