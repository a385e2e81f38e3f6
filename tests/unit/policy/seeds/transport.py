"""Seeded violations of TLS: denials that do not cover every principal, every action or the whole resource."""

from __future__ import annotations

from tests.unit.policy.seeding import Seed, document
from tests.unit.policy.seeds.access import ARN, ARTIFACTS, BUCKET_POLICY, CN, QUEUE_POLICY, denial, deny_all_but_sending

SEEDS = (
    Seed(
        "tls-for-one-action",
        "tls-only",
        **QUEUE_POLICY,
        at="dth-dual-cn-queue",
        change=document("policy", lambda d: denial(d).update(Action="sqs:ListQueueTags")),
        engine=False,
    ),
    Seed(
        "tls-for-all-but-sending",
        "tls-only",
        **QUEUE_POLICY,
        at="dth-dual-cn-queue",
        change=document("policy", deny_all_but_sending),
        engine=False,
    ),
    Seed(
        "tls-on-a-condition-that-never-holds",
        "tls-only",
        **QUEUE_POLICY,
        at="dth-dual-cn-queue",
        change=document("policy", lambda d: denial(d)["Condition"].update(StringEquals={"aws:PrincipalAccount": "0"})),
        engine=False,
    ),
    Seed(
        "tls-for-one-principal",
        "tls-only",
        **QUEUE_POLICY,
        at="dth-dual-cn-queue",
        change=document("policy", lambda d: denial(d).update(Principal={"AWS": f"{ARN}iam::{CN}:user/other"})),
        engine=False,
    ),
    Seed(
        "tls-elsewhere",
        "tls-only",
        **BUCKET_POLICY,
        at="dth-dual-cn-artifacts",
        change=document("policy", lambda d: denial(d).update(Resource=f"{ARN}s3:::other")),
    ),
    Seed(
        "tls-for-the-bucket-and-not-its-objects",
        "tls-only",
        **BUCKET_POLICY,
        at="dth-dual-cn-artifacts",
        change=document("policy", lambda d: denial(d).update(Resource=ARTIFACTS)),
        engine=False,
    ),
)
