"""Seeded violations of single resources: keys, rights, encryption, retention, regions and accounts."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws

from tests.unit.policy.seeding import (
    Seed,
    at,
    document,
    grant,
    option,
    put,
    registered,
    tags,
    user_data,
    variable,
    without_tls,
)
from tests.unit.policy.seeds.wiring import BUCKET_CN, TEMPLATE

ACCOUNT_CN, ACCOUNT_GLOBAL = "111122223333", "444455556666"
BUCKET_GLOBAL = "arn:aws:s3:::dth-dual-dev-us-west-2"
KEY_IN_CLEAR = "AKIA" + "IOSFODNN7EXAMPLE"


WORKER_POLICY: dict[str, Any] = {"kind": "RolePolicy", "name": "dth-dual-cn-worker-policy"}
QUEUE_POLICY: dict[str, Any] = {"kind": "QueuePolicy", "name": "dth-dual-cn-queue-policy"}

SEEDS = (
    Seed(
        "key-in-user-data",
        "keys-in-secrets-manager-only",
        **TEMPLATE,
        change=user_data(lambda script, _: f"{script}\n# {KEY_IN_CLEAR}\n"),
        also=("boot-as-built",),
        known_later=True,
    ),
    Seed(
        "key-in-a-parameter",
        "keys-in-secrets-manager-only",
        at="dth-dual-cn-seeded-parameter",
        extra=lambda seen: registered(
            aws.ssm.Parameter(
                "dth-dual-cn-seeded-parameter",
                name="/dth-dual-cn-key",
                type="SecureString",
                value=seen("AccessKey", "dth-dual-cn-key").secret,
                tags=tags(),
                opts=at(seen),
            )
        ),
        also=("known-types",),
        engine=False,
    ),
    Seed("ssh-key", "keys-in-secrets-manager-only", **TEMPLATE, change=put(key_name="admin")),
    Seed(
        "old-key-first",
        "key-renewed-without-gap",
        kind="AccessKey",
        name="dth-dual-cn-key",
        change=option(delete_before_replace=True),
    ),
    Seed(
        "worker-deletes-buckets",
        "least-privilege",
        **WORKER_POLICY,
        change=document("policy", grant("s3:DeleteBucket", f"arn:aws-cn:s3:::{BUCKET_CN}")),
        known_later=True,
    ),
    Seed(
        "user-makes-keys",
        "least-privilege",
        kind="Policy",
        name="dth-dual-cn-policy",
        change=document("policy", grant(["iam:CreateAccessKey"], f"arn:aws-cn:iam::{ACCOUNT_CN}:user/dth-dual-user")),
    ),
    Seed(
        "roles-passed-to-any-service",
        "least-privilege",
        kind="RolePolicy",
        name="dth-dual-cn-finder-schedule-policy",
        change=document("policy", grant("iam:PassRole", f"arn:aws-cn:iam::{ACCOUNT_CN}:role/dth-dual-cn-finder-task")),
        known_later=True,
    ),
    Seed(
        "role-for-another-account",
        "roles-for-services",
        kind="Role",
        name="dth-dual-cn-worker",
        change=document(
            "assume_role_policy",
            lambda d: d["Statement"].append(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws-cn:iam::{ACCOUNT_GLOBAL}:root"},
                    "Action": "sts:AssumeRole",
                }
            ),
        ),
    ),
    Seed(
        "role-for-any-account",
        "roles-for-services",
        kind="Role",
        name="dth-dual-cn-finder-task",
        change=document("assume_role_policy", lambda d: d["Statement"][0].pop("Condition")),
    ),
    Seed(
        "all-actions",
        "no-wildcard",
        kind="Policy",
        name="dth-dual-cn-policy",
        change=document("policy", grant("s3:*", f"arn:aws-cn:s3:::{BUCKET_CN}/*")),
    ),
    Seed(
        "all-resources",
        "no-wildcard",
        **WORKER_POLICY,
        change=document("policy", grant("sqs:SendMessage", "*")),
        known_later=True,
    ),
    Seed(
        "any-bucket",
        "no-wildcard",
        kind="Policy",
        name="dth-dual-global-policy",
        change=document("policy", grant("s3:GetObject", "arn:aws:s3:::*/*")),
    ),
    Seed(
        "all-actions-but-some",
        "no-wildcard",
        kind="Policy",
        name="dth-dual-global-policy",
        change=document(
            "policy",
            lambda d: d["Statement"].append({"Effect": "Allow", "NotAction": "iam:*", "Resource": BUCKET_GLOBAL}),
        ),
    ),
    Seed(
        "plain-queue",
        "tls-only",
        **QUEUE_POLICY,
        at="dth-dual-cn-queue",
        change=document("policy", without_tls),
        besides=(("senders-denied", "dth-dual-cn-queue-policy"),),
    ),
    Seed(
        "plain-bucket",
        "tls-only",
        kind="BucketPolicy",
        name="dth-dual-cn-artifacts-policy",
        at="dth-dual-cn-artifacts",
        change=document("policy", without_tls),
    ),
    Seed(
        "plain-endpoint",
        "https-endpoints",
        kind="aws",
        name="dth-dual-cn",
        change=put(endpoints=json.dumps([{"sqs": "http://10.0.0.1"}])),
        engine=False,
    ),
    Seed(
        "plain-messages",
        "encrypted-at-rest",
        kind="Queue",
        name="dth-dual-cn-queue",
        change=put(sqs_managed_sse_enabled=False),
    ),
    Seed(
        "plain-volume",
        "encrypted-at-rest",
        **TEMPLATE,
        change=put(block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"volume_size": 8}}]),
    ),
    Seed(
        "silent-alarms",
        "alarms-arrive",
        kind="Topic",
        name="dth-dual-cn-alarms",
        change=put(kms_master_key_id="alias/aws/sns"),
    ),
    Seed(
        "key-without-cloudwatch",
        "alarms-arrive",
        kind="Key",
        name="dth-dual-global-alarms-key",
        change=document("policy", lambda d: d["Statement"].pop(2)),
        at="dth-dual-global-alarms",
    ),
    Seed(
        "every-principal-may-send",
        "nothing-public",
        **QUEUE_POLICY,
        change=document(
            "policy",
            grant("sqs:SendMessage", f"arn:aws-cn:sqs:cn-north-1:{ACCOUNT_CN}:dth-dual-cn-queue", Principal="*"),
        ),
    ),
    Seed(
        "public-bucket",
        "nothing-public",
        kind="BucketPublicAccessBlock",
        name="dth-dual-cn-artifacts-access",
        change=put(block_public_policy=False),
    ),
    Seed(
        "open-port",
        "no-inbound-rule",
        kind="SecurityGroup",
        name="dth-dual-cn-security-group",
        change=put(ingress=[{"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["10.0.0.0/8"]}]),
    ),
    Seed("metadata-without-token", "imdsv2", **TEMPLATE, change=put(metadata_options={"http_tokens": "optional"})),
    Seed(
        "logs-without-retention",
        "logs-limited",
        kind="LogGroup",
        name="dth-dual-cn-worker-log",
        change=put(retention_in_days=None),
    ),
    Seed(
        "logs-for-a-day",
        "logs-limited",
        kind="LogGroup",
        name="dth-dual-cn-finder-log",
        change=put(retention_in_days=1),
    ),
    Seed(
        "dead-letters-expire-first",
        "dead-letters-outlive-queue",
        kind="Queue",
        name="dth-dual-cn-dead-letters",
        change=put(message_retention_seconds=7 * 86400),
    ),
    Seed(
        "tombstones-expire-first",
        "tombstones-outlive-messages",
        **TEMPLATE,
        change=user_data(variable("DUALSYNC_TOMBSTONE_DAYS", "10")),
        known_later=True,
    ),
    Seed(
        "ledger-without-recovery",
        "ledger-recoverable",
        kind="Table",
        name="dth-dual-cn-ledger",
        change=put(point_in_time_recovery={"enabled": False}),
    ),
    Seed(
        "bundle-expires",
        "bundle-stays",
        kind="BucketLifecycleConfiguration",
        name="dth-dual-cn-artifacts-lifecycle",
        change=put(rules=[{"id": "old", "status": "Enabled", "expiration": {"days": 90}}]),
    ),
    Seed(
        "scaling-undone",
        "scaling-not-undone",
        kind="Group",
        name="dth-dual-cn-workers",
        change=option(ignore_changes=[]),
    ),
    Seed(
        "literal-arn",
        "own-partition",
        kind="Policy",
        name="dth-dual-cn-policy",
        change=document("policy", grant("s3:GetObject", f"arn:aws:s3:::{BUCKET_CN}/*")),
    ),
    Seed(
        "another-region",
        "region-of-the-provider",
        kind="Queue",
        name="dth-dual-global-queue",
        change=put(region="us-east-1"),
        engine=False,
    ),
    Seed(
        "two-accounts",
        "provider-tied-to-account",
        kind="aws",
        name="dth-dual-cn",
        change=put(allowed_account_ids=json.dumps([ACCOUNT_CN, ACCOUNT_GLOBAL])),
        # Without a single account, no resource counts as the account's own.
        besides=(
            *(
                ("own-resources-only", f"dth-dual-cn-{part}-policy")
                for part in ("finder-start", "finder-schedule", "finder-task", "worker")
            ),
            *(("senders-denied", f"dth-dual-cn-{part}-policy") for part in ("queue", "dead-letters")),
        ),
        engine=False,
    ),
)
