"""`python -m bench.profile`: where the worker's CPU goes with small objects; writes docs/profile.md.

cProfile adds time to every call, relatively most to small ones. So the table shows shares, not times, and the CPU per
object is measured without it by `make bench`.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.harness import place
from bench.harness.process import running
from bench.harness.servers import tools
from bench.harness.stage import SIZE, Stage, stage
from dualsync.runtime.__main__ import main as runtime

OBJECTS = 5000
"""How many objects are copied under the profiler by default."""
WARM = 1000
ROWS = 15

LAYERS = (
    ("start: imports, botocore", ("botocore", "boto3", "importlib", "marshal", "builtins.exec", "builtins.compile")),
    ("TLS", ("ssl.", "_ssl.", "aws/http/tls.py")),
    ("sockets and event loop", ("asyncio/", "selectors", "select.epoll", "_socket", "socket", "_asyncio")),
    ("HTTP client", ("runtime/aws/http/",)),
    ("signing", ("_hashlib", "hmac", "hashlib", "sha256")),
    ("S3, SQS and DynamoDB adapters", ("runtime/aws/",)),
    ("JSON and XML", ("json", "xml", "expat")),
    ("decision, ledger entry, messages", ("runtime/sync/", "runtime/messages/", "runtime/model/", "runtime/transfer/")),
    ("consumer and log", ("runtime/service/", "runtime/log", "runtime/app/")),
)
"""Layers by parts of a function's file and name; the first that fits counts."""

TRANSPORT = "decisions/2026-11-27-transport.md"
DATA_PATH = "decisions/2026-11-23-data-path.md"
SMALL_OBJECTS = "decisions/2026-11-28-small-objects.md"
TLS = "decisions/2026-11-29-tls.md"
BATCHING = "decisions/2026-11-23-request-batching.md"
TRIED = (
    ("boto3, awscrt's S3 client", "5.4 and 1.07 to 1.31 ms per object over TLS, ours 0.56 to 0.69 ms", TRANSPORT),
    ("libcurl (pycurl) inside asyncio, under the same client", "0.67 to 0.69 ms: no gain", TRANSPORT),
    ("uvloop", "3 % less CPU per object, for a compiled library per architecture: left out", DATA_PATH),
    ("A TLS layer of our own", "kept: a tenth less per request, and half of the memory", TLS),
    ("Objects made at the start frozen for the garbage collector", "kept: pauses of 70 ms are gone", DATA_PATH),
    ("Messages and ledger entries in batches", "kept: fewer requests per object", BATCHING),
    ("Payloads signed over TLS", "left out: TLS protects them, and the checksum is S3's", DATA_PATH),
    ("Small contents and key locks without generators", "kept: 29 µs less per object", SMALL_OBJECTS),
    ("Header lines searched at once, the day's HMAC copied", "kept: 5 to 8 µs less per signature", SMALL_OBJECTS),
    ("Only the side's own messages searched for an authenticator", "kept: 7 µs less per message", SMALL_OBJECTS),
    ("One JSON decoder and encoder for all events and items", "kept: 4 µs less per object", SMALL_OBJECTS),
    ("Digests of attributes cached", "kept: 4 µs less per object", SMALL_OBJECTS),
    ("Log lines with the second's text kept", "kept: 3 µs less per line", SMALL_OBJECTS),
    ("No wait for a place without a rate, one match for a page", "kept: 0.6 µs less per request", SMALL_OBJECTS),
    ("No copy of values that stay the same", "kept: 4 and 5 µs less per object", SMALL_OBJECTS),
    ("Heads of answers by a comprehension", "no gain", SMALL_OBJECTS),
    ("Two hash states instead of the library's HMAC", "1 µs less per signature: left out", SMALL_OBJECTS),
    ("Records frozen in tests only", "24 to 38 µs less per object: left out", SMALL_OBJECTS),
)
"""What was tried, with its result and the page that has the measurement."""


REST = "Python's built-in functions and the rest"


def layer(file: str, function: str) -> str:
    """Return the layer of a function."""
    where = f"{file}:{function}"
    return next((name for name, marks in LAYERS if any(mark in where for mark in marks)), REST)


def shares(stats: Mapping[tuple[str, int, str], tuple[int, int, float, float, object]]) -> dict[str, float]:
    """Return the share of each layer in the time of all functions, without waiting."""
    found: dict[str, float] = defaultdict(float)
    for (file, _, function), (_, _, own, _, _) in stats.items():
        if not waits(function):
            found[layer(file, function)] += own
    total = sum(found.values()) or 1.0
    return {name: own / total for name, own in sorted(found.items(), key=lambda item: -item[1])}


def waits(function: str) -> bool:
    """Return whether a function's time is waiting, not CPU."""
    return "'poll' of 'select.epoll'" in function


def page(profile: Path, objects: int) -> str:
    """Return the page of a profile over `objects` objects."""
    stats = pstats.Stats(str(profile)).stats  # type: ignore[attr-defined]
    total = sum(own for (_, _, name), (_, _, own, _, _) in stats.items() if not waits(name))
    rows = sorted(stats.items(), key=lambda item: -item[1][2])
    lines = [
        "# Where the CPU goes",
        "",
        f"The worker over {objects:,} objects of 16 KiB on the benchmarks' servers, over TLS, under cProfile. It makes"
        " small functions look dearer than they are. `make profile` writes this page.",
        "",
        f"Profiled on {datetime.now(UTC):%Y-%m-%d} with Python {sys.version.split()[0]}.",
        "",
        "## By layer",
        "",
        "| Layer | Share |",
        "|---|---|",
        *(f"| {name} | {share:.1%} |" for name, share in shares(stats).items()),
        "",
        f"## The {ROWS} functions with most time of their own",
        "",
        "| Function | Calls per object | Share |",
        "|---|---|---|",
    ]
    shown = 0
    for (file, _, function), (_, calls, own, _, _) in rows:
        if waits(function) or shown == ROWS:
            continue
        shown += 1
        lines.append(f"| `{_short(file, function)}` | {calls / objects:.1f} | {own / total:.1%} |")
    tried = [f"| {idea} | {result} | [page]({where}) |" for idea, result, where in TRIED]
    lines += ["", "## What was tried", "", "| Idea | Result | Measured in |", "|---|---|---|", *tried]
    return "\n".join(lines) + "\n"


def _short(file: str, function: str) -> str:
    if file == "~":
        return function.strip("<>").removeprefix("built-in method ").replace("|", "")
    parts = Path(file).parts
    at = parts.index("runtime") if "runtime" in parts else len(parts) - 2
    return f"{function}` in `{'/'.join(parts[max(0, at) :])}"


def _measure(servers: Stage, target: Path, objects: int) -> None:
    servers.announce(servers.filled("warm/", min(WARM, objects)), SIZE)
    servers.work_off(min(WARM, objects))
    servers.announce(servers.filled("profiled/", objects), SIZE)
    command = [sys.executable, "-m", "bench.profile", "--worker", str(target)]
    log = servers.folder / "worker.log"
    with (
        log.open("wb") as out,
        running(command, servers.folder / "worker.err", servers.environment(servers.settings()), output=out) as worker,
    ):
        servers.watch(worker, objects)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)


def main(arguments: list[str]) -> int:
    """Profile a worker and write the page; with `--worker`, run that worker."""
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--objects", type=int, default=OBJECTS, help=f"how many (default {OBJECTS})")
    given = parser.parse_args(arguments)
    if given.worker is not None:
        profile = cProfile.Profile()
        code = profile.runcall(runtime, ["worker"])
        profile.dump_stats(given.worker)
        return int(code or 0)
    absent = tools.missing()
    if absent:
        print(f"missing on this machine: {', '.join(absent)} (installed by go, and by mvn with java): nothing profiled")
        return 2
    with place.data() as folder, stage(folder) as servers:
        target = folder / "profile"
        _measure(servers, target, given.objects)
        written = tools.ROOT / "docs" / "profile.md"
        written.write_text(page(target, given.objects))
    print(f"written: {os.path.relpath(written)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
