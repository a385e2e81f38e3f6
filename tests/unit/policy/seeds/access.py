"""Seeded violations in policies: other accounts, other resources, conditions without effect, attachments."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws

from tests.unit.policy.seeding import Registered, Seed, at, document, grant, put, registered

CN, STRANGER = "111122223333", "999999999999"
ARN = "arn:aws-cn:"
QUEUE = f"{ARN}sqs:cn-north-1:{CN}:dth-dual-cn-queue"
ARTIFACTS = f"{ARN}s3:::dth-dual-cn-artifacts-{CN}"
ROOT = {"AWS": f"{ARN}iam::{STRANGER}:root"}

QUEUE_POLICY: dict[str, Any] = {"kind": "QueuePolicy", "name": "dth-dual-cn-queue-policy"}
BUCKET_POLICY: dict[str, Any] = {"kind": "BucketPolicy", "name": "dth-dual-cn-artifacts-policy"}
TOPIC_POLICY: dict[str, Any] = {"kind": "TopicPolicy", "name": "dth-dual-cn-alarms-policy"}
KEY: dict[str, Any] = {"kind": "Key", "name": "dth-dual-cn-alarms-key"}
USER_POLICY: dict[str, Any] = {"kind": "Policy", "name": "dth-dual-cn-policy"}
WORKER_POLICY: dict[str, Any] = {"kind": "RolePolicy", "name": "dth-dual-cn-worker-policy", "known_later": True}
TRUST: dict[str, Any] = {"kind": "Role", "name": "dth-dual-cn-finder-task"}


def statement(found: dict[str, Any], sid: str) -> dict[str, Any]:
    """Return a statement of a document by its name."""
    named: dict[str, Any] = next(s for s in found["Statement"] if s.get("Sid") == sid)
    return named


def denial(found: dict[str, Any]) -> dict[str, Any]:
    """Return the statement that denies requests without TLS."""
    return statement(found, "TlsOnly")


def trusted(**elements: Any) -> Any:
    """Change the one statement of a trust policy; None removes an element."""

    def edit(found: dict[str, Any]) -> None:
        (one,) = found["Statement"]
        one.update(elements)
        for name in [n for n, value in elements.items() if value is None]:
            del one[name]

    return document("assume_role_policy", edit)


def parsed(text: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [json.loads(text)]})


def secret_policy(seen: Registered) -> None:
    allowed = {"Effect": "Allow", "Principal": ROOT, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    aws.secretsmanager.SecretPolicy(
        "dth-dual-cn-seeded-secret-policy",
        secret_arn=seen("Secret", "dth-dual-cn-credentials").arn,
        policy=parsed(json.dumps(allowed)),
        opts=at(seen),
    )


def deny_all_but_sending(policy: dict[str, Any]) -> None:
    """Deny insecure transport for every action but the one that matters."""
    statement = denial(policy)
    del statement["Action"]
    statement["NotAction"] = "sqs:SendMessage"


SEEDS = (
    Seed(
        "another-account-sends",
        "principals-named",
        **QUEUE_POLICY,
        change=document("policy", grant("sqs:SendMessage", QUEUE, Principal=ROOT)),
    ),
    Seed(
        "everybody-sends-over-tls",
        "nothing-public",
        **QUEUE_POLICY,
        change=document(
            "policy",
            grant("sqs:SendMessage", QUEUE, Principal="*", Condition={"Bool": {"aws:SecureTransport": "true"}}),
        ),
        engine=False,
    ),
    Seed(
        "events-of-any-bucket",
        "principals-named",
        **QUEUE_POLICY,
        change=document("policy", lambda d: statement(d, "BucketEvents").pop("Condition")),
        also=("events-of-own-bucket",),
        engine=False,
    ),
    Seed(
        "events-of-another-bucket",
        "events-of-own-bucket",
        **QUEUE_POLICY,
        change=document(
            "policy",
            lambda d: statement(d, "BucketEvents")["Condition"].update(
                ArnEquals={"aws:SourceArn": f"{ARN}s3:::another-bucket"}
            ),
        ),
    ),
    Seed(
        "s3-purges-the-queue",
        "principals-named",
        **QUEUE_POLICY,
        change=document("policy", lambda d: statement(d, "BucketEvents").update(Action="sqs:PurgeQueue")),
        engine=False,
    ),
    Seed(
        "another-service-sends",
        "principals-named",
        **QUEUE_POLICY,
        change=document(
            "policy",
            grant(
                "sqs:SendMessage",
                QUEUE,
                Principal={"Service": "events.amazonaws.com"},
                Condition={
                    "StringEquals": {"aws:SourceAccount": CN},
                    "ArnEquals": {"aws:SourceArn": f"{ARN}s3:::dth-dual-dev-cn-north-1"},
                },
            ),
        ),
        engine=False,
    ),
    Seed(
        "another-account-writes-artifacts",
        "principals-named",
        **BUCKET_POLICY,
        change=document("policy", grant(["s3:PutObject", "s3:GetObject"], f"{ARTIFACTS}/*", Principal=ROOT)),
    ),
    Seed(
        "another-account-reads-the-secret",
        "principals-named",
        at="dth-dual-cn-seeded-secret-policy",
        extra=secret_policy,
        also=("secret-confined",),
        engine=False,
    ),
    Seed(
        "every-principal-uses-the-key",
        "principals-named",
        kind="Key",
        name="dth-dual-global-alarms-key",
        change=document(
            "policy",
            grant(
                ["kms:Decrypt", "kms:Sign"],
                "*",
                Principal={"AWS": "*"},
                Condition={"StringEquals": {"aws:PrincipalAccount": "444455556666"}},
            ),
        ),
        engine=False,
    ),
    Seed(
        "another-account-has-the-key",
        "principals-named",
        **KEY,
        change=document("policy", grant("kms:*", "*", Principal=ROOT)),
        also=("no-wildcard",),
        engine=False,
    ),
    Seed(
        "topic-open-to-alarms-of-any-account",
        "principals-named",
        **TOPIC_POLICY,
        change=document("policy", lambda d: statement(d, "Alarms").pop("Condition")),
        known_later=True,
        engine=False,
    ),
    Seed(
        "user-in-another-bucket",
        "own-resources-only",
        **USER_POLICY,
        change=document(
            "policy", grant(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"{ARN}s3:::the-core-ledger/*")
        ),
    ),
    Seed(
        "worker-reads-another-secret",
        "own-resources-only",
        **WORKER_POLICY,
        change=document(
            "policy", grant("secretsmanager:GetSecretValue", f"{ARN}secretsmanager:cn-north-1:{CN}:secret:prod-db-*")
        ),
        engine=False,
    ),
    Seed(
        "worker-passes-an-administrator",
        "own-resources-only",
        **WORKER_POLICY,
        change=document(
            "policy",
            grant(
                ["iam:PassRole"],
                f"{ARN}iam::{CN}:role/Administrator",
                Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
        ),
        engine=False,
    ),
    Seed(
        "roles-passed-to-all-but-one",
        "least-privilege",
        **WORKER_POLICY,
        change=document(
            "policy",
            grant(
                ["iam:PassRole"],
                f"{ARN}iam::{CN}:role/dth-dual-cn-worker",
                Condition={"StringNotEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
            ),
        ),
        engine=False,
    ),
    Seed(
        "metrics-of-any-namespace",
        "no-wildcard",
        **WORKER_POLICY,
        change=document(
            "policy",
            lambda d: statement(d, "Metrics").update(Condition={"StringLike": {"cloudwatch:namespace": "*"}}),
        ),
        engine=False,
    ),
    Seed(
        "worker-administers-identities",
        "no-wildcard",
        **WORKER_POLICY,
        change=document("policy", grant("iam:*", "*")),
        engine=False,
    ),
    Seed(
        "policy-that-is-no-json",
        "no-wildcard",
        kind="RolePolicy",
        name="dth-dual-cn-worker-policy",
        change=put(policy="{'Statement': []}"),
        engine=False,
    ),
    Seed(
        "action-in-lower-case",
        "least-privilege",
        **USER_POLICY,
        change=document("policy", grant(["s3:deleteobject"], f"{ARN}s3:::dth-dual-dev-cn-north-1/*")),
        engine=False,
    ),
    Seed(
        "users-second-policy",
        "own-policies-only",
        at="dth-dual-cn-seeded-user-attachment",
        extra=lambda seen: registered(
            aws.iam.UserPolicyAttachment(
                "dth-dual-cn-seeded-user-attachment",
                user="dth-dual-user",
                policy_arn=f"{ARN}iam::{CN}:policy/CompanyAdministrator",
                opts=at(seen),
            )
        ),
        engine=False,
    ),
    Seed(
        "policy-of-aws",
        "own-policies-only",
        at="dth-dual-cn-seeded-attachment",
        extra=lambda seen: registered(
            aws.iam.RolePolicyAttachment(
                "dth-dual-cn-seeded-attachment",
                role="dth-dual-cn-worker",
                policy_arn="arn:aws-cn:iam::aws:policy/AmazonSSMManagedInstanceCore",
                opts=at(seen),
            )
        ),
        engine=False,
    ),
    Seed(
        "policy-for-another-role",
        "own-policies-only",
        at="dth-dual-cn-seeded-role-policy",
        extra=lambda seen: registered(
            aws.iam.RolePolicy(
                "dth-dual-cn-seeded-role-policy",
                name="dth-dual-cn-seeded",
                role="Administrator",
                policy=parsed(json.dumps({"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE})),
                opts=at(seen),
            )
        ),
        engine=False,
    ),
    Seed(
        "user-in-a-group",
        "own-policies-only",
        at="dth-dual-cn-seeded-membership",
        extra=lambda seen: registered(
            aws.iam.UserGroupMembership(
                "dth-dual-cn-seeded-membership", user="dth-dual-user", groups=["admins"], opts=at(seen)
            )
        ),
        engine=False,
    ),
    Seed(
        "group-of-administrators",
        "own-policies-only",
        at="dth-dual-cn-seeded-group",
        extra=lambda seen: registered(
            aws.iam.GroupPolicyAttachment(
                "dth-dual-cn-seeded-group",
                group="g",
                policy_arn=f"{ARN}iam::aws:policy/AdministratorAccess",
                opts=at(seen),
            )
        ),
        engine=False,
    ),
    Seed(
        "one-role-with-a-boundary",
        "boundary-kept",
        kind="Role",
        name="dth-dual-global-worker",
        change=put(permissions_boundary="arn:aws:iam::444455556666:policy/some-boundary"),
        at="dth-dual-global-finder-task",
        also_at=("dth-dual-global-user", "dth-dual-global-finder-start", "dth-dual-global-finder-schedule"),
        engine=False,
    ),
    Seed(
        "trust-on-all-accounts-but-one",
        "roles-for-services",
        **TRUST,
        change=trusted(Condition={"StringNotEquals": {"aws:SourceAccount": "1"}}),
        engine=False,
    ),
    Seed(
        "trust-on-any-account",
        "roles-for-services",
        **TRUST,
        change=trusted(Condition={"StringLike": {"aws:SourceAccount": "*"}}),
        engine=False,
    ),
    Seed(
        "trust-on-another-account",
        "roles-for-services",
        **TRUST,
        change=trusted(Condition={"StringEquals": {"aws:SourceAccount": STRANGER}}),
        engine=False,
    ),
    Seed(
        "trust-in-all-but-one",
        "roles-for-services",
        **TRUST,
        change=trusted(Principal=None, NotPrincipal={"AWS": f"{ARN}iam::{CN}:root"}),
        engine=False,
    ),
    Seed(
        "trust-in-another-service",
        "roles-for-services",
        **TRUST,
        change=trusted(Principal={"Service": "lambda.amazonaws.com"}),
        engine=False,
    ),
    Seed(
        "trust-in-web-identities",
        "peer-role-confined",
        **TRUST,
        change=trusted(
            Principal={"Federated": f"{ARN}iam::{CN}:oidc-provider/idp.example"}, Action="sts:AssumeRoleWithWebIdentity"
        ),
        engine=False,
    ),
)
