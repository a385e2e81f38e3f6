"""Many small objects: CPU, rate, memory, requests and cost per object, including queue and ledger."""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from bench.harness import cores, limit
from bench.harness.measured import Measured
from bench.harness.peers.programs import DTHCLI, PEERS, RCLONE, attempt, missing
from bench.harness.process import running
from bench.harness.report import prices
from bench.harness.report.figures import Figure, Section, over_rounds
from bench.harness.report.plot import Chart
from bench.harness.servers.requests import READ_UNITS, WRITE_UNITS
from bench.harness.stage import SIZE, Stage, counts

OURS = "dualsync"
ALONE = "all but dthcli only copy, without queue and ledger"
SERVICES = ("s3", "sqs", "dynamodb")

_SETUP = ("CreateQueue", "CreateTable", "DeleteTable", "PUT", "SendMessageBatch")

Requests = Mapping[str, Counter[str]]
"""Number of requests of a whole run, by service and operation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    objects: int
    """Objects per run of ours and rclone's."""
    fewer: int
    """Objects per run of the other peers, whose figures are per object, too."""
    counted: int
    """Objects of the runs whose requests are counted."""
    warm: int
    """Objects of a run that warms the servers up."""
    warming: int
    """Number of such runs."""
    rounds: int
    """Number of rounds; the last one of several runs beside other work."""
    repeats: int
    """Runs of each program per round."""
    apart: int = 0
    """Objects per run on cores apart from the servers; 0 for none of these."""


FULL = Plan(10_000, 1500, 2000, 10_000, warming=3, rounds=3, repeats=3, apart=5000)
PLAIN = Plan(10_000, 1500, 500, 10_000, warming=2, rounds=2, repeats=2)
QUICK = Plan(1000, 500, 500, 500, warming=1, rounds=1, repeats=1, apart=500)
QUICK_PLAIN = Plan(500, 300, 300, 300, warming=1, rounds=1, repeats=1)

SHARE = 0.5
"""Share of a core that a client apart from the servers gets, so that the servers are not the limit."""
NEIGHBOUR = (
    "import time\n"
    "while True:\n"
    "    end = time.perf_counter() + 0.01\n"
    "    while time.perf_counter() < end: pass\n"
    "    time.sleep(0.01)\n"
)
"""Other work on the machine: half of a core."""

Runs = list[list[dict[str, Measured]]]
"""Results by program, of each repeat of each round."""


def measure(stage: Stage, *, quick: bool, plan: Plan | None = None) -> Section:
    """Measure over TLS, with the targets."""
    return _measured(stage, plan or (QUICK if quick else FULL), targets=True)


def measure_plain(stage: Stage, *, quick: bool) -> Section:
    """Measure the same without TLS, beside it."""
    return _measured(stage, QUICK_PLAIN if quick else PLAIN, targets=False)


def _measured(stage: Stage, plan: Plan, *, targets: bool) -> Section:
    stage.warm(plan.warm, plan.warming)
    runs: Runs = []
    apart: Runs = []
    for number in range(plan.rounds):
        busy = 1 < plan.rounds == number + 1
        with _beside_other_work(stage) if busy else contextlib.nullcontext():
            runs.append([_round(stage, plan, number * plan.repeats + n) for n in range(plan.repeats)])
            if plan.apart:
                apart.append([_apart(stage, plan, number * plan.repeats + n) for n in range(plan.repeats)])
    asked = {name: requests for name in (OURS, *PEERS) if (requests := _requests(stage, name, plan.counted))}
    cpu, rate = _median(runs, "cpu_ms"), _median(runs, "rate")
    per_second, servers = _median(runs, "per_cpu_second"), _median(runs, "servers_ms")
    rss = {name: max(values) / 2**20 for name in (OURS, *PEERS) if (values := _all(runs, name, "rss"))}
    each = {name: _total(requests) / plan.counted for name, requests in asked.items()}
    dollars = {name: _dollars(asked[name], plan.counted, cpu[name]) for name in asked if name in cpu}

    def target(value: float) -> float | None:
        return value if targets else None

    figures = [
        over_rounds("CPU per object", _rounds(runs, "cpu_ms"), "ms", peers=_others(cpu)),
        over_rounds(
            "objects per CPU second of the client", _rounds(runs, "per_cpu_second"), "", peers=_others(per_second)
        ),
        *_ratio("CPU per object, to that of", RCLONE, runs, "cpu_ms", target(0.65)),
        *_ratio("CPU per object, to that of", DTHCLI, runs, "cpu_ms", target(0.3)),
        Figure("requests per object", each[OURS], "", target(3.3), peers=_others(each)),
        Figure("a million objects", dollars[OURS], "dollars", peers=_others(dollars)),
        over_rounds("objects per second, on shared cores", _rounds(runs, "rate"), "/s", peers=_others(rate)),
        *_ratio("objects per second, to those of", RCLONE, runs, "rate", target(1.0), more=True),
        *_apart_figures(apart, target(1.3)),
        Figure("largest resident memory", rss[OURS], "MiB", target(limit.BYTES / 2**20), peers=_others(rss)),
        over_rounds(
            "CPU of the servers meanwhile, per object", _rounds(runs, "servers_ms"), "ms", peers=_others(servers)
        ),
    ]
    tls = "" if targets else ", without TLS"
    return Section(
        f"{plan.objects:,} objects of 16 KiB{tls}",
        figures,
        notes=[*_notes(plan, runs), *(_spelled(name, asked[name], plan.counted) for name in asked)],
        charts=_charts(rate, per_second, each, dollars) if targets else [],
    )


def _charts(
    rate: Mapping[str, float], per_second: Mapping[str, float], each: Mapping[str, float], dollars: Mapping[str, float]
) -> list[Chart]:
    return [
        Chart("Objects of 16 KiB per second", _bars(rate), note=ALONE),
        Chart("Objects per CPU second of the client", _bars(per_second), note=ALONE),
        Chart("Requests per object", _bars(each), less=True, target=3.3, note=ALONE),
        Chart("Dollars per million objects, without transfer", _bars(dollars), less=True, note=ALONE),
    ]


def _apart_figures(apart: Runs, target: float | None) -> list[Figure]:
    if not apart:
        return []
    others = {RCLONE: _median(apart, "rate").get(RCLONE)}
    return [
        over_rounds("objects per second, client apart from the servers", _rounds(apart, "rate"), "/s", peers=others),
        *_ratio("the same, to those of", RCLONE, apart, "rate", target, more=True),
    ]


def _all(runs: Runs, name: str, what: str) -> list[float]:
    return [getattr(repeat[name], what) for repeats in runs for repeat in repeats if name in repeat]


def _rounds(runs: Runs, what: str, name: str = OURS) -> list[list[float]]:
    return [[getattr(repeat[name], what) for repeat in repeats if name in repeat] for repeats in runs]


def _median(runs: Runs, what: str) -> dict[str, float]:
    """Return the median of all runs of each program that has any."""
    return {name: statistics.median(values) for name in (OURS, *PEERS) if (values := _all(runs, name, what))}


def _ratio(what: str, peer: str, runs: Runs, of: str, target: float | None, *, more: bool = False) -> list[Figure]:
    """Return the ratio to a peer per repeat, in which both ran under the same conditions; none without the peer."""
    ratios = [
        [getattr(repeat[OURS], of) / getattr(repeat[peer], of) for repeat in repeats if peer in repeat]
        for repeats in runs
    ]
    return [over_rounds(f"{what} {peer}", ratios, "x", target, more=more)] if any(ratios) else []


@contextlib.contextmanager
def _beside_other_work(stage: Stage) -> Iterator[None]:
    with running([sys.executable, "-c", NEIGHBOUR], stage.folder / "neighbour.log"):
        yield


def _ours(stage: Stage, keys: list[str]) -> Measured:
    stage.fresh()
    stage.announce(keys, SIZE)
    return stage.work_off(len(keys))


def _round(stage: Stage, plan: Plan, number: int) -> dict[str, Measured]:
    """Run every program once over new objects, in another order each time."""
    prefixes = {plan.objects: f"many-{number}/", plan.fewer: f"few-{number}/"}
    keys = {size: stage.filled(prefix, size) for size, prefix in prefixes.items()}
    names = [OURS, *PEERS]
    done: dict[str, Measured] = {}
    for name in names[number % len(names) :] + names[: number % len(names)]:
        size = plan.objects if name in (OURS, RCLONE) else plan.fewer
        if name == OURS:
            done[name] = _ours(stage, keys[size])
        elif (run := attempt(name, partial(PEERS[name], stage, prefixes[size], keys[size]))) is not None:
            done[name] = run
    stage.forget()
    return done


def _apart(stage: Stage, plan: Plan, number: int) -> dict[str, Measured]:
    """Run ours and rclone's on cores apart from the servers, with a share of them."""
    prefix = f"apart-{number}/"
    keys = stage.filled(prefix, plan.apart)
    done: dict[str, Measured] = {}
    with stage.apart(SHARE):
        for name in (OURS, RCLONE) if number % 2 else (RCLONE, OURS):
            if name == OURS:
                done[name] = _ours(stage, keys)
            elif (run := attempt(name, partial(PEERS[name], stage, prefix, keys))) is not None:
                done[name] = run
    stage.forget()
    return done


def _requests(stage: Stage, name: str, number: int) -> Requests | None:
    """Count the requests of a separate run by proxies in front of the servers. None when the peer is missing."""
    prefix = f"counted-{name.split(',')[0].split()[0]}/"
    keys = stage.filled(prefix, number)
    with stage.through_proxies(SERVICES) as proxies:
        stage.ports["peer"] = stage.ports["s3"]
        run = _ours(stage, keys) if name == OURS else attempt(name, partial(PEERS[name], stage, prefix, keys))
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
    return f"requests per object of {name}: {', '.join(each)}{spent}"


def _notes(plan: Plan, runs: Runs) -> list[str]:
    absent = [missing(name) for name in PEERS if not _all(runs, name, "rate")]
    few = [name.split(",")[0] for name in PEERS if name != RCLONE]
    share = f"{SHARE:g} of one core" if cores.can_limit() else "one core, because CPU quotas do not work here"
    apart = [
        f"client apart: servers on one half of the cores, the client on {share} of the other half, so that the servers"
        " are not the limit"
    ]
    busy = ["the last round runs beside a program that takes half of a core"]
    return [
        f"the servers are warmed up; then all programs in alternation, {plan.repeats} times per round, in"
        f" {plan.rounds} rounds; {', '.join(few)} over {plan.fewer:,} objects",
        *(busy if plan.rounds > 1 else []),
        *(apart if plan.apart else []),
        "the table is the benchmark's own, in memory; of the servers' CPU (the last figure) a part is taken from our"
        " rate and from dthcli's, and not from a plain copier's",
        f"requests are counted by proxies before the servers, in runs of their own over {plan.counted:,} objects",
        f"dollars: {prices.source()}",
        "rclone, boto3, obstore and awscrt only copy: they have no queue, no ledger and no conditions. dthcli's worker"
        " has queue and table, no conditions, and is run as it is found on the path, with 64 workers",
        "the SDKs' trailing checksums are off for boto3 and dthcli, because versitygw cannot read them over TLS",
        "obstore accepts any certificate, because it can be given no authority",
        f"memory: the worker runs in {limit.how()}",
        *absent,
    ]
