"""A peer with 250 ms round-trip time: objects per second of one worker, and the delay of a single object."""

from __future__ import annotations

import asyncio
import statistics
import time

from bench.harness import limit
from bench.harness.peers import RCLONE, missing, rclone
from bench.harness.plot import Chart
from bench.harness.report import Figure, Section
from bench.harness.stage import SIZE, TARGET, Measured, Stage

ROUND_TRIP_MS = 250
OURS = "dualsync"


def measure(stage: Stage, *, quick: bool) -> Section:
    number, fewer, singles = (1000, 200, 5) if quick else (5000, 1000, 25)
    stage.warm(fewer, 1)
    keys = stage.filled("far/", number)
    some = stage.filled("few/", fewer)
    stage.fresh()
    stage.announce(keys, SIZE)
    with stage.through_proxies(("peer",), ROUND_TRIP_MS):
        runs: dict[str, Measured | None] = {OURS: stage.work_off(number)}
        far = _visible(stage, singles)
        runs[RCLONE] = rclone(stage, "few/", some)
    near = _visible(stage, singles)
    queue = statistics.median(asyncio.run(_queue(stage, singles))) * 1000
    single = statistics.median(far) * 1000
    rate = {name: run.rate for name, run in runs.items() if run is not None}
    ours = runs[OURS]
    others: dict[str, float | None] = {name: rate.get(name) for name in (RCLONE,)}
    figures = [
        Figure("objects a second", rate[OURS], "/s", 100, more=True, peers=others),
        Figure("largest resident memory", ours.rss / 2**20 if ours else 0.0, "MiB", 1024),
        Figure("put to visible on an idle queue, median", single, "ms", 2 * ROUND_TRIP_MS + queue,
               runs=[seconds * 1000 for seconds in far]),
        Figure("  in round trips, without the queue's", (single - queue) / ROUND_TRIP_MS, "", 2),
        Figure("  of which the queue's, median", queue, "ms"),
        Figure("  the same with the peer near, median", statistics.median(near) * 1000, "ms"),
    ]  # fmt: skip
    notes = [
        "distance is added by a proxy that delays every byte and holds none back; connecting takes a round trip, too."
        " Only the way to the peer's bucket is far",
        "put to visible: from an event's sending until the object can be read in the target, one at a time, to an idle"
        " worker; without TLS. The queue's: from a message's sending until a waiting receive has it",
        f"memory: the worker runs in {limit.how()}",
        f"{RCLONE.split(',')[0]} over {fewer:,} objects, with its start and its listing; dthcli's worker is told one"
        " endpoint for both sides here, so it can't have only the peer far",
        *(missing(name) for name, value in others.items() if value is None),
    ]
    bars = [(name, rate[name]) for name in (OURS, RCLONE) if name in rate]
    charts = [Chart(f"Objects of 16 KiB a second, {ROUND_TRIP_MS} ms away", bars, target=100)]
    return Section(f"{ROUND_TRIP_MS} ms between the sides", figures, notes=notes, charts=charts)


def _visible(stage: Stage, number: int) -> list[float]:
    """Measure the seconds from sending an event until the object is in the target, one event after the other."""
    keys = stage.filled(f"single-{time.monotonic_ns()}/", number)
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


async def _queue(stage: Stage, number: int) -> list[float]:
    """Measure the seconds from sending a message until a waiting receiver has it."""
    await stage.renew()
    sender, receiver = stage.queue(), stage.queue()
    seconds = []
    for _ in range(number):
        waiting = asyncio.create_task(receiver.receive(1, 20))
        await asyncio.sleep(0.3)
        start = time.monotonic()
        await sender.send(["{}"])
        messages = await waiting
        seconds.append(time.monotonic() - start)
        await receiver.delete(messages)
    return seconds
