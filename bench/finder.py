"""A finder run over two large equal buckets: keys per second of one core, memory, requests.

Also with a distant peer, in one key range and in several.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from bench.harness.peers.programs import attempt, missing, rclone_environment, rclone_trust
from bench.harness.process import Finished, free_port, run, running, wait_for_port
from bench.harness.report.figures import Figure, Section
from bench.harness.servers import tools
from bench.harness.servers.listing_server import PAGE, key
from bench.harness.servers.stub import KEY, SECRET
from bench.harness.site import TABLE
from bench.harness.stage import Stage, count
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.finder.key_ranges import POINTS
from dualsync.runtime.model.records import FINDER_POINTS, SEEDED, Record

ROUND_TRIP_MS = 250
BOTO3, RCLONE = "boto3's paginator", "rclone check"
DEADLINE_SECONDS = 600.0
"""A peer's deadline."""
RANGES = 8


def measure(stage: Stage, *, quick: bool) -> Section:
    keys = 200_000 if quick else 10_000_000
    with _listing(stage, keys) as url:
        _ledger(stage, keys)
        with stage.through_proxies(("dynamodb",)) as proxies:
            ours = _finder(stage, url, url)
            reads = count(proxies["dynamodb"])
        asked = _counts(url)
        _ledger(stage, keys)
        divided = _finder(stage, url, url, RANGES)
    few = min(keys, 1_000_000)
    with _listing(stage, few) as url:
        boto3 = attempt(BOTO3, lambda: _paginator(stage, url)) if tools.peers_wanted else None
        rclone = attempt(RCLONE, lambda: _rclone(stage, url))
    peers = {
        BOTO3: few / boto3.usage.cpu if boto3 else None,
        RCLONE: few / rclone.usage.cpu if rclone else None,
    }
    one, several = _far(stage, 100_000 if quick else 400_000)
    pages = 2 * keys // PAGE
    rate = keys / ours.usage.cpu
    figures = [
        Figure("keys a second of CPU", rate, "/s", 100_000, more=True, peers=peers),
        Figure("keys a second", keys / ours.seconds, "/s"),
        Figure("memory of the finder", ours.usage.rss / 1e6, "MB", 150),
        Figure(f"the same with {RANGES} ranges", divided.usage.rss / 1e6, "MB", 150),
        Figure("requests for objects (HEAD, GET)", asked["HEAD object"] + asked["GET object"], "", 0),
        Figure(f"listings beyond the {pages:,} pages", asked["list"] - pages, "", 0),
        Figure("requests to the ledger", reads, "", 20),
        Figure(f"{ROUND_TRIP_MS} ms away, keys a second in one range", one, "/s"),
        Figure(f"{ROUND_TRIP_MS} ms away, {RANGES} ranges, to one", several / one, "x", RANGES * 0.8, more=True),
    ]
    notes = [
        "the listings come from a server of the harness, which shares the cores; uploads under way are asked for once a"
        " side besides",
        f"the peers go over {few:,} keys a side; boto3 lists both and compares nothing, rclone by --size-only",
        "far away: a run over one page, which takes as long to start, is taken off",
    ]
    notes += [missing(peer) for peer, value in peers.items() if value is None]
    bars = [("dualsync finder", rate), *((peer, value) for peer, value in peers.items() if value is not None)]
    title = f"A pass over {keys:,} keys a side"
    return Section(title, figures, bars, "keys a side, compared a second of CPU", notes)


@contextlib.contextmanager
def _listing(stage: Stage, keys: int) -> Iterator[str]:
    """Serve a store with that many keys in each bucket, and yield its address."""
    port = free_port()
    log = stage.folder / "listing.log"
    with running(
        [sys.executable, "-m", "bench.harness.servers.listing_server", str(port), str(keys), *stage.certificate()], log
    ) as server:
        wait_for_port(port, server, log)
        yield f"{stage.scheme}://127.0.0.1:{port}"


def _counts(url: str) -> Counter[str]:
    trust = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    with urllib.request.urlopen(f"{url}/counts", context=trust) as answer:
        return Counter(json.load(answer))


def _ledger(stage: Stage, keys: int) -> None:
    """Create a ledger of buckets that a finder has compared before, with its checkpoints."""
    stage.fresh()
    ledger = DynamoLedger(stage.network.client("dynamodb", stage.url("dynamodb")), TABLE)
    points = [key(keys * n // POINTS) for n in range(1, POINTS)]

    async def write() -> None:
        await ledger.record(Record(SEEDED, id="seeded", time=1))
        await ledger.record(Record(FINDER_POINTS, id="last", time=1, data={"points": points}))

    asyncio.run(write())


def _far(stage: Stage, keys: int) -> tuple[float, float]:
    """Measure keys per second of a finder with a distant peer, in one key range and in several."""
    rates = []
    with _listing(stage, keys) as url:
        stage.ports["listing"] = int(url.rsplit(":", 1)[1])
        with stage.through_proxies(("listing",), ROUND_TRIP_MS):
            far = stage.url("listing")
            for ranges in (1, RANGES):
                _ledger(stage, PAGE)
                start = _finder(stage, url, far, ranges, bucket="few").seconds
                _ledger(stage, keys)
                rates.append(keys / (_finder(stage, url, far, ranges).seconds - start))
        del stage.ports["listing"]
    return rates[0], rates[1]


def _finder(stage: Stage, here: str, there: str, ranges: int = 1, *, bucket: str = "many") -> Finished:
    settings = replace(
        stage.settings(),
        local_endpoint=here,
        remote_endpoint=there,
        local_bucket=f"{bucket}-here",
        remote_bucket=f"{bucket}-there",
        finder_number=ranges,
    )
    start = time.monotonic()
    process = run([sys.executable, "-m", "dualsync.runtime", "finder"], stage.environment(settings))
    return Finished(time.monotonic() - start, process.usage)


def _paginator(stage: Stage, url: str) -> Finished:
    code = (
        "import boto3,sys\n"
        f"s=boto3.Session({KEY!r},{SECRET!r},region_name='us-east-1').client('s3',endpoint_url={url!r})\n"
        "for b in ('many-here','many-there'):\n"
        "    for p in s.get_paginator('list_objects_v2').paginate(Bucket=b):\n"
        "        len(p['Contents'])\n"
    )
    return run([sys.executable, "-c", code], os.environ | stage.trusted(), seconds=DEADLINE_SECONDS)


def _rclone(stage: Stage, url: str) -> Finished | None:
    rclone = tools.program("rclone")
    if rclone is None:
        return None
    remote = f":s3,provider=Other,endpoint='{url}',access_key_id={KEY},secret_access_key={SECRET},list_version=2:"
    options = ["--size-only", "--fast-list", "--config", os.devnull, *rclone_trust(stage)]
    command = [str(rclone), "check", f"{remote}many-here", f"{remote}many-there", *options]
    return run(command, rclone_environment(stage), seconds=DEADLINE_SECONDS)
