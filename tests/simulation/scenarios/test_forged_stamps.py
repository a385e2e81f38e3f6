"""Test objects with forged stamps, written by a user who may not delete: no version of another user is lost.

The stamp names any version: one that was deleted, the present one, one of either side and of any time. The event of
the write is read first, or after a run of the peer's finder, or it is lost.
"""

from __future__ import annotations

import pytest

from dualsync.runtime.model.origin_version import OriginVersion, Stamp, key_hash
from dualsync.runtime.settings import SideName
from tests.simulation.histories.world import PEER, USERS
from tests.simulation.scenarios.stage import Stage

BEFORE = {"o": b"old", "O": b"old!", "n": b"newer", "N": b"newest"}
"""Contents by act. A user of the forger's side writes `o` and `n`, one of the other side `O` and `N`."""
FORGED = b"forged"
ACTS = ("o", "O", "on", "oN", "odn", "odN", "oDn", "Odn", "ODN", "odnDn", "OdNdn")
"""Acts before the forged write, each followed by `settle`. `d` deletes on the forger's side, `D` on the other one."""
STAMPS = ("first", "last", "own 0", "other 0", "own between", "other between", "own later", "other later")
"""Versions that the stamp names: the first that was written, the last one, or one of a side and a time."""


class Story:
    """Both sides with one key, and a forger on `side`."""

    def __init__(self, side: str, *given: str) -> None:
        self.side, self.other = side, PEER[side]
        self.stage = Stage()
        self.versions: list[OriginVersion] = []
        for line in (*given, "settle", "wait 5"):
            self.stage.perform(line)

    def held(self) -> tuple[bytes | None, bytes | None]:
        """Return what the forger's side and the other side hold."""
        here, there = (self.stage.world.stores[side].current("k") for side in (self.side, self.other))
        return here.body if here else None, there.body if there else None

    def write(self, side: str, content: bytes, stamp: Stamp | None = None) -> None:
        written = self.stage.world.stores[side].put("k", content, USERS[side], stamp=stamp)
        self.versions.append(OriginVersion(SideName(side), int(self.stage.world.time.now), written.etag))

    def act(self, act: str) -> None:
        side = self.side if act.islower() else self.other
        if act in "dD":
            self.stage.world.stores[side].delete("k", USERS[side])
        else:
            self.write(side, BEFORE[act])
        for line in ("settle", "wait 20"):
            self.stage.perform(line)

    def forge(self, name: str, event: str) -> None:
        """Write with the stamp of that name. The event is `first`, `late` or `lost`."""
        side, _, time = name.partition(" ")
        origin = SideName(self.other if side == "other" else self.side)
        times = {"0": 0, "between": int(self.stage.world.time.now) - 50, "later": 99_999_999_999}
        if side in ("first", "last"):
            version = self.versions[0 if side == "first" else -1]
        else:
            version = OriginVersion(origin, times[time], "0" * 32)
        self.write(self.side, FORGED, Stamp("p", key_hash("k"), version, len(FORGED)))
        (label,) = list(self.stage.events[self.side])[-1:]
        held_back = self.stage.events[self.side].pop(label)
        if event == "late":
            for line in ("wait 2000", f"{self.other} finder f1", "settle"):
                self.stage.perform(line)
        if event != "lost":
            self.stage.events[self.side][label] = held_back
        for line in ("settle", "finders", "finders", "finders"):
            self.stage.perform(line)


@pytest.mark.parametrize("event", ["first", "late", "lost"])
@pytest.mark.parametrize("side", ["cn", "global"])
@pytest.mark.parametrize("acts", ACTS)
def test_forged_stamp_deletes_nothing_that_others_wrote(acts: str, side: str, event: str) -> None:
    for name in STAMPS:
        story = Story(side)
        for act in acts:
            story.act(act)
        latest = BEFORE[acts[-1]]
        story.forge(name, event)
        assert story.held() in ((FORGED, FORGED), (latest, latest)), name
        story.act("N")
        assert story.held() == (b"newest", b"newest"), name
