"""What a pair costs a month, from the price table beside this file: `python -m tools.docs.cost --help`.

Both sides are taken at the prices of one region. What is counted a change is what the worker really calls, which a test
holds against the worker; what is assumed stands in `ASSUMPTIONS` and nowhere else.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualsync.components.config.model import FinderOptions, FleetOptions
from dualsync.components.monitoring.metrics import METRICS

PRICES = Path(__file__).with_name("prices.toml")
SIDES = 2
HOURS = 730.0
GIB = float(1 << 30)

CALLS: Mapping[str, int] = {
    "s3 put": 1,
    "s3 get": 1,
    "s3 head": 1,
    "ledger read": 2,
    "ledger write": 2,
    "message": 2,
}
"""Calls of one small object's copy that nobody contests, on both sides together: the copy, and the echo it causes."""

REQUESTS_A_MESSAGE = 3
"""SQS: sent, received, deleted. The worst case: a busy worker receives up to ten messages with one request."""

LOG_BYTES = 316
"""A worker's line, mean of 1,250 lines of the demo; two lines a change (the copy, the echo)."""

ENTRY_BYTES = 500
"""An entry of the ledger for a key of 50 characters."""

ALARM_METRICS = 20
"""What a side's alarms look at: thirteen on one metric each, two for scaling on three each."""

INSTANCE_METRICS = 7
"""EC2 detailed monitoring is billed like so many custom metrics an instance (CloudWatch pricing page)."""

AGENT_METRICS = 3
PART_MIB, PARTS_FROM_MIB = 8, 16

ASSUMPTIONS: Mapping[str, str] = {
    "LISTED": "a finder compares 3,000 keys a second (a page of 1,000 keys from the other partition takes 0.3 s)",
    "START": "a finder's task takes a minute to start",
    "WORKERS": "each side runs its smallest fleet, one worker, all month",
}
"""Not measured at AWS."""
KEYS_A_SECOND = 3000.0
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A pair's month: keys on each side, objects written by users on both sides together, their mean size."""

    keys: int
    changes: int
    mib: float = 1.0
    interval_minutes: int = FinderOptions().interval_minutes
    workers: float = float(FleetOptions().min_capacity)
    unequal_etags: float = 0.0
    """Share of the keys whose ETags differ by side (SSE-KMS): a finder reads the ledger for each of them."""
    nat: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the bill."""

    group: str
    what: str
    quantity: float
    unit: str
    amount: float


@dataclass(slots=True)
class Bill:
    """Lines, and their sums."""

    lines: list[Line] = field(default_factory=list)

    def total(self, *groups: str) -> float:
        """The sum of these groups, of all without any."""
        return sum(line.amount for line in self.lines if not groups or line.group in groups)


def prices(region: str, file: Path = PRICES) -> dict[str, Any]:
    """The table of a region. Raises `LookupError`."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text())
    if region not in tables:
        raise LookupError(f"{file.name} has no region {region}, only {', '.join(tables)}: add a table for it")
    return tables[region]


def estimate(usage: Usage, price: Mapping[str, Any]) -> Bill:
    """The bill of a month, both sides together, in the table's currency."""
    bill = Bill()

    def add(group: str, what: str, quantity: float, unit: str, each: float) -> None:
        bill.lines.append(Line(group, what, quantity, unit, quantity * each))

    finder, fleet = FinderOptions(), FleetOptions()
    hours = SIDES * usage.workers * HOURS
    add("fixed", "workers", hours, "hours", price["instance_hour"])
    add("fixed", "their volumes", SIDES * usage.workers * fleet.volume_gib, "GiB", price["volume_gib_month"])
    if usage.nat:
        add("fixed", "NAT gateways", SIDES * HOURS, "hours", price["nat_hour"])
    else:
        add("fixed", "their addresses", hours, "hours", price["address_hour"])
    metrics = SIDES * (len({metric.name for metric in METRICS}) + AGENT_METRICS + INSTANCE_METRICS * usage.workers)
    add("fixed", "metrics", metrics, "metrics", price["metric_month"])
    add("fixed", "alarms", SIDES * ALARM_METRICS, "metrics", price["alarm_metric_month"])
    add("fixed", "dashboards", SIDES, "dashboards", price["dashboard_month"])
    add("fixed", "secrets", SIDES, "secrets", price["secret_month"])
    add("fixed", "keys of the alarms' topics", SIDES, "keys", price["key_month"])
    polls = hours * 3600 / 20
    add("fixed", "idle polling", polls, "requests", price["sqs_million"] / 1e6)
    add("fixed", "workers' reports", hours * 3600 / 30 * 2, "writes", price["write_million"] / 1e6)
    add("fixed", "workers' questions", hours * (3600 / 10 + 60), "reads", price["read_million"] / 1e6)
    add("fixed", "workers' lines", hours * 60 * LOG_BYTES / GIB, "GiB", price["log_gib"])

    seconds = START_SECONDS + usage.keys / KEYS_A_SECOND
    # A finder that finds another one of its side at work leaves, so a long one runs less often than it is started.
    runs = SIDES * HOURS * 3600 / max(seconds, usage.interval_minutes * 60)
    task = finder.cpu / 1024 * price["vcpu_hour"] + finder.memory / 1024 * price["memory_gib_hour"]
    if not usage.nat:
        task += price["address_hour"]
    add("finder", "tasks", runs * seconds / 3600, "hours", task)
    add("finder", "listings", runs * 2 * usage.keys / 1000, "LISTs", price["put_1000"] / 1000)
    reads = runs * usage.keys * usage.unequal_etags
    add("finder", "ledger reads", reads, "reads", price["read_million"] / 1e6)

    parts = -(-usage.mib // PART_MIB) if usage.mib >= PARTS_FROM_MIB else 0
    puts = usage.changes * (parts + 2 if parts else CALLS["s3 put"])
    gets = usage.changes * (CALLS["s3 get"] + CALLS["s3 head"] + parts)
    add("changes", "writes to S3", puts, "PUTs", price["put_1000"] / 1000)
    add("changes", "reads of S3", gets, "GETs", price["get_1000"] / 1000)
    messages = usage.changes * CALLS["message"] * REQUESTS_A_MESSAGE
    add("changes", "messages", messages, "requests", price["sqs_million"] / 1e6)
    add("changes", "ledger writes", usage.changes * CALLS["ledger write"], "writes", price["write_million"] / 1e6)
    add("changes", "ledger reads", usage.changes * CALLS["ledger read"], "reads", price["read_million"] / 1e6)
    add("changes", "log lines", usage.changes * 2 * LOG_BYTES / GIB, "GiB", price["log_gib"])

    table = SIDES * usage.keys * ENTRY_BYTES / GIB
    add("ledger", "storage", table, "GiB", price["table_gib_month"])
    add("ledger", "point-in-time recovery", table, "GiB", price["recovery_gib_month"])
    moved = usage.changes * usage.mib / 1024
    add("transfer", "out to the internet", moved, "GiB", price["out_gib"])
    if usage.nat:
        # In from the own bucket (unless by a gateway endpoint) and out to the peer.
        add("transfer", "through the NAT gateway", 2 * moved, "GiB", price["nat_gib"])
    return bill


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 2 for a region without prices."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.cost", description="What a pair costs a month.")
    parser.add_argument("--keys", type=int, required=True, help="objects in each bucket")
    parser.add_argument("--changes", type=int, required=True, help="objects written a month, both sides together")
    parser.add_argument("--mib", type=float, default=1.0, help="mean size of a written object in MiB (default 1)")
    parser.add_argument("--workers", type=float, default=1.0, help="workers of a side, mean over the month (default 1)")
    parser.add_argument("--interval", type=int, default=60, help="finderIntervalMinutes (default 60)")
    parser.add_argument("--unequal-etags", type=float, default=0.0, help="share of keys under SSE-KMS, 0 to 1")
    parser.add_argument("--nat", action="store_true", help="the way out is a NAT gateway on each side")
    parser.add_argument("--region", default="us-west-2", help="table in prices.toml (default us-west-2)")
    given = parser.parse_args(arguments)
    try:
        price = prices(given.region)
    except LookupError as e:
        sys.stderr.write(f"{e}\n")
        return 2
    usage = Usage(
        keys=given.keys,
        changes=given.changes,
        mib=given.mib,
        interval_minutes=given.interval,
        workers=given.workers,
        unequal_etags=given.unequal_etags,
        nat=given.nat,
    )
    bill = estimate(usage, price)
    for line in bill.lines:
        sys.stdout.write(
            f"{line.group:<10}{line.what:<28}{line.quantity:>16,.1f} {line.unit:<12}{line.amount:>12,.2f}\n"
        )
    sys.stdout.write(f"{'a month, both sides, ' + price['currency']:<67}{bill.total():>12,.2f}\n")
    sys.stdout.write(f"list prices of {given.region} as of {price['date']}, not checked since\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
