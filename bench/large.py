"""Large objects: throughput compared with parallel reads and writes on the same servers, and memory."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.harness import limit
from bench.harness.measured import Measured
from bench.harness.peers.programs import (
    DTHCLI,
    attempt,
    dthcli,
    missing,
    rclone_environment,
    rclone_remote,
    rclone_trust,
)
from bench.harness.process import free_port, running, wait_for_port
from bench.harness.report.figures import Figure, Section, over_rounds
from bench.harness.report.plot import Chart
from bench.harness.servers import tools
from bench.harness.servers.stub import KEY, SECRET
from bench.harness.site import SOURCE, TARGET
from bench.harness.stage import Stage
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes
from dualsync.runtime.transfer.multipart import PARTS_AT_ONCE

PART = 8 << 20
PARALLEL = PARTS_AT_ONCE // 2
START_SECONDS = 4.0
DEADLINE_SECONDS = 180.0
"""A peer's deadline for one object: 6 MiB per second for 1 GiB."""
OURS, LIMIT, RCLONE = "dualsync", "servers' limit", "rclone copyto, 4 streams"
MEMORY = 300e6
"""Limit of a worker's resident memory in bytes, for objects of any size."""
SAME = 1.2
KEY_NAME = "large/source"


def measure(stage: Stage, *, quick: bool) -> Section:
    size, rounds, repeats = (256 << 20, 1, 1) if quick else (1 << 30, 3, 3)
    stage.warm(500 if quick else 10_000, 2)
    stage.fresh()
    asyncio.run(write(stage.bucket(SOURCE), KEY_NAME, size))
    runs = [[_round(stage, size, number * repeats + n) for n in range(repeats)] for number in range(rounds)]

    def all_of(name: str, what: str) -> list[float]:
        return [getattr(repeat[name], what) for group in runs for repeat in group if name in repeat]

    names = [name for name in (OURS, LIMIT, RCLONE, DTHCLI) if all_of(name, "seconds")]
    mib, gib = size / 2**20, size / 2**30
    rate = {name: mib / statistics.median(all_of(name, "seconds")) for name in names}
    cpu = {name: statistics.median(all_of(name, "cpu")) / gib for name in names if name != LIMIT}
    memory = {name: max(all_of(name, "rss")) / 1e6 for name in names if name != LIMIT}
    shares = [[repeat[LIMIT].seconds / repeat[OURS].seconds * 100 for repeat in group] for group in runs]
    rates = [[mib / repeat[OURS].seconds for repeat in group] for group in runs]
    figures = [
        over_rounds("of the servers' limit", shares, "%", 90, more=True),
        over_rounds("rate", rates, "MiB/s", peers=_others(rate)),
        Figure("CPU", cpu[OURS], "s/GiB", peers=_others(cpu)),
        Figure(f"largest resident memory, {gib:g} GiB", memory[OURS], "MB", MEMORY / 1e6, peers=_others(memory)),
    ]
    notes = [
        f"the limit: one process that reads the object in parts of {PART >> 20} MiB, and beside it one that writes as"
        f" much, {PARALLEL} parts at a time each (the worker has as many in hand: it reads a part, then writes it), by"
        " the same client, without queue and ledger, from when both are ready",
        "the queue's and the table's servers are warmed up; all programs in alternation, each time to an empty bucket"
        f"; {rounds} rounds of {repeats}",
        "dthcli's worker with its default of 4 workers, seven parts at a time",
        f"memory: the worker runs in {limit.how()}",
        *(missing(name) for name in (RCLONE, DTHCLI) if name not in rate),
    ]
    _sparse(stage, 512 << 20 if quick else 10 << 30, memory[OURS], figures, notes)
    bars = [(name, rate[name]) for name in (OURS, LIMIT, RCLONE, DTHCLI) if name in rate]
    charts = [Chart(f"One object of {gib:g} GiB, MiB a second", bars, target=rate[LIMIT] * 0.9)]
    return Section(f"One object of {gib:g} GiB", figures, notes=notes, charts=charts)


def _round(stage: Stage, size: int, number: int) -> dict[str, Measured]:
    """Run every program once, each time to an empty bucket, in another order each time."""
    contestants: Mapping[str, Callable[[Stage, int], Measured | None]] = {
        LIMIT: _limit,
        OURS: _ours,
        RCLONE: _rclone,
        DTHCLI: lambda stage, size: dthcli(stage, "", [KEY_NAME], size=size, seconds=DEADLINE_SECONDS),
    }
    done: dict[str, Measured] = {}
    names = list(contestants)
    for name in names[number % len(names) :] + names[: number % len(names)]:
        contestant = partial(contestants[name], stage, size)
        run = contestant() if name in (OURS, LIMIT) else attempt(name, contestant)
        if run is not None:
            done[name] = run
        shutil.rmtree(stage.folder / "s3" / TARGET, ignore_errors=True)
        stage.fresh()
    return done


def _others(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: values.get(name) for name in (RCLONE, DTHCLI)}


def _ours(stage: Stage, size: int) -> Measured:
    stage.announce([KEY_NAME], size)
    return stage.work_off(1, delayed=False, last=stage.file(TARGET, KEY_NAME))


def _sparse(stage: Stage, size: int, before: float, figures: list[Figure], notes: list[str]) -> None:
    """Copy an object that takes no space on either side: the worker's memory must not grow with it."""
    gib = f"{size / 2**30:g} GiB"
    key = "large/sparse"
    path = sparse(stage.file(SOURCE, key), size)
    stage.fresh()
    port, log = free_port(), stage.folder / "sink.log"
    with running(
        [sys.executable, "-m", "bench.harness.servers.sink", str(port), *stage.certificate()], log, folder=tools.ROOT
    ) as sink:
        wait_for_port(port, sink, log)
        stage.announce([key], size)
        with stage.peer_at(port):
            done = stage.work_off(1, delayed=False)
            arrived = asyncio.run(stage.peer().head(key))
    path.unlink()
    if arrived is None or arrived.size != size:
        raise RuntimeError(f"{key}: {size} bytes were sent, there is {arrived}")
    memory = done.rss / 1e6
    figures += [
        Figure(f"largest resident memory, {gib}", memory, "MB", MEMORY / 1e6),
        Figure("  to that of the smaller", memory / before, "x", SAME),
        Figure(f"CPU, {gib}", done.cpu / size * 2**30, "s/GiB"),
    ]
    notes.append(
        f"{gib}: from a sparse file in the server's folder, in the fleet's way (parts as messages), to a target of the"
        f" harness that throws parts away; memory counts as the same within {SAME - 1:.0%}"
    )


def sparse(path: Path, size: int) -> Path:
    """Create an object of zeros in versitygw's folder, which keeps ETags in an extended attribute."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    os.setxattr(path, "user.etag", b"0123456789abcdef0123456789abcdef")
    return path


async def write(bucket: S3Bucket, key: str, size: int) -> None:
    """Upload an object of random bytes in parts, several at a time."""
    upload = (await bucket.create_upload(key, Attributes(), None)).id
    numbers = iter(range(1, -(-size // PART) + 1))
    body = os.urandom(PART)
    parts = []

    async def put() -> None:
        for number in numbers:
            length = min(PART, size - (number - 1) * PART)
            parts.append(await bucket.put_part(key, upload, number, body[:length]))

    await asyncio.gather(*(put() for _ in range(PARALLEL)))
    await bucket.complete_upload(key, upload, sorted(parts, key=lambda part: part.number), MUST_NOT_EXIST)


async def read(bucket: S3Bucket, key: str) -> None:
    """Read the object in parts, several at a time, and discard them."""
    seen = await bucket.head(key)
    if seen is None:
        raise RuntimeError(f"{key} is not there")
    starts = iter(range(0, seen.size, PART))

    async def get() -> None:
        for start in starts:
            await bucket.read_range(key, start, min(seen.size, start + PART), seen.etag)

    await asyncio.gather(*(get() for _ in range(PARALLEL)))


def _limit(stage: Stage, size: int) -> Measured:
    """Read and write the same amount in two parallel processes, whose CPU does not count."""
    start = time.monotonic() + START_SECONDS
    logs = [stage.folder / f"limit-{what}.log" for what in ("read", "write")]
    module = [sys.executable, "-m", "bench.large", stage.url("s3"), str(size), str(start)]
    with (
        running([*module, "read", SOURCE, KEY_NAME], logs[0]) as reader,
        running([*module, "write", TARGET, "large/limit"], logs[1]) as writer,
    ):
        if reader.wait() or writer.wait():
            raise RuntimeError(f"the servers' limit can't be measured: see {stage.folder}/limit-*.log")
    return Measured(1, max(float(log.read_text()) for log in logs) - start, 0.0, 0)


def _rclone(stage: Stage, size: int) -> Measured | None:
    rclone = tools.program("rclone")
    if rclone is None:
        return None
    remote = rclone_remote(stage.url("s3"))
    options = [
        *("--multi-thread-streams", str(PARALLEL), "--s3-upload-concurrency", str(PARALLEL), "--s3-chunk-size", "8M"),
        *("--multi-thread-cutoff", "16M", "--multi-thread-chunk-size", "8M", "--config", os.devnull),
        *("--disable", "copy"),
        *rclone_trust(stage),
    ]
    command = [str(rclone), "copyto", f"{remote}{SOURCE}/{KEY_NAME}", f"{remote}{TARGET}/large/rclone", *options]
    return stage.run(1, command, rclone_environment(stage), DEADLINE_SECONDS)


def _main(url: str, size: str, start: str, what: str, name: str, key: str) -> None:
    """Begin at `start` of the machine's clock and print the end time, so that Python's start does not count."""
    caller, path_style = Network("us-east-1", FixedCredentials(Credential(KEY, SECRET))).bucket_client(name, url)
    bucket = S3Bucket(caller, name, path_style=path_style)
    time.sleep(max(0.0, float(start) - time.monotonic()))
    asyncio.run(read(bucket, key) if what == "read" else write(bucket, key, int(size)))
    print(time.monotonic())


if __name__ == "__main__":
    _main(*sys.argv[1:])
