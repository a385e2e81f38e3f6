"""Estimates the monthly cost of a pair from the price table beside this file: `python -m tools.docs.cost --help`.

Both sides are calculated with the prices of one region. The calls per change are the worker's; a test compares both.
All assumptions are in `ASSUMPTIONS`.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualsync.components.config.side_options import FinderOptions, FleetOptions, Security, Watch

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
"""Calls for one small object on an uncontended key, both sides together: the copy, and its echo."""

REQUESTS_A_MESSAGE = 3
"""SQS requests per message: send, receive, delete. The worst case: a busy worker receives ten messages per request."""

LOG_BYTES = 316
"""Bytes per log line of a worker, the mean of 1,250 lines of the demo. Two lines per change (the copy, the echo)."""

ENTRY_BYTES = 500
"""Bytes per ledger entry, for a key of 50 characters."""

ALARM_METRICS = 21
"""Metrics that a side's alarms read: 15 alarms read one each, two for scaling read three each."""

IDLE_METRICS = ("HealthyReports", "NotReceiving", "FinderRuns")
"""The side's own metrics that get a value in every hour. A metric is billed per hour in which it gets one."""

BUSY_METRICS = 6
"""Further metrics in an hour with changes: bytes, objects, echoes, deletions and both lags."""

INSTANCE_METRICS = 7
"""Custom metrics per instance that EC2 detailed monitoring is billed as (CloudWatch pricing page)."""

AGENT_METRICS = 2
"""Memory and disk, per group."""

PART_MIB, PARTS_FROM_MIB = 8, 16

ASSUMPTIONS: Mapping[str, str] = {
    "LISTED": "a finder compares 3,000 keys a second: the benchmark's 3,900 with a round trip of 250 ms, less a margin",
    "START": "a finder's task takes a minute to start",
    "WORKERS": "each side runs its smallest fleet, one worker, all month",
    "SPREAD": "changes are spread over the month, so that an hour with a change is billed its metrics",
}
"""Assumptions of the estimate. None was measured at AWS."""
KEYS_A_SECOND = 3000.0
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The use of a pair in one month."""

    keys: int
    """Objects in each bucket."""
    changes: int
    """Objects written by users, both sides together."""
    mib: float = 1.0
    """Mean size of a written object in MiB."""
    interval_minutes: int = FinderOptions().interval_minutes
    """Minutes between two finder runs."""
    workers: float = float(FleetOptions().min_capacity)
    """Workers per side, the mean of the month."""
    unequal_etags: float = 0.0
    """Share of the keys whose ETags differ by side (SSE-KMS): a finder reads the ledger for each of them."""
    nat: bool = False
    """Whether the internet egress of each side is a NAT gateway."""
    public_ip: bool = True
    """Whether workers have public addresses, as in public subnets. A NAT gateway that exists is in no pair's bill."""
    detailed_monitoring: bool = FleetOptions().detailed_monitoring
    """Whether EC2 reports every minute."""
    dashboard: bool = Watch().dashboard
    """Whether each side has a dashboard."""
    topic_key: bool = Security().alarm_topic_key
    """Whether each side has a key for its alarms' topic."""


@dataclass(frozen=True, slots=True)
class Line:
    """One item of the bill."""

    group: str
    """Column of the table: fixed, finder, changes, ledger or transfer."""
    what: str
    """Name of the item."""
    quantity: float
    """Number of units per month."""
    unit: str
    """Unit of the quantity."""
    amount: float
    """Price per month, in the table's currency."""
    free: float = 0.0
    """The part of the amount that CloudWatch's free allowance covers, in accounts that use it for nothing else."""


@dataclass(slots=True)
class Bill:
    """The items of a month, with their sums."""

    lines: list[Line] = field(default_factory=list)
    """The items."""

    def total(self, *groups: str) -> float:
        """Return the sum of these groups, or of all items if no group is given."""
        return sum(line.amount for line in self.lines if not groups or line.group in groups)

    def free(self, *groups: str) -> float:
        """Return what the free allowances cover of these groups, or of all items."""
        return sum(line.free for line in self.lines if not groups or line.group in groups)


def prices(region: str, file: Path = PRICES) -> dict[str, Any]:
    """Return the price table of a region. Raises `LookupError`."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(file.read_text())
    if region not in tables:
        raise LookupError(f"{file.name} has no region {region}, only {', '.join(tables)}: add a table for it")
    return tables[region]


def estimate(usage: Usage, price: Mapping[str, Any]) -> Bill:
    """Return the bill of a month, both sides together, in the table's currency."""
    bill = Bill()

    def add(group: str, what: str, quantity: float, unit: str, each: float, free: float = 0.0) -> None:
        bill.lines.append(Line(group, what, quantity, unit, quantity * each, min(quantity, SIDES * free) * each))

    finder, fleet = FinderOptions(), FleetOptions()
    hours = SIDES * usage.workers * HOURS
    add("fixed", "workers", hours, "hours", price["instance_hour"])
    add("fixed", "volumes of the workers", SIDES * usage.workers * fleet.volume_gib, "GiB", price["volume_gib_month"])
    if usage.nat:
        add("fixed", "NAT gateways", SIDES * HOURS, "hours", price["nat_hour"])
    elif usage.public_ip:
        add("fixed", "addresses of the workers", hours, "hours", price["address_hour"])
    per_worker = INSTANCE_METRICS * usage.workers if usage.detailed_monitoring else 0
    metrics = SIDES * (len(IDLE_METRICS) + AGENT_METRICS + per_worker)
    add("fixed", "metrics", metrics, "metrics", price["metric_month"], price["free_metrics"])
    add("fixed", "alarms", SIDES * ALARM_METRICS, "metrics", price["alarm_metric_month"], price["free_alarm_metrics"])
    if usage.dashboard:
        add("fixed", "dashboards", SIDES, "dashboards", price["dashboard_month"], price["free_dashboards"])
    add("fixed", "secrets", SIDES, "secrets", price["secret_month"])
    if usage.topic_key:
        add("fixed", "KMS keys of the alarms' topics", SIDES, "keys", price["key_month"])
    polls = hours * 3600 / 20
    add("fixed", "idle polling", polls, "requests", price["sqs_million"] / 1e6)
    add("fixed", "heartbeats", hours * 3600 / 30 * 2, "writes", price["write_million"] / 1e6)
    add("fixed", "polls of operator controls", hours * (3600 / 10 + 60), "reads", price["read_million"] / 1e6)
    add("fixed", "log lines of idle workers", hours * 60 * LOG_BYTES / GIB, "GiB", price["log_gib"])

    seconds = START_SECONDS + usage.keys / KEYS_A_SECOND
    # A finder run ends if another one of its side is running, so long runs take place less often than they are started.
    runs = SIDES * HOURS * 3600 / max(seconds, usage.interval_minutes * 60)
    task = finder.cpu / 1024 * price["vcpu_hour"] + finder.memory / 1024 * price["memory_gib_hour"]
    if usage.public_ip and not usage.nat:
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
    busy = min(1.0, usage.changes / SIDES / HOURS)
    add("changes", "metrics", SIDES * BUSY_METRICS * busy, "metrics", price["metric_month"])
    add("changes", "log lines", usage.changes * 2 * LOG_BYTES / GIB, "GiB", price["log_gib"])

    table = SIDES * usage.keys * ENTRY_BYTES / GIB
    add("ledger", "storage", table, "GiB", price["table_gib_month"])
    add("ledger", "point-in-time recovery", table, "GiB", price["recovery_gib_month"])
    moved = usage.changes * usage.mib / 1024
    add("transfer", "out to the internet", moved, "GiB", price["out_gib"])
    if usage.nat:
        # In from the local bucket (unless through a gateway endpoint) and out to the peer.
        add("transfer", "through the NAT gateway", 2 * moved, "GiB", price["nat_gib"])
    return bill


RANGES = {
    "keys": (0, 10**13),
    "changes": (0, 10**13),
    "mib": (0, 50_000_000),  # the largest object has 48.8 TiB ("Multipart upload limits", S3 User Guide)
    "workers": (0, 10**4),
    "interval": (1, 2880),
    "unequal-etags": (0, 1),
}
"""The least and the most that an option of the command line takes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the bill and return the exit code: 0, or 2 for a number out of range or a region without prices."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.cost", description="Estimate a pair's monthly cost.")
    parser.add_argument("--keys", type=int, required=True, help="objects in each bucket")
    parser.add_argument("--changes", type=int, required=True, help="objects written per month, both sides together")
    parser.add_argument("--mib", type=float, default=1.0, help="mean size of a written object in MiB (default 1)")
    parser.add_argument("--workers", type=float, default=1.0, help="workers per side, mean of the month (default 1)")
    parser.add_argument("--interval", type=int, default=60, help="finderIntervalMinutes (default 60)")
    parser.add_argument("--unequal-etags", type=float, default=0.0, help="share of keys under SSE-KMS, 0 to 1")
    parser.add_argument("--nat", action="store_true", help="the internet egress of each side is a NAT gateway")
    parser.add_argument(
        "--no-public-ip", action="store_true", help="workers and finder have no public addresses, as in private subnets"
    )
    parser.add_argument("--no-dashboard", action="store_true", help="dashboard: false")
    parser.add_argument("--topic-key", action="store_true", help="alarmTopicKey: true")
    parser.add_argument("--detailed-monitoring", action="store_true", help="detailedMonitoring: true")
    parser.add_argument("--region", default="us-west-2", help="table in prices.toml (default us-west-2)")
    given = parser.parse_args(arguments)
    for option, (low, high) in RANGES.items():
        value = getattr(given, option.replace("-", "_"))
        if not low <= value <= high:
            sys.stderr.write(f"--{option} {value}: out of range; use a number from {low:g} to {high:g}\n")
            return 2
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
        public_ip=not given.no_public_ip,
        dashboard=not given.no_dashboard,
        topic_key=given.topic_key,
        detailed_monitoring=given.detailed_monitoring,
    )
    bill = estimate(usage, price)
    for line in bill.lines:
        sys.stdout.write(
            f"{line.group:<10}{line.what:<28}{line.quantity:>16,.1f} {line.unit:<12}{line.amount:>12,.2f}\n"
        )
    sys.stdout.write(f"{'per month, both sides, ' + price['currency']:<67}{bill.total():>12,.2f}\n")
    sys.stdout.write(f"{'of it within CloudWatch' + chr(39) + 's free allowances':<67}{bill.free():>12,.2f}\n")
    sys.stdout.write(f"list prices of {given.region} as of {price['date']}, not checked since\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
