"""Test an upgrade and a roll-back by the real engine: version 0.1's program, this one, and version 0.1's again.

Users write while no worker runs, so that each deployment finds messages in the queues.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dualsync.components.bundle.builder import write
from dualsync.components.config.side_options import Architecture
from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import Expected, Side
from sandbox.environment.checkout import COPIED
from sandbox.environment.processes import ROOT
from sandbox.environment.workers import Fleet
from tests.e2e.pulumi_lifecycle.stage import EngineStage
from tests.integration.mixed_versions.releases import commit_of, program_0_1, version_0_1
from tests.integration.mixed_versions.settled import assert_settles

pytestmark = [
    pytest.mark.engine(long=True),
    pytest.mark.skipif(commit_of("0.1.0") is None, reason="needs the history back to version 0.1.0"),
]

SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "1", "DUALSYNC_VISIBILITY_SECONDS": "10"}
"""Shorter delays than the deployed ones."""
STATEFUL = frozenset(
    f"dth-dual-{side}-{part}"
    for side in SideName
    for part in ("queue", "dead-letters", "ledger", "artifacts", "user", "key")
)
"""Resources that hold messages, records or a key: no deployment may replace or delete them."""


@pytest.fixture
def engine() -> Iterator[EngineStage]:
    with EngineStage.open("engine-upgrade", SETTINGS) as stage:
        yield stage


class Upgrade:
    """A pair whose program and workers are of either version, and its users."""

    def __init__(self, engine: EngineStage, folder: Path) -> None:
        self.engine, self.stage = engine, engine.stage
        self.programs = {"old": program_0_1(folder / "program"), "new": ROOT}
        self.release = version_0_1(folder / "runtime")
        self.bundles = {"old": folder / "bundles", "new": self.stage.workspace.folder / "bundles"}
        self._bundle(self.release.folder, self.bundles["old"])
        self.sides = [Side(side, bucket, self.stage.s3(side)) for side, bucket in self.stage.buckets.items()]
        self.expected = Expected()
        self.carried: list[str] = []

    @staticmethod
    def _bundle(runtime: Path, folder: Path) -> None:
        """Pack version 0.1's runtime, without dependencies: the sandbox's workers run on this machine."""
        folder.mkdir()
        files = {str(path.relative_to(runtime)): path.read_bytes() for path in runtime.rglob("*") if path.is_file()}
        for architecture in Architecture:
            write(folder / f"{architecture}.tar", files)

    def deploy(self, version: str) -> dict[str, list[str]]:
        """Run `pulumi up` of both stacks with this version's program; return what changed by operation."""
        folder = self.engine.pulumi.checkout.folder
        for name in COPIED:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            source = self.programs[version] / name
            if source.is_dir():
                shutil.copytree(source, path, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, path)
        found: dict[str, list[str]] = {}
        for stack in SideName:
            done = self.engine.up(stack, bundle=str(self.bundles[version]))
            for operation in ("create", "update", "replace", "delete"):
                found.setdefault(operation, []).extend(done.touched(operation))
        self.stage.hide_for(10)
        return found

    def fleet(self, version: str) -> Fleet:
        """Return workers of this version, in the environment that is deployed now."""
        stage = self.stage
        if version == "new":
            return Fleet(stage.cloud, stage.workspace, stage.fleet.outputs, SETTINGS)
        return Fleet(stage.cloud, stage.workspace, stage.fleet.outputs, SETTINGS, release=self.release)

    def write(self, wave: str) -> None:
        """Write new objects on both sides, and edit and delete older objects on the side that did not write them."""
        for side, other in zip(self.sides, reversed(self.sides), strict=True):
            for number in range(6):
                self.put(side, f"{wave}/{side.name}/{number} +&%数.txt", f"{wave} {side.name} {number}".encode())
            theirs = [key for key in self.carried if f"/{other.name}/" in key]
            for key in theirs[:2]:
                self.put(side, key, f"edited in {wave} by {side.name}".encode())
            for key in theirs[2:4]:
                self.carried.remove(key)
                side.s3.delete_object(Bucket=side.bucket, Key=key)
                self.expected.delete(key)

    def put(self, side: Side, key: str, content: bytes) -> None:
        side.s3.put_object(Bucket=side.bucket, Key=key, Body=content)
        self.expected.write(key, content)

    def settle(self) -> None:
        assert_settles(self.stage, self.sides, self.expected)
        self.carried = sorted(self.expected.contents)

    def work(self, version: str) -> None:
        """Run workers of this version until both sides are equal, then stop them."""
        fleet = self.fleet(version)
        try:
            for side in SideName:
                fleet.start(side)
            fleet.wait_until_running()
            self.settle()
        finally:
            fleet.stop()


def test_an_upgrade_and_a_roll_back_lose_no_message(engine: EngineStage, tmp_path: Path) -> None:
    upgrade = Upgrade(engine, tmp_path)
    for stack in SideName:
        engine.create(stack)
    upgrade.deploy("old")
    upgrade.deploy("old")
    upgrade.write("first")
    upgrade.work("old")

    upgrade.write("before the upgrade")
    assert all(upgrade.stage.backlog(side)[0] for side in SideName), "no message is in flight"
    forth = upgrade.deploy("new")
    assert forth["update"]
    assert not STATEFUL.intersection(forth["replace"] + forth["delete"])
    upgrade.write("after the upgrade")
    upgrade.work("new")
    assert engine.leaks() == []

    upgrade.write("before the way back")
    assert all(upgrade.stage.backlog(side)[0] for side in SideName), "no message is in flight"
    back = upgrade.deploy("old")
    assert not STATEFUL.intersection(back["replace"] + back["delete"])
    upgrade.write("after the way back")
    upgrade.work("old")
