"""Test the examples in their languages with the real engine: preview, deployment into the sandbox, destroy."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dualsync.components.config.images import STOCK_DIGEST
from dualsync.components.plugin.plugin import schema
from dualsync.runtime.settings import VERSION
from sandbox.cloud.accounts import CN, GLOBAL, Account
from sandbox.environment.processes import ROOT
from tests.e2e.pulumi_lifecycle.stage import EngineStage

pytestmark = pytest.mark.engine(long=True)


@dataclass
class Example:
    """One example in its own folder, with the packages that `pulumi install` would bring."""

    stage: EngineStage
    language: str
    folder: Path
    more: dict[str, str]

    def run(self, *arguments: str) -> str:
        """Run the engine and return its output. Raises `AssertionError` with the output if it fails."""
        done = subprocess.run(
            ["pulumi", "-C", str(self.folder), "--non-interactive", "--color", "never", *arguments],
            env={**self.stage.pulumi.environment(), **self.more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def configure(self) -> None:
        self.run("stack", "init", self.language)
        values = {
            "cnAccount": CN.account_id,
            "globalAccount": GLOBAL.account_id,
            "cnBucket": "dth-dual-dev-cn-north-1",
            "globalBucket": "dth-dual-dev-us-west-2",
            "cnProfile": CN.profile,
            "globalProfile": GLOBAL.profile,
            "cnFinderImage": image(CN),
            "endpoint": self.stage.stage.cloud.endpoint,
            "bundle": str(self.stage.stage.workspace.folder / "bundles"),
            "protect": "false",
        }
        pairs = [word for key, value in values.items() for word in ("--plaintext", f"{key}={value}")]
        self.run("config", "set-all", "--stack", self.language, *pairs)


def image(account: Account) -> str:
    return f"{account.account_id}.dkr.ecr.{account.region}.{account.dns_suffix}/lambda-python@{STOCK_DIGEST}"


def sdk(stage: EngineStage, language: str, folder: Path) -> Path:
    """Return the package in a language, as the engine generates it from the schema."""
    path = folder / "schema.json"
    path.write_text(json.dumps(schema()))
    out = folder / "made"
    stage.pulumi.run("package", "gen-sdk", str(path), "--language", language, "--local", "--out", str(out))
    return out / language


def python(stage: EngineStage, folder: Path) -> dict[str, str]:
    for needed in ("parver", "semver"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"needs {needed}, which packages made by the engine import: `pip install {needed}`")
    made = sdk(stage, "python", folder)
    # The metadata that an installer would write; the package reads its own version.
    note = made / f"pulumi_dualsync-{VERSION}.dist-info"
    note.mkdir()
    (note / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pulumi_dualsync\nVersion: {VERSION}\n")
    (folder / "venv").symlink_to(sys.prefix)
    return {"PYTHONPATH": str(made)}


def typescript(stage: EngineStage, folder: Path) -> dict[str, str]:
    if shutil.which("node") is None or shutil.which("pulumi-language-nodejs") is None:
        pytest.skip("needs node and the engine's host for it (pulumi-language-nodejs) on the path")
    modules = ROOT / "examples" / "typescript" / "node_modules"
    if not (modules / "typescript").exists():
        pytest.skip("needs its dependencies: `make examples` brings them")
    made = sdk(stage, "nodejs", folder)
    (folder / "sdks").mkdir()
    shutil.move(made, folder / "sdks" / "dualsync")
    mine = folder / "node_modules"
    mine.mkdir()
    for module in modules.iterdir():
        if module.name != "@pulumi":
            (mine / module.name).symlink_to(module)
    (mine / "@pulumi").mkdir()
    (mine / "@pulumi" / "pulumi").symlink_to(modules / "@pulumi" / "pulumi")
    (mine / "@pulumi" / "dualsync").symlink_to(folder / "sdks" / "dualsync")
    compiler = ["node", str(modules / "typescript" / "bin" / "tsc")]
    subprocess.run([*compiler, "-p", str(folder / "sdks" / "dualsync")], check=True, cwd=folder)
    shutil.copy(folder / "sdks/dualsync/package.json", folder / "sdks/dualsync/bin/package.json")
    subprocess.run([*compiler, "--noEmit"], check=True, cwd=folder)
    return {}


def yaml(stage: EngineStage, folder: Path) -> dict[str, str]:
    if shutil.which("pulumi-language-yaml") is None:
        pytest.skip("needs the engine's host for YAML (pulumi-language-yaml) on the path")
    return {}


PREPARE = {"python": python, "typescript": typescript, "yaml": yaml}


@pytest.fixture(scope="module")
def stage() -> Iterator[EngineStage]:
    with EngineStage.open("examples") as opened:
        yield opened


@pytest.fixture(params=PREPARE)
def example(stage: EngineStage, request: pytest.FixtureRequest) -> Example:
    folder = stage.pulumi.checkout.folder / "examples" / request.param
    unwanted = shutil.ignore_patterns("node_modules", "sdks", "venv", "Pulumi.*.yaml", "package-lock.json")
    shutil.copytree(ROOT / "examples" / request.param, folder, ignore=unwanted)
    return Example(stage, request.param, folder, PREPARE[request.param](stage, folder))


def test_an_example_is_previewed_deployed_and_destroyed(example: Example) -> None:
    before, stack = example.stage.inventory(), example.language
    example.configure()
    assert "to create" in example.run("preview", "--stack", stack, "--suppress-progress", "--policy-pack", policy())
    example.run("up", "--stack", stack, "--yes", "--skip-preview", "--suppress-progress")
    outputs = json.loads(example.run("stack", "output", "--stack", stack, "--json"))
    assert set(outputs["userIds"]) == {"cn", "global"}
    assert ["console.amazonaws.cn" in outputs["dashboards"][0], "amazon.com" in outputs["dashboards"][1]] == [True] * 2
    again = example.run("preview", "--stack", stack, "--suppress-progress", "--expect-no-changes")
    assert "unchanged" in again
    example.run("destroy", "--stack", stack, "--yes", "--skip-preview", "--suppress-progress")
    assert example.stage.inventory() == before


def policy() -> str:
    """Return the folder of the policy pack, which reviews components of programs in any language."""
    return str(ROOT / "policy")
