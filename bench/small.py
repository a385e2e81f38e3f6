"""Many small objects: CPU, rate, memory, requests and cost per object, including queue and ledger."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bench.harness import limit, prices
from bench.harness.peers import BOTO3, DTHCLI, PEERS, RCLONE, missing
from bench.harness.plot import Chart
from bench.harness.report import Figure, Section
from bench.harness.requests import READ_UNITS, WRITE_UNITS
from bench.harness.stage import SIZE, Measured, Stage, counts

OURS = "dualsync"
ALONE = "rclone and boto3 only copy, without queue and ledger"
SERVICES = ("s3", "sqs", "dynamodb")

_SETUP = ("CreateQueue", "CreateTable", "DeleteTable", "PUT", "SendMessageBatch")

Requests = Mapping[str, Counter[str]]
"""Number of requests of a whole run, by service and operation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: objects of ours and rclone's rounds, of the slower peers' (their figures are by the object,
    too), of the runs that are counted, of a warm-up round; how many rounds warm up, and how many are measured."""

    objects: int
    fewer: int
    counted: int
    warm: int
    warming: int
    rounds: int


FULL, QUICK = Plan(10_000, 3000, 2000, 10_000, 6, 5), Plan(1000, 500, 500, 500, 2, 1)


def measure(stage: Stage, *, quick: bool, plan: Plan | None = None) -> Section:
    plan = plan or (QUICK if quick else FULL)
    stage.warm(plan.warm, plan.warming)
    runs: dict[str, list[Measured]] = {}
    for number in range(plan.rounds):
        _round(stage, plan, number, runs)
    asked = {name: requests for name in (OURS, *PEERS) if (requests := _requests(stage, name, plan.counted))}
    ours = runs[OURS]
    cpu = {name: statistics.median(run.cpu_ms for run in some) for name, some in runs.items()}
    rate = {name: statistics.median(run.rate for run in some) for name, some in runs.items()}
    rss = {name: max(run.rss for run in some) / 2**20 for name, some in runs.items()}
    servers = {name: statistics.median(run.servers_ms for run in some) for name, some in runs.items()}
    each = {name: _total(requests) / plan.counted for name, requests in asked.items()}
    dollars = {name: _dollars(requests, plan.counted, cpu[name]) for name, requests in asked.items()}
    figures = [
        Figure("CPU an object", cpu[OURS], "ms", 0.8, peers=_others(cpu), runs=[run.cpu_ms for run in ours]),
        Figure("requests an object", each[OURS], "", 3.4, peers=_others(each)),
        Figure("a million objects", dollars[OURS], "dollars", peers=_others(dollars)),
        Figure("objects a second", rate[OURS], "/s", peers=_others(rate), runs=[run.rate for run in ours]),
        *_to_rclone(runs),
        Figure("largest resident memory", rss[OURS], "MiB", limit.BYTES / 2**20, peers=_others(rss)),
        Figure("CPU of the servers meanwhile, an object", servers[OURS], "ms", peers=_others(servers)),
    ]
    return Section(
        f"{plan.objects:,} objects of 16 KiB",
        figures,
        notes=[*_notes(plan, runs), *(_spelled(name, asked[name], plan.counted) for name in asked)],
        charts=[
            Chart("Objects of 16 KiB a second", _bars(rate), note=ALONE),
            Chart("CPU an object, ms", _bars(cpu), less=True, target=0.8, note=ALONE),
            Chart("Requests an object", _bars(each), less=True, target=3.4, note=ALONE),
            Chart("Dollars a million objects, transfer apart", _bars(dollars), less=True, note=ALONE),
        ],
    )


def _to_rclone(runs: Mapping[str, list[Measured]]) -> list[Figure]:
    """Return the ratio per round, in which both ran under the same conditions."""
    ratios = [mine.rate / theirs.rate for mine, theirs in zip(runs[OURS], runs.get(RCLONE, ()), strict=False)]
    if not ratios:
        return []
    what = f"objects a second, to those of {RCLONE}"
    return [Figure(what, statistics.median(ratios), "x", 1.0, more=True, runs=ratios)]


def _ours(stage: Stage, keys: list[str]) -> Measured:
    stage.fresh()
    stage.announce(keys, SIZE)
    return stage.work_off(len(keys))


def _round(stage: Stage, plan: Plan, number: int, runs: dict[str, list[Measured]]) -> None:
    """Run every program once over new objects, in another order per round."""
    prefixes = {plan.objects: f"many-{number}/", plan.fewer: f"few-{number}/"}
    keys = {size: stage.filled(prefix, size) for size, prefix in prefixes.items()}
    names = [OURS, *PEERS]
    for name in names[number % len(names) :] + names[: number % len(names)]:
        size = plan.fewer if name in (BOTO3, DTHCLI) else plan.objects
        run = _ours(stage, keys[size]) if name == OURS else PEERS[name](stage, prefixes[size], keys[size])
        if run is not None:
            runs.setdefault(name, []).append(run)


def _requests(stage: Stage, name: str, number: int) -> Requests | None:
    """Count the requests of a separate run by proxies in front of the servers. None when the peer is missing."""
    prefix = f"counted-{name.split(',')[0].split()[0]}/"
    keys = stage.filled(prefix, number)
    with stage.through_proxies(SERVICES) as proxies:
        stage.ports["peer"] = stage.ports["s3"]
        run = _ours(stage, keys) if name == OURS else PEERS[name](stage, prefix, keys)
        found = {service: counts(proxy) for service, proxy in proxies.items()}
    return None if run is None else {service: _of_the_run(counter) for service, counter in found.items()}


def _of_the_run(counter: Counter[str]) -> Counter[str]:
    """Remove the harness's own requests, which create buckets, queues and table and fill the queue."""
    return Counter({name: n for name, n in counter.items() if name not in _SETUP})


def _total(requests: Requests) -> int:
    units = (READ_UNITS, WRITE_UNITS)
    return sum(n for counter in requests.values() for name, n in counter.items() if name not in units)


def _dollars(requests: Requests, number: int, cpu_ms: float) -> float:
    s3, sqs, table = ({name: n / number for name, n in requests[service].items()} for service in SERVICES)
    return prices.per_million(s3, sqs, table, cpu_ms)


def _others(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: values.get(name) for name in PEERS}


def _bars(values: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(name, values[name]) for name in (OURS, *PEERS) if name in values]


def _spelled(name: str, requests: Requests, number: int) -> str:
    """Describe the requests per copy, without those that occur once per run."""
    each = [
        f"{operation} {n / number:.2f}".rstrip("0").rstrip(".")
        for counter in requests.values()
        for operation, n in counter.most_common()
        if n / number >= 0.01 and operation not in (READ_UNITS, WRITE_UNITS)
    ]
    units = {unit: n / number / 2 for unit, n in requests["dynamodb"].items() if unit in (READ_UNITS, WRITE_UNITS)}
    spent = "".join(f", {n:.2g} {unit}" for unit, n in units.items())
    return f"requests an object of {name}: {', '.join(each)}{spent}"


def _notes(plan: Plan, runs: Mapping[str, list[Measured]]) -> list[str]:
    absent = [missing(name) for name in PEERS if name not in runs]
    times = "once" if plan.rounds == 1 else f"{plan.rounds} times, medians (and spread)"
    return [
        "queue and ledger are Java servers on the same cores: what they take (the last figure) is taken from our rate,"
        " and not from a plain copier's",
        f"the servers are warmed up; then all programs in alternation, {times}; {BOTO3.split(',')[0]} and {DTHCLI} over"
        f" {plan.fewer:,} objects",
        f"requests are counted by proxies before the servers, in runs of their own over {plan.counted:,} objects",
        f"dollars: {prices.source()}",
        "rclone and boto3 only copy: they have no queue, no ledger and no conditions; dthcli's worker has queue and"
        " table, no conditions, and is run as it is found on the path, with 64 workers",
        f"memory: the worker runs in {limit.how()}",
        *absent,
    ]
