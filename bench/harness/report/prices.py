"""Cost per million objects, from the documentation's list prices (`tools/docs/prices.toml`, with their date)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from bench.harness.servers.requests import READ_UNITS, WRITE_UNITS
from bench.harness.servers.tools import ROOT

REGION = "us-west-2"
"""Region of the prices."""

READS = frozenset({"GetObject", "HeadObject", "HeadBucket", "GetBucket"})
"""Operations that are charged as GET."""

FREE = frozenset({"DeleteObject", "DeleteObjects", "AbortMultipartUpload"})
"""Operations without a charge."""


def per_million(s3: Mapping[str, float], sqs: Mapping[str, float], table: Mapping[str, float], cpu_ms: float) -> float:
    """Return the cost per million objects of these requests per object, by operation, and of `cpu_ms` CPU per object.

    CPU is charged as half of the default instance, which has two cores. The table's units are halves. The cost has no
    transfer between the sides.
    """
    price = prices()
    reads = sum(number for name, number in s3.items() if name in READS)
    writes = sum(number for name, number in s3.items() if name not in READS | FREE)
    units = table.get(READ_UNITS, 0) * price["read_million"] + table.get(WRITE_UNITS, 0) * price["write_million"]
    return float(
        (reads * price["get_1000"] + writes * price["put_1000"]) * 1000
        + sum(sqs.values()) * price["sqs_million"]
        + units / 2
        + cpu_ms * 1000 / 3600 * price["instance_hour"] / 2
    )


def prices() -> dict[str, float]:
    """Return the table of `REGION`."""
    found: dict[str, float] = tomllib.loads((ROOT / "tools" / "docs" / "prices.toml").read_text())[REGION]
    return found


def source() -> str:
    """Describe the source of the prices for a note."""
    return (
        f"list prices of {REGION} as collected on {prices()['date']} in tools/docs/prices.toml; transfer is not in them"
    )
