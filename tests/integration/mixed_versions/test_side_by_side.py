"""Test a rolling update and its roll-back: workers of version 0.1 and of this version share queues and ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import Expected, Side
from sandbox.environment.environment import Stage
from sandbox.environment.workers import Fleet
from tests.integration.mixed_versions.releases import commit_of, version_0_1
from tests.integration.mixed_versions.settled import SETTLE_SECONDS, assert_settles

pytestmark = pytest.mark.skipif(commit_of("0.1.0") is None, reason="needs the history back to version 0.1.0")

SETTINGS = {"DUALSYNC_RETRY_DELAY_SECONDS": "1", "DUALSYNC_VISIBILITY_SECONDS": "10"}
"""Shorter delays than the deployed ones."""

FIND_NOW = {"DUALSYNC_FINDER_GRACE_SECONDS": "0"}
LARGE = 17 << 20
"""Bytes of an object that is copied in parts."""


class Mixed:
    """A pair whose sides have workers of both versions."""

    def __init__(self, folder: Path) -> None:
        self.stage = Stage.open("mixed", settings=SETTINGS)
        self.stage.make_buckets()
        self.stage.build_bundles()
        for side in SideName:
            self.stage.deploy(side)
        self.stage.hide_for(10)
        outputs = self.stage.fleet.outputs
        self.new = self.stage.fleet
        self.old = Fleet(self.stage.cloud, self.stage.workspace, outputs, SETTINGS, release=version_0_1(folder))
        self.sides = [Side(side, bucket, self.stage.s3(side)) for side, bucket in self.stage.buckets.items()]
        self.expected = Expected()

    def start(self, fleet: Fleet, *sides: SideName) -> None:
        for side in sides or tuple(SideName):
            fleet.start(side)
        fleet.wait_until_running()

    def put(self, side: Side, name: str, content: bytes) -> None:
        side.s3.put_object(Bucket=side.bucket, Key=name, Body=content, Metadata={"by": str(side.name)})
        self.expected.write(name, content)

    def delete(self, side: Side, name: str) -> None:
        side.s3.delete_object(Bucket=side.bucket, Key=name)
        self.expected.delete(name)

    def write(self, wave: str) -> None:
        """Write new objects on both sides, some with unusual keys and one that is copied in parts."""
        for side in self.sides:
            for number in range(12):
                self.put(side, f"{wave}/{side.name}/{number} +&%数.txt", f"{wave} {side.name} {number}".encode())
            self.put(side, f"{wave}/{side.name}/large.bin", str(side.name).encode() * (LARGE // len(side.name)))

    def change(self, wave: str) -> None:
        """Edit and delete objects that the other side wrote in an earlier wave."""
        one, other = self.sides
        for side, origin in ((one, other), (other, one)):
            for number in range(4):
                self.put(side, f"{wave}/{origin.name}/{number} +&%数.txt", f"changed by {side.name}".encode())
            for number in range(4, 8):
                self.delete(side, f"{wave}/{origin.name}/{number} +&%数.txt")

    def settle(self) -> None:
        assert_settles(self.stage, self.sides, self.expected)

    def close(self) -> None:
        self.old.stop()
        self.stage.close()


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[Mixed]:
    made = Mixed(tmp_path)
    yield made
    made.close()


def test_a_rolling_update_and_a_roll_back_lose_nothing(mixed: Mixed) -> None:
    cn, world = SideName.CN, SideName.GLOBAL
    mixed.start(mixed.old)
    mixed.write("old")
    mixed.settle()

    # The update reaches one side first, and both versions of its worker share the queue for a time.
    mixed.start(mixed.new, cn)
    mixed.write("both")
    mixed.change("old")
    mixed.old.workers[cn].kill()
    mixed.old.workers.pop(cn)
    mixed.settle()

    mixed.start(mixed.new, world)
    mixed.old.stop()
    mixed.change("both")
    mixed.write("new")
    mixed.new.find(cn, FIND_NOW, SETTLE_SECONDS)
    mixed.settle()

    # Roll back: version 0.1 reads what this version left in queues and ledgers.
    mixed.start(mixed.old)
    mixed.write("back")
    for side in SideName:
        mixed.new.workers[side].kill()
    mixed.new.workers.clear()
    mixed.change("new")
    mixed.settle()
    mixed.old.find(world, FIND_NOW, SETTLE_SECONDS)
    mixed.change("back")
    mixed.settle()
