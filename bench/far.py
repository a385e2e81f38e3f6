"""A peer 250 ms away: objects a second of one worker, and how soon a single object is there."""

from __future__ import annotations

import asyncio
import os
import statistics
import time

from bench.harness.report import Figure, Section
from bench.harness.stage import TARGET, Stage

ROUND_TRIP_MS = 250
SIZE = 16384


def measure(stage: Stage, *, quick: bool) -> Section:
    number = 1000 if quick else 5000
    stage.fresh()
    keys = [f"far/{n:06}" for n in range(number)]
    stage.fill(keys, os.urandom(SIZE))
    stage.announce(keys, SIZE)
    with stage.through_proxies(("peer",), ROUND_TRIP_MS):
        worker = stage.work_off(number)
        far = _visible(stage, 5 if quick else 25)
    near = _visible(stage, 5 if quick else 25)
    added = statistics.median(far) - statistics.median(near)
    figures = [
        Figure("objects a second", worker.rate, "/s", 100, more=True),
        Figure("memory of the worker", worker.rss / 2**20, "MiB", 1024),
        Figure("put to visible, median, peer near", statistics.median(near) * 1000, "ms"),
        Figure("put to visible, median, peer far", statistics.median(far) * 1000, "ms"),
        Figure("round trips to the peer, of a single object", added * 1000 / ROUND_TRIP_MS, "", 2),
    ]
    notes = [
        "distance is added by a proxy that delays every byte and holds none back; connecting takes a round trip, too",
        "single objects: announced one at a time to an idle worker; only the way to the peer is counted as far",
    ]
    return Section(f"{ROUND_TRIP_MS} ms between the sides", figures, notes=notes)


def _visible(stage: Stage, number: int) -> list[float]:
    """Seconds from an event's sending until the object is in the target, one after the other."""
    stage.fresh()
    name = f"single-{time.monotonic_ns()}"
    keys = [f"{name}/{n:03}" for n in range(number)]
    stage.fill(keys, os.urandom(SIZE))
    seconds = []
    with stage.worker() as process:
        stage.running_since(process)
        for n, key in enumerate(keys):
            # Idle for a while, as between two events of a quiet day.
            time.sleep(0.3 if n else 3)
            start = time.monotonic()
            stage.announce([key], SIZE)
            asyncio.run(_there(stage, key))
            seconds.append(time.monotonic() - start)
    return seconds


async def _there(stage: Stage, key: str) -> None:
    bucket = stage.direct(TARGET)
    while await bucket.read(key) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
