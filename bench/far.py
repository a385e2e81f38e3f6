"""A peer with 250 ms round-trip time: objects per second of one worker, and the delay of a single object."""

from __future__ import annotations

import asyncio
import statistics
import time
from functools import partial

from bench.harness import limit
from bench.harness.measured import Measured
from bench.harness.peers.programs import RCLONE, attempt, missing, rclone
from bench.harness.report.figures import Figure, Section, over_rounds
from bench.harness.report.plot import Chart
from bench.harness.site import TARGET
from bench.harness.stage import SIZE, Stage

ROUND_TRIP_MS = 250
OURS = "dualsync"


def measure(stage: Stage, *, quick: bool) -> Section:
    number, fewer, singles, rounds = (1000, 200, 5, 1) if quick else (5000, 1000, 9, 3)
    stage.warm(fewer, 1)
    ours: list[list[Measured]] = []
    peers: list[list[Measured]] = []
    far: list[list[float]] = []
    for n in range(rounds):
        keys = stage.filled(f"far-{n}/", number)
        some = stage.filled(f"few-{n}/", fewer)
        stage.fresh()
        stage.announce(keys, SIZE)
        with stage.through_proxies(("peer",), ROUND_TRIP_MS):
            ours.append([stage.work_off(number)])
            far.append([seconds * 1000 for seconds in _visible(stage, singles)])
            peer = attempt(RCLONE, partial(rclone, stage, f"few-{n}/", some))
            peers.append([peer] if peer is not None else [])
        stage.forget()
    near = _visible(stage, singles)
    queue = statistics.median(asyncio.run(_queue(stage, singles))) * 1000
    others: dict[str, float | None] = {RCLONE: None}
    ratios: list[Figure] = []
    if all(peers):
        others[RCLONE] = statistics.median(peer.rate for (peer,) in peers)
        rates = [[mine.rate / peer.rate] for (mine,), (peer,) in zip(ours, peers, strict=True)]
        ratios.append(over_rounds(f"objects per second, to those of {RCLONE}", rates, "x", 3, more=True))
    rate = over_rounds("objects per second", [[run.rate for run in group] for group in ours], "/s", peers=others)
    trips = [[(single - queue) / ROUND_TRIP_MS for single in group] for group in far]
    figures = [
        rate,
        *ratios,
        Figure("largest resident memory", max(run.rss for (run,) in ours) / 2**20, "MiB", 1024),
        over_rounds("put to visible on an idle queue, median", far, "ms", ROUND_TRIP_MS + queue),
        over_rounds("  in round trips, without the queue's", trips, ""),
        Figure("  of which the queue's, median", queue, "ms"),
        Figure("  the same with the peer near, median", statistics.median(near) * 1000, "ms"),
    ]
    notes = [
        "distance is added by a proxy that delays every byte and holds none back; connecting takes a round trip, and a"
        " TLS handshake takes its own. Only the way to the peer's bucket is far",
        "put to visible: from an event's sending until the object can be read in the target, one at a time, to an idle"
        " worker. The queue's: from a message's sending until a waiting receive has it",
        f"{rounds} rounds of {number:,} objects and {singles} single ones",
        f"memory: the worker runs in {limit.how()}",
        f"{RCLONE.split(',')[0]} over {fewer:,} objects, with its start and its listing; dthcli's worker has one"
        " endpoint setting for both sides, so it cannot have only the peer far",
        *(missing(name) for name, value in others.items() if value is None),
    ]
    bars = [(OURS, rate.value), *((name, value) for name, value in others.items() if value is not None)]
    charts = [Chart(f"Objects of 16 KiB per second, {ROUND_TRIP_MS} ms away", bars)]
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
