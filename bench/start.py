"""A worker's start, and what it costs while there is nothing to do."""

from __future__ import annotations

import time

from bench.harness.process import usage
from bench.harness.report import Figure, Section
from bench.harness.stage import Stage


def measure(stage: Stage, *, quick: bool) -> Section:
    stage.fresh()
    starts = []
    for _ in range(1 if quick else 5):
        begin = time.monotonic()
        with stage.worker() as process:
            stage.running_since(process)
            starts.append(time.monotonic() - begin)
    with stage.worker() as process:
        stage.running_since(process)
        time.sleep(2)
        before, begin = usage(process.pid), time.monotonic()
        time.sleep(5 if quick else 30)
        idle = (usage(process.pid).cpu - before.cpu) / (time.monotonic() - begin) * 100
    figures = [
        Figure("from start to receiving, best", min(starts), "s", 1.0),
        Figure("CPU while the queue is empty", idle, "%", 1.0),
    ]
    return Section("Start and rest", figures)
