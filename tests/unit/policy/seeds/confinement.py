"""Seeded violations of denials: senders to the queues, and the use of a stolen key of the dedicated user."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws

from tests.unit.policy.seeding import Registered, Seed, at, document, put
from tests.unit.policy.seeds.access import QUEUE_POLICY, USER_POLICY, statement

NOT_PLAYED: dict[str, Any] = {"engine": False}
IAM = "arn:aws-cn:iam::111122223333"


def secret_policy(
    seen: Registered,
    name: str,
    *,
    effect: str,
    condition: dict[str, Any],
    actions: list[str] | None = None,
) -> None:
    """Register a policy of the hand-over's secret."""
    value = [f"secretsmanager:{action}" for action in ("GetSecretValue", "PutSecretValue", "UpdateSecret")]
    one = {
        "Effect": effect,
        "Principal": "*",
        "Action": actions or value,
        "Resource": "*",
        "Condition": condition,
    }
    aws.secretsmanager.SecretPolicy(
        f"dth-dual-cn-seeded-{name}",
        secret_arn=seen("Secret", "dth-dual-cn-credentials").arn,
        policy=json.dumps({"Version": "2012-10-17", "Statement": [one]}),
        opts=at(seen),
    )


def without(sid: str) -> Any:
    """Remove a statement."""
    return document("policy", lambda d: d["Statement"].remove(statement(d, sid)))


def denying(**elements: Any) -> Any:
    """Change elements of the denial."""
    return document("policy", lambda d: statement(d, "OtherSources").update(elements))


def exempting(arn: str) -> Any:
    """Exempt a further principal from the denial."""
    return document(
        "policy", lambda d: statement(d, "OtherSources")["Condition"]["ArnNotLike"]["aws:PrincipalArn"].append(arn)
    )


def exempt_by_tag(found: dict[str, Any]) -> None:
    """Exempt the principals with a tag."""
    for sid in ("OtherSources", "OtherAccounts"):
        statement(found, sid)["Condition"].update(StringNotEquals={"aws:PrincipalTag/team": "x"})


SEEDS = (
    Seed(
        "dead-letters-from-any-sender",
        "senders-denied",
        kind="QueuePolicy",
        name="dth-dual-cn-dead-letters-policy",
        change=without("OtherSources"),
        **NOT_PLAYED,
    ),
    Seed(
        "every-role-sends",
        "senders-denied",
        **QUEUE_POLICY,
        change=exempting("arn:aws-cn:iam::111122223333:role/*"),
        **NOT_PLAYED,
    ),
    Seed(
        "role-of-another-account-sends",
        "senders-denied",
        **QUEUE_POLICY,
        change=exempting("arn:aws-cn:iam::999999999999:role/x"),
        **NOT_PLAYED,
    ),
    Seed(
        "denial-on-one-source",
        "senders-denied",
        kind="QueuePolicy",
        name="dth-dual-cn-dead-letters-policy",
        change=denying(Condition={"ArnEquals": {"aws:SourceArn": "arn:aws-cn:s3:::x"}}),
        **NOT_PLAYED,
    ),
    Seed(
        "denial-on-foreign-accounts-alone",
        "senders-denied",
        kind="QueuePolicy",
        name="dth-dual-cn-dead-letters-policy",
        change=denying(Condition={"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}),
        **NOT_PLAYED,
    ),
    Seed(
        "denial-that-exempts-a-tag",
        "senders-denied",
        **QUEUE_POLICY,
        change=document("policy", exempt_by_tag),
        **NOT_PLAYED,
    ),
    Seed(
        "denial-on-another-queue",
        "senders-denied",
        **QUEUE_POLICY,
        change=denying(Resource="arn:aws-cn:sqs:cn-north-1:111122223333:another"),
        **NOT_PLAYED,
    ),
    Seed(
        "letters-of-any-queue",
        "senders-denied",
        kind="Queue",
        name="dth-dual-global-queue",
        change=put(redrive_allow_policy=None),
        **NOT_PLAYED,
    ),
    Seed(
        "letters-of-all-queues",
        "senders-denied",
        kind="Queue",
        name="dth-dual-global-dead-letters",
        change=put(redrive_allow_policy='{"redrivePermission": "allowAll"}'),
        **NOT_PLAYED,
    ),
    Seed(
        "sessions-denied-without-tls-only",
        "user-confined",
        **USER_POLICY,
        change=document(
            "policy",
            lambda d: statement(d, "NoSessions")["Condition"].update(BoolIfExists={"aws:SecureTransport": "false"}),
        ),
        **NOT_PLAYED,
    ),
    Seed(
        "customer-keys-denied-on-a-condition",
        "user-confined",
        **USER_POLICY,
        change=document(
            "policy",
            lambda d: statement(d, "NoKeysOfOthers")["Condition"]["Null"].update({"aws:SourceIp": "true"}),
        ),
        **NOT_PLAYED,
    ),
    Seed(
        "secret-readable-by-all-roles",
        "secret-confined",
        at="dth-dual-cn-seeded-confinement",
        extra=lambda seen: secret_policy(
            seen, "confinement", effect="Deny", condition={"ArnNotLike": {"aws:PrincipalArn": [f"{IAM}:role/*"]}}
        ),
        **NOT_PLAYED,
    ),
    Seed(
        "secret-writable-by-all-principals",
        "secret-confined",
        at="dth-dual-cn-seeded-replacement",
        extra=lambda seen: secret_policy(
            seen,
            "replacement",
            effect="Deny",
            condition={"ArnNotLike": {"aws:PrincipalArn": [f"{IAM}:role/ci"]}},
            actions=["secretsmanager:GetSecretValue"],
        ),
        **NOT_PLAYED,
    ),
    Seed("sessions-outlive-the-key", "user-confined", **USER_POLICY, change=without("NoSessions"), **NOT_PLAYED),
    Seed("customer-keys-allowed", "user-confined", **USER_POLICY, change=without("NoKeysOfOthers"), **NOT_PLAYED),
    Seed(
        "any-acl",
        "user-confined",
        **USER_POLICY,
        change=document("policy", lambda d: statement(d, "Acl").pop("Condition")),
        **NOT_PLAYED,
    ),
    Seed(
        "sessions-denied-on-a-condition",
        "user-confined",
        **USER_POLICY,
        change=document(
            "policy",
            lambda d: statement(d, "NoSessions")["Condition"].update(StringEquals={"aws:PrincipalAccount": "0"}),
        ),
        **NOT_PLAYED,
    ),
)
