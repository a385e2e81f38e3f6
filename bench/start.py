"""The start of a worker, and its cost while it is idle."""

from __future__ import annotations

import time

from bench.harness.process import usage
from bench.harness.report.figures import Figure, Section, over_rounds
from bench.harness.stage import Stage


def measure(stage: Stage, *, quick: bool) -> Section:
    stage.fresh()
    rest = 5 if quick else 60
    starts: list[list[float]] = []
    for _ in range(1 if quick else 3):
        starts.append([])
        for _ in range(1 if quick else 3):
            begin = time.monotonic()
            with stage.worker() as process:
                stage.running_since(process)
                starts[-1].append(time.monotonic() - begin)
    with stage.worker() as process:
        stage.running_since(process)
        time.sleep(2)
        before, begin = usage(process.pid), time.monotonic()
        time.sleep(rest)
        idle = (usage(process.pid).cpu - before.cpu) / (time.monotonic() - begin) * 100
    figures = [
        over_rounds("from start to receiving, median", starts, "s", 1.0),
        Figure("CPU while the queue is empty", idle, "%", 1.0),
    ]
    notes = [
        "from the process's start until the worker logs that it runs, when it begins to receive: settings read, the"
        " peer's secret fetched, both sides' identities asked, both buckets checked, the ledger asked whose it is",
        f"at rest: for {rest} seconds, from two seconds after the start, a long poll open; heartbeats and the reads"
        " of the operator's controls included",
    ]
    return Section("Start and rest", figures, notes=notes)
