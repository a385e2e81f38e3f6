"""One worker process per vCPU: what two of them carry, to one."""

from __future__ import annotations

import time

from bench.harness import cores
from bench.harness.cores import quota
from bench.harness.process import usage
from bench.harness.report.figures import Section, over_rounds
from bench.harness.stage import SIZE, Stage

SHARE = 0.25
"""Share of a core that each worker process gets, so that the servers on the same cores are not the limit."""
START_SECONDS = 60.0


def measure(stage: Stage, *, quick: bool) -> Section:
    """Measure the supervisor with one vCPU and with two, each process with the same share of a core."""
    number, rounds, repeats = (400, 1, 1) if quick else (4000, 3, 3)
    title = "Two worker processes"
    if len(cores.all_cores()) < 2 or not cores.can_limit():
        why = "not measured: it needs two cores and CPU quotas (control groups that this user may make)"
        return Section(title, [], notes=[why])
    stage.warm(number, 2)
    one: list[list[float]] = []
    two: list[list[float]] = []
    servers: list[list[float]] = []
    for n in range(rounds):
        one.append([])
        two.append([])
        servers.append([])
        for repeat in range(repeats):
            for count, rates in ((1, one), (2, two)) if repeat % 2 else ((2, two), (1, one)):
                rate, busy = _rate(stage, f"processes-{n}-{repeat}-{count}/", number * count, count)
                rates[-1].append(rate)
                if count == 2:
                    servers[-1].append(busy)
        stage.forget()
    ratios = [[b / a for a, b in zip(*pair, strict=True)] for pair in zip(one, two, strict=True)]
    figures = [
        over_rounds("objects per second, one process", one, "/s"),
        over_rounds("objects per second, two processes", two, "/s"),
        over_rounds("two, to one", ratios, "x", 1.7, more=True),
        over_rounds("cores that the servers used meanwhile, of those that were free", servers, "%"),
    ]
    notes = [
        f"each process gets {SHARE:.0%} of a core by a CPU quota, the servers the rest: they are not the limit as long"
        " as the last figure is below 100 %",
        "`python -m dualsync.runtime workers` on one vCPU and on two; it starts one process per vCPU",
        f"{rounds} rounds of {repeats}, {number:,} objects of 16 KiB per process",
    ]
    return Section(title, figures, notes=notes)


def _rate(stage: Stage, prefix: str, objects: int, count: int) -> tuple[float, float]:
    """Return objects per second of `count` processes, and how much of the other CPU the servers used, in per cent."""
    keys = stage.filled(prefix, objects)
    stage.client_cores = set(sorted(cores.all_cores())[:count])
    try:
        # The groups are removed after the programs in them have ended.
        with quota(SHARE, "one") as first, quota(SHARE, "two") as second, stage.worker(role="workers") as supervisor:
            workers = _workers(supervisor.pid, count)
            stage.running_since(supervisor, count)
            for pid, group in zip(workers, (first, second), strict=False):
                if group is not None:
                    group.take(pid)
            cpu = sum(usage(pid).cpu for pid in workers)
            stage.announce(keys, SIZE)
            run = stage.watch(supervisor, objects)
            used = sum(usage(pid).cpu for pid in workers) - cpu
    finally:
        stage.client_cores = None
    free = run.seconds * len(cores.all_cores()) - used
    return run.rate, run.servers / free * 100


def _workers(supervisor: int, count: int) -> list[int]:
    """Wait for the supervisor's processes. Raises `RuntimeError` if they do not start."""
    end = time.monotonic() + START_SECONDS
    while len(found := cores.children(supervisor)) < count:
        if time.monotonic() > end:
            raise RuntimeError(f"{len(found)} of {count} worker processes run after {START_SECONDS:.0f} s")
        time.sleep(0.05)
    return found
