"""Run a steady load in a sandbox with cut connections and key rotations, and sample the resources of the workers."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import wait_for
from tests.e2e.drill.case_report import CaseReport
from tests.e2e.drill.environment import Drill
from tests.e2e.relays.gateway import Gateway
from tests.e2e.soak.flatness import Sample, Trend, trends

REMOTE = ("DUALSYNC_REMOTE_ENDPOINT", "DUALSYNC_REMOTE_STS_ENDPOINT")
CUT_SECONDS = 2.0
"""How long a connection to the other side stays cut."""
KEYS = 100
"""Keys per side, which are overwritten repeatedly, so that the stores do not grow."""
SIZES = (100, 16 << 10, 200 << 10)
"""Sizes of objects in bytes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Length of the load, and intervals of its events."""

    seconds: float
    """Length of the load."""
    per_second: float = 4
    """Writes per second on each side."""
    cut_every: float = 60
    """Seconds between two cuts, which alternate between the sides."""
    rotate_every: float = 300
    """Seconds between two rotations of a key, which alternate between the sides."""
    sample_every: float = 10
    """Seconds between two samples."""


@dataclass(slots=True)
class Result:
    """Samples and counts of a run."""

    samples: dict[SideName, list[Sample]] = field(default_factory=lambda: {side: [] for side in SideName})
    """Samples of the worker of each side."""
    writes: int = 0
    """Writes of users."""
    cuts: int = 0
    """Cut connections."""
    rotations: int = 0
    """Rotated keys."""
    equal: bool = False
    """Whether both sides were equal at the end."""

    def trends(self) -> dict[SideName, list[Trend]]:
        """Return the trends per side."""
        return {side: trends(samples) for side, samples in self.samples.items()}

    @property
    def good(self) -> bool:
        """Return whether both sides were equal at the end and nothing grew."""
        return self.equal and all(trend.flat for found in self.trends().values() for trend in found)


def soak(pace: Pace) -> Result:
    """Run the load and return samples and counts."""
    report, result = CaseReport("soak", "Soak"), Result()
    with Drill(report, {}, {}) as drill:
        gateways = {side: Gateway(drill.stage.cloud.endpoint) for side in SideName}
        try:
            drill.begin({side: dict.fromkeys(REMOTE, gateways[side].endpoint) for side in SideName})
            with ThreadPoolExecutor(1) as operator:
                _load(drill, gateways, pace, result, operator)
            drill.settle()
            verified = drill.dualsync("verify", "--grace", "0", reported=False).code == 0
            result.equal = verified and not drill.unsettled_keys()
        finally:
            for gateway in gateways.values():
                gateway.down()
    return result


def _load(
    drill: Drill, gateways: dict[SideName, Gateway], pace: Pace, result: Result, operator: ThreadPoolExecutor
) -> None:
    sides = list(SideName)
    rng = random.Random(1)
    begun = time.monotonic()
    written = sampled = 0
    cut_at: float | None = None
    rotating: Future[None] | None = None
    # A worker reads its key again only after a refused request, so a rotation ends only under load.
    while (now := time.monotonic() - begun) < pace.seconds or rotating is not None:
        drill.stage.fleet.check()
        if written < now * pace.per_second:
            written += 1
            for side in sides:
                # Each side has its own keys, so that the last write of each key is known.
                key = f"soak/{side}/{rng.randrange(KEYS)}.bin"
                drill.put(side, {key: rng.randbytes(rng.choice(SIZES))})
                result.writes += 1
        if cut_at is None and now >= (result.cuts + 1) * pace.cut_every:
            gateways[sides[result.cuts % 2]].down()
            cut_at = now
        elif cut_at is not None and now >= cut_at + CUT_SECONDS:
            gateways[sides[result.cuts % 2]].up()
            result.cuts, cut_at = result.cuts + 1, None
        if rotating is not None and rotating.done():
            rotating.result()
            rotating, result.rotations = None, result.rotations + 1
        elif rotating is None and pace.seconds > now >= (result.rotations + 1) * pace.rotate_every:
            rotating = operator.submit(_rotate, drill, sides[result.rotations % 2])
        if now >= sampled * pace.sample_every:
            sampled += 1
            for side in sides:
                result.samples[side].append(Sample(now, _sample(drill, side)))
        time.sleep(0.01)
    if cut_at is not None:
        gateways[sides[result.cuts % 2]].up()
        result.cuts += 1


def _rotate(drill: Drill, side: SideName) -> None:
    done = drill.dualsync("rotate-key", str(side), "--run", "--yes", "--timeout", "240", reported=False)
    if done.code != 0:
        raise OSError(f"rotate-key {side} ended with {done.code}: {done.out[-300:]}{done.err[-300:]}")


def _sample(drill: Drill, side: SideName) -> dict[str, int]:
    fleet = drill.stage.fleet
    before = len(fleet.lines(side, "resources"))
    os.kill(fleet.workers[side].process.pid, signal.SIGUSR1)
    if not wait_for(lambda: len(fleet.lines(side, "resources")) > before, 30, 0.05):
        raise OSError(f"the worker of {side} logs no resources")
    line = fleet.lines(side, "resources")[-1]
    return {name: int(line[name]) for name in ("memory_bytes", "descriptors", "tasks", "pools", "connections")}
