"""Dollars a million objects, from the documentation's table of list prices (`docs/prices.toml`)."""

from __future__ import annotations

import tomllib

from bench.harness.tools import ROOT

REGION = "us-west-2"


def per_million_objects(sqs_requests: float, dynamodb_reads: float, dynamodb_writes: float, cpu_ms: float) -> float:
    """Of copying small objects: one GET and one PUT each, and these numbers an object (DynamoDB: request units). CPU is
    a half of the default instance, which has two cores. Transfer is not in it."""
    price = tomllib.loads((ROOT / "docs" / "prices.toml").read_text())[REGION]
    s3 = (price["get_1000"] + price["put_1000"]) * 1000
    table = dynamodb_reads * price["read_million"] + dynamodb_writes * price["write_million"]
    return float(s3 + sqs_requests * price["sqs_million"] + table + cpu_ms * 1000 / 3600 * price["instance_hour"] / 2)
