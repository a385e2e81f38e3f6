"""Many small objects: CPU, rate, memory and requests an object, queue and ledger included."""

from __future__ import annotations

import os
import sys

from bench.harness import prices, tools
from bench.harness.process import Finished, run
from bench.harness.report import Figure, Section
from bench.harness.stage import SOURCE, TARGET, Stage, count
from bench.harness.stub import KEY, SECRET

SIZE = 16384


def measure(stage: Stage, *, quick: bool) -> Section:
    number = 1000 if quick else 10_000
    _warm(stage, 500 if quick else 4000)
    stage.fresh()
    keys = [f"small/{n:06}" for n in range(number)]
    stage.fill(keys, os.urandom(SIZE))
    stage.announce(keys, SIZE)
    worker = stage.work_off(number)
    requests = _requests(stage, 500 if quick else 3000)
    total = sum(requests.values())
    notes = [
        "the servers are warmed up first",
        "requests are counted by proxies before the servers, in a run of its own",
    ]
    figures = [
        Figure("CPU of the worker, an object", worker.cpu_ms, "ms", 0.8),
        Figure("requests an object", total, "", 3.4),
        Figure("  of S3, SQS, DynamoDB", requests["s3"], f"+ {requests['sqs']:.2f} + {requests['dynamodb']:.2f}"),
        Figure("objects a second", worker.rate, "/s"),
        Figure("memory of the worker", worker.rss / 2**20, "MiB"),
        Figure(
            "a million objects",
            prices.per_million_objects(requests["sqs"], 1, 1, worker.cpu_ms),
            "$ (transfer apart)",
        ),
    ]
    bars = [("dualsync, with queue and ledger", worker.rate)]
    peers = {"rclone copy, 64 transfers": _rclone(stage), "boto3, 32 threads": _boto3(stage, number)}
    for name, peer in peers.items():
        if peer is None:
            notes.append(f"{name}: missing on this machine")
            continue
        rate = number / peer.seconds
        bars.append((name, rate))
        cpu = peer.usage.cpu / number * 1000
        if name.startswith("rclone"):
            figures.append(Figure(f"objects a second, to {name}", worker.rate / rate, "x", 1.0, more=True))
        else:
            figures.append(Figure(f"objects a second, to {name}", worker.rate / rate, "x"))
        figures.append(Figure(f"  CPU of {name}, an object", cpu, "ms"))
    notes.append("the peers only copy: they have no queue, no ledger and no conditions")
    return Section(f"{number:,} objects of 16 KiB", figures, bars, "objects of 16 KiB a second", notes)


def _warm(stage: Stage, number: int) -> None:
    """The servers in Java take their time to become what they are."""
    for _ in range(2):
        stage.fresh()
        keys = [f"warm/{n:06}" for n in range(number)]
        stage.fill(keys, os.urandom(SIZE))
        stage.announce(keys, SIZE)
        stage.work_off(number)


def _requests(stage: Stage, number: int) -> dict[str, float]:
    stage.fresh()
    keys = [f"counted/{n:06}" for n in range(number)]
    stage.fill(keys, os.urandom(SIZE))
    stage.announce(keys, SIZE)
    with stage.through_proxies(("s3", "sqs", "dynamodb")) as proxies:
        stage.ports["peer"] = stage.ports["s3"]
        stage.work_off(number)
        return {name: count(proxy) / number for name, proxy in proxies.items()}


def _rclone(stage: Stage) -> Finished | None:
    rclone = tools.program("rclone")
    if rclone is None:
        return None
    remote = f":s3,provider=Other,endpoint='{stage.url('s3')}',access_key_id={KEY},secret_access_key={SECRET}:"
    options = ["--transfers", "64", "--checkers", "64", "--config", os.devnull, "--disable", "copy"]
    command = [str(rclone), "copy", f"{remote}{SOURCE}/small", f"{remote}{TARGET}/rclone", *options]
    return run(command, os.environ | {"RCLONE_S3_NO_CHECK_BUCKET": "true"})


def _boto3(stage: Stage, number: int) -> Finished:
    command = [sys.executable, "-m", "bench.harness.boto3_copy", stage.url("s3"), SOURCE, TARGET, "small/", str(number)]
    return run(command)
