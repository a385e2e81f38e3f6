"""A finder's pass over two large buckets that are nearly the same: keys a second of one core, and memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from dataclasses import replace

from bench.harness import tools
from bench.harness.process import Finished, free_port, run, running, wait_for_port
from bench.harness.report import Figure, Section
from bench.harness.stage import TABLE, Stage, count
from bench.harness.stub import KEY, SECRET
from runtime.edges.dynamodb import DynamoLedger
from runtime.record import SEEDED, Record


def measure(stage: Stage, *, quick: bool) -> Section:
    keys = 200_000 if quick else 10_000_000
    stage.fresh()
    ledger = DynamoLedger(stage.network.caller("dynamodb", stage.url("dynamodb")), TABLE)
    asyncio.run(ledger.record(Record(SEEDED, id="seeded", time=1)))
    port = free_port()
    log = stage.folder / "listing.log"
    with running([sys.executable, "-m", "bench.harness.listing_server", str(port), str(keys)], log) as server:
        wait_for_port(port, server, log)
        url = f"http://127.0.0.1:{port}"
        with stage.through_proxies(("dynamodb",)) as proxies:
            ours = _finder(stage, url)
            reads = count(proxies["dynamodb"])
        few = min(keys, 200_000)
        boto3 = _paginator(url, stage, few)
        rclone = _rclone(stage, url) if keys <= 1_000_000 else None
    figures = [
        Figure("keys a second of CPU", keys / ours.usage.cpu, "/s", 100_000, more=True),
        Figure("keys a second", keys / ours.seconds, "/s"),
        Figure("memory of the finder", ours.usage.rss / 1e6, "MB", 150),
        Figure("requests to the ledger", reads, "", 20),
        Figure("CPU, to boto3's paginator over both sides", boto3.usage.cpu / few / (ours.usage.cpu / keys), "x less"),
    ]
    notes = [
        "the listings come from a server of the harness, which shares the cores",
        "boto3 only lists, nothing compared",
    ]
    if rclone is None:
        notes.append("rclone check --size-only: missing on this machine, or too many keys for it")
    else:
        figures.append(Figure("CPU, to rclone check --size-only", rclone.usage.cpu / ours.usage.cpu, "x less"))
    bars = [("dualsync finder", keys / ours.usage.cpu), ("boto3 paginator", few / boto3.usage.cpu)]
    title = f"A pass over {keys:,} keys a side"
    return Section(title, figures, bars, "keys a side, compared a second of CPU", notes)


def _finder(stage: Stage, url: str) -> Finished:
    settings = replace(
        stage.settings(), local_endpoint=url, remote_endpoint=url, local_bucket="here", remote_bucket="there"
    )
    start = time.monotonic()
    process = run([sys.executable, "-m", "runtime", "finder"], stage.environment(settings))
    return Finished(time.monotonic() - start, process.usage)


def _paginator(url: str, stage: Stage, keys: int) -> Finished:
    code = (
        "import boto3,sys\n"
        f"s=boto3.Session({KEY!r},{SECRET!r},region_name='us-east-1').client('s3',endpoint_url={url!r})\n"
        "for b in ('here','there'):\n"
        "    n=0\n"
        "    for p in s.get_paginator('list_objects_v2').paginate(Bucket=b):\n"
        "        n+=len(p['Contents'])\n"
        f"        if n>={keys}: break\n"
    )
    return run([sys.executable, "-c", code])


def _rclone(stage: Stage, url: str) -> Finished | None:
    rclone = tools.program("rclone")
    if rclone is None:
        return None
    remote = f":s3,provider=Other,endpoint='{url}',access_key_id={KEY},secret_access_key={SECRET},list_version=2:"
    options = ["--size-only", "--fast-list", "--config", os.devnull]
    with contextlib.suppress(RuntimeError):
        return run([str(rclone), "check", f"{remote}here", f"{remote}there", *options])
    return None
