"""One large object: how near to what the same servers read and write in parallel, and the memory that it takes."""

from __future__ import annotations

import asyncio
import os
import sys
import time

from bench.harness import tools
from bench.harness.process import run, running
from bench.harness.report import Figure, Section
from bench.harness.stage import SOURCE, TARGET, Stage
from bench.harness.stub import KEY, SECRET
from runtime.edges.credentials import Credential, FixedCredentials
from runtime.edges.network import Network
from runtime.edges.s3 import S3Bucket
from runtime.objects import NOTHING, Attributes

PART = 8 << 20


def measure(stage: Stage, *, quick: bool) -> Section:
    size = (256 << 20) if quick else (1 << 30)
    stage.fresh()
    asyncio.run(write(stage.bucket(SOURCE), "large/source", size))
    limit = _limit(stage, size)
    stage.announce(["large/source"], size)
    worker = stage.work_off(1)
    gib = size / 2**30
    figures = [
        Figure("of the servers' limit", limit / worker.seconds * 100, "%", 90, more=True),
        Figure("rate", gib / worker.seconds * 1024, "MiB/s"),
        Figure("CPU of the worker", worker.cpu / gib, "s/GiB"),
        Figure("memory of the worker", worker.rss / 1e6, "MB", 300),
    ]
    notes = [
        "the limit: one process that reads the object in parts, and beside it one that writes as much, four parts at a"
        " time each",
    ]
    bars = [("dualsync, with queue and ledger", gib / worker.seconds * 1024), ("servers' limit", gib / limit * 1024)]
    seconds = _rclone(stage)
    if seconds is None:
        notes.append("rclone: missing on this machine")
    else:
        bars.append(("rclone copyto, 4 streams", gib / seconds * 1024))
        figures.append(Figure("rate, to rclone copyto with 4 streams", seconds / worker.seconds, "x"))
    return Section(f"One object of {gib:g} GiB", figures, bars, "one large object, MiB a second", notes)


async def write(bucket: S3Bucket, key: str, size: int) -> None:
    """An object of random bytes in parts, four at a time."""
    upload = await bucket.create_upload(key, Attributes(), None)
    numbers = iter(range(1, -(-size // PART) + 1))
    body = os.urandom(PART)
    parts = []

    async def put() -> None:
        for number in numbers:
            length = min(PART, size - (number - 1) * PART)
            parts.append(await bucket.put_part(key, upload, number, body[:length]))

    await asyncio.gather(*(put() for _ in range(4)))
    await bucket.complete_upload(key, upload, sorted(parts, key=lambda part: part.number), NOTHING)


async def read(bucket: S3Bucket, key: str) -> None:
    """The object in parts, four at a time, thrown away."""
    seen = await bucket.head(key)
    if seen is None:
        raise RuntimeError(f"{key} is not there")
    starts = iter(range(0, seen.size, PART))

    async def get() -> None:
        for start in starts:
            await bucket.read_range(key, start, min(seen.size, start + PART), seen.etag)

    await asyncio.gather(*(get() for _ in range(4)))


def _limit(stage: Stage, size: int) -> float:
    """Seconds of reading and writing as much side by side, in processes of their own."""
    commands = [
        [sys.executable, "-m", "bench.large", stage.url("s3"), "read", SOURCE, "large/source", str(size)],
        [sys.executable, "-m", "bench.large", stage.url("s3"), "write", TARGET, "large/limit", str(size)],
    ]
    start = time.monotonic()
    with (
        running(commands[0], stage.folder / "limit-read.log") as reader,
        running(commands[1], stage.folder / "limit-write.log") as writer,
    ):
        if reader.wait() or writer.wait():
            raise RuntimeError(f"the servers' limit can't be measured: see {stage.folder}/limit-*.log")
        return time.monotonic() - start


def _rclone(stage: Stage) -> float | None:
    rclone = tools.program("rclone")
    if rclone is None:
        return None
    remote = f":s3,provider=Other,endpoint='{stage.url('s3')}',access_key_id={KEY},secret_access_key={SECRET}:"
    options = ["--multi-thread-streams", "4", "--s3-upload-concurrency", "4", "--s3-chunk-size", "8M"]
    options += [
        "--multi-thread-cutoff",
        "16M",
        "--multi-thread-chunk-size",
        "8M",
        "--config",
        os.devnull,
        "--disable",
        "copy",
    ]
    command = [str(rclone), "copyto", f"{remote}{SOURCE}/large/source", f"{remote}{TARGET}/large/rclone", *options]
    return run(command, os.environ | {"RCLONE_S3_NO_CHECK_BUCKET": "true"}).seconds


def _main(url: str, what: str, name: str, key: str, size: int) -> None:
    caller, path_style = Network("us-east-1", FixedCredentials(Credential(KEY, SECRET))).s3(name, url)
    bucket = S3Bucket(caller, name, path_style=path_style)
    asyncio.run(read(bucket, key) if what == "read" else write(bucket, key, size))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
