"""Violations put into the program on its way to the engine: each must be caught by its rule, and by no other.

A seed changes one registration of the real program, or adds one, through a stack transformation, so that the same seeds
serve the mock monitor and the real engine. They are made for a stack that manages both sides.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

ACCOUNT_CN, ACCOUNT_GLOBAL = "111122223333", "444455556666"
BUCKET_CN = "dth-dual-dev-cn-north-1"
KEY_IN_CLEAR = "AKIA" + "IOSFODNN7EXAMPLE"


@dataclass
class Seen:
    """What the program has registered so far, by kind and logical name."""

    resources: dict[tuple[str, str], Any] = field(default_factory=dict)

    def __call__(self, kind: str, name: str) -> Any:
        return next(r for (t, n), r in self.resources.items() if t.endswith(f":{kind}") and n == name)

    def provider(self, side: str) -> Any:
        return next(
            r for (t, n), r in self.resources.items() if t == "pulumi:providers:aws" and n == f"dth-dual-{side}"
        )


Change = Callable[[dict[str, Any], pulumi.ResourceOptions, Seen], None]


@dataclass(frozen=True)
class Seed:
    """One violation, found at resource `at` (the changed one, if not said).

    `engine` is off where the change would keep a real engine from working at all; `known_later` where only the
    deployment itself knows the value.
    """

    id: str
    rule: str
    kind: str = ""
    name: str = ""
    change: Change | None = None
    extra: Callable[[Seen], None] | None = None
    engine: bool = True
    known_later: bool = False
    at: str = ""

    @property
    def caught(self) -> tuple[str, str]:
        """The rule, and the resource that it must name."""
        return self.rule, self.at or self.name

    @property
    def touched(self) -> set[str]:
        """Resources changed or named."""
        return {self.name, self.at} - {""}

    def matches(self, type_: str, name: str) -> bool:
        return self.change is not None and type_.endswith(f":{self.kind}") and name == self.name


class Sower:
    """Applies seeds to a program's registrations."""

    def __init__(self, *seeds: Seed) -> None:
        self._seeds = seeds
        self._seen = Seen()
        self.sown: list[str] = []

    def transformation(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        self._seen.resources[(args.type_, args.name)] = args.resource
        hits = [s for s in self._seeds if s.matches(args.type_, args.name)]
        if not hits:
            return None
        props, opts = dict(args.props), args.opts
        for seed in hits:
            assert seed.change is not None
            seed.change(props, opts, self._seen)
            self.sown.append(seed.id)
        return pulumi.ResourceTransformationResult(props=props, opts=opts)

    def extra(self) -> None:
        for seed in self._seeds:
            if seed.extra is not None:
                seed.extra(self._seen)
                self.sown.append(seed.id)


def put(**values: Any) -> Change:
    """Sets properties."""

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, __: Seen) -> None:
        props.update(values)

    return change


def document(key: str, edit: Callable[[dict[str, Any]], None]) -> Change:
    """Edits a policy document, which may be an output."""

    def apply(text: str) -> str:
        found: dict[str, Any] = json.loads(text)
        edit(found)
        return json.dumps(found)

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, __: Seen) -> None:
        value = props[key]
        props[key] = apply(value) if isinstance(value, str) else value.apply(apply)

    return change


def user_data(edit: Callable[[str, Mapping[str, str]], str], *users: str) -> Change:
    """Edits a launch template's script; `users` are dedicated users whose ids the edit is given."""

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
        ids = {u: seen("User", u).unique_id for u in users}
        props["user_data"] = pulumi.Output.all(script=props["user_data"], **ids).apply(
            lambda v: base64.b64encode(edit(base64.b64decode(v["script"]).decode(), v).encode()).decode()
        )

    return change


def variable(name: str, value: str) -> Callable[[str, Mapping[str, str]], str]:
    """Another value for one line of the worker's environment."""

    def edit(script: str, _: Mapping[str, str]) -> str:
        lines = [f'{name}="{value}"' if line.startswith(f"{name}=") else line for line in script.splitlines()]
        return "\n".join(lines)

    return edit


def grant(actions: str | list[str], resources: str | list[str], **more: Any) -> Callable[[dict[str, Any]], None]:
    """Adds a statement to a document."""

    def edit(found: dict[str, Any]) -> None:
        found["Statement"].append(
            {"Sid": "Seeded", "Effect": "Allow", "Action": actions, "Resource": resources, **more}
        )

    return edit


def _without_tls(found: dict[str, Any]) -> None:
    found["Statement"] = [s for s in found["Statement"] if s["Effect"] == "Allow"] or [
        {"Effect": "Deny", "Principal": "*", "Action": "sqs:PurgeQueue", "Resource": "*"}
    ]


def _option(**values: Any) -> Change:
    def change(_: dict[str, Any], opts: pulumi.ResourceOptions, __: Seen) -> None:
        for key, value in values.items():
            setattr(opts, key, value)

    return change


def _mixed_up_secret(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    wrong = seen("User", "dth-dual-cn-user").unique_id
    props["secret_string"] = pulumi.Output.all(props["secret_string"], wrong).apply(
        lambda v: json.dumps({**json.loads(v[0]), "user_id": v[1]})
    )


def _own_key(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    user, key = seen("User", "dth-dual-cn-user"), seen("AccessKey", "dth-dual-cn-key")
    props["secret_string"] = pulumi.Output.all(user.unique_id, key.id, key.secret).apply(
        lambda v: json.dumps({"user_id": v[0], "access_key_id": v[1], "secret_access_key": v[2]})
    )


def _second_user(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    opts = _at(seen, "global")
    tags = {**_tags(), "dualsync:side": "global"}
    user = aws.iam.User("dth-dual-global-second", name="dth-dual-global-second", tags=tags, opts=opts)
    key = aws.iam.AccessKey("dth-dual-global-second-key", user=user.name, opts=opts)
    props["secret_string"] = pulumi.Output.all(user.unique_id, key.id, key.secret).apply(
        lambda v: json.dumps({"user_id": v[0], "access_key_id": v[1], "secret_access_key": v[2]})
    )


def _swapped_finder(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    own, other = seen("User", "dth-dual-global-user").unique_id, seen("User", "dth-dual-cn-user").unique_id
    props["container_definitions"] = pulumi.Output.all(props["container_definitions"], own, other).apply(
        lambda v: v[0].replace(v[1], v[2])
    )


def _foreign_queue(props: dict[str, Any], _: pulumi.ResourceOptions, seen: Seen) -> None:
    props["queueArn"] = seen("Queue", "dth-dual-cn-queue").arn


def _at(seen: Seen, side: str = "cn") -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=seen.provider(side))


def _tags(part: str = "seeded") -> dict[str, str]:
    return {"dualsync:pair": "dth-dual", "dualsync:side": "cn", "dualsync:part": part}


def batches(seeds: Iterable[Seed]) -> list[list[Seed]]:
    """Seeds that can be sown together: no two of them at the same resource, and none with what it would hide."""
    made: list[list[Seed]] = []
    for seed in seeds:
        free = (b for b in made if all(not seed.touched & other.touched for other in b))
        batch = next(free, None)
        if batch is None:
            made.append([seed])
        else:
            batch.append(seed)
    return made


TEMPLATE = {"kind": "LaunchTemplate", "name": "dth-dual-global-worker-template"}
WORKER_POLICY = {"kind": "RolePolicy", "name": "dth-dual-cn-worker-policy"}
QUEUE_POLICY = {"kind": "QueuePolicy", "name": "dth-dual-cn-queue-policy"}

SEEDS = (
    Seed(
        "worker-suppresses-the-peers-user",
        "guard-knows-own-user",
        **TEMPLATE,
        change=user_data(
            lambda script, ids: script.replace(ids["dth-dual-global-user"], ids["dth-dual-cn-user"]),
            "dth-dual-global-user",
            "dth-dual-cn-user",
        ),
    ),
    Seed(
        "finder-suppresses-the-peers-user",
        "guard-knows-own-user",
        kind="TaskDefinition",
        name="dth-dual-global-finder",
        change=_swapped_finder,
    ),
    Seed(
        "worker-suppresses-nobody",
        "guard-knows-own-user",
        **TEMPLATE,
        change=user_data(variable("DUALSYNC_OWN_USER_IDS", "")),
        known_later=True,
    ),
    Seed(
        "id-beside-the-key-is-anothers",
        "hand-over-names-suppressed-user",
        kind="SecretVersion",
        name="dth-dual-cn-credentials-value",
        change=_mixed_up_secret,
    ),
    Seed(
        "own-key-in-own-account",
        "hand-over-names-suppressed-user",
        kind="SecretVersion",
        name="dth-dual-cn-credentials-value",
        change=_own_key,
    ),
    Seed(
        "key-of-a-user-that-is-not-suppressed",
        "hand-over-names-suppressed-user",
        kind="SecretVersion",
        name="dth-dual-cn-credentials-value",
        change=_second_user,
    ),
    Seed(
        "whole-notification-document",
        "notifications-kept",
        at="dth-dual-cn-seeded-notification",
        extra=lambda seen: _ignore(
            aws.s3.BucketNotification(
                "dth-dual-cn-seeded-notification", bucket=BUCKET_CN, eventbridge=True, opts=_at(seen)
            )
        ),
        # The stand-in cloud knows no such resource, and should not.
        engine=False,
    ),
    Seed(
        "entry-without-id",
        "notifications-kept",
        kind="BucketSubscription",
        name="dth-dual-cn-events",
        change=put(notificationId=""),
        engine=False,
    ),
    Seed(
        "events-to-the-other-sides-queue",
        "events-to-own-queue",
        kind="BucketSubscription",
        name="dth-dual-global-events",
        change=_foreign_queue,
    ),
    Seed(
        "deaf-to-expiry",
        "expiry-told-apart",
        kind="BucketSubscription",
        name="dth-dual-global-events",
        change=put(events=["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]),
    ),
    Seed(
        "data-bucket-configured",
        "data-buckets-adopted",
        at="dth-dual-cn-seeded-versioning",
        extra=lambda seen: _ignore(
            aws.s3.BucketVersioning(
                "dth-dual-cn-seeded-versioning",
                bucket=BUCKET_CN,
                versioning_configuration={"status": "Enabled"},
                opts=_at(seen),
            )
        ),
    ),
    Seed(
        "key-in-user-data",
        "keys-in-secrets-manager-only",
        **TEMPLATE,
        change=user_data(lambda script, _: f"{script}\n# {KEY_IN_CLEAR}\n"),
        known_later=True,
    ),
    Seed(
        "key-in-a-parameter",
        "keys-in-secrets-manager-only",
        at="dth-dual-cn-seeded-parameter",
        extra=lambda seen: _ignore(
            aws.ssm.Parameter(
                "dth-dual-cn-seeded-parameter",
                name="/dth-dual-cn-key",
                type="SecureString",
                value=seen("AccessKey", "dth-dual-cn-key").secret,
                tags=_tags(),
                opts=_at(seen),
            )
        ),
        engine=False,
    ),
    Seed("ssh-key", "keys-in-secrets-manager-only", **TEMPLATE, change=put(key_name="admin")),
    Seed(
        "old-key-first",
        "key-renewed-without-gap",
        kind="AccessKey",
        name="dth-dual-cn-key",
        change=_option(delete_before_replace=True),
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
        "roles-passed-to-anything",
        "least-privilege",
        kind="RolePolicy",
        name="dth-dual-cn-finder-schedule-policy",
        change=document("policy", grant("iam:PassRole", f"arn:aws-cn:iam::{ACCOUNT_CN}:role/dth-dual-cn-finder-task")),
        known_later=True,
    ),
    Seed(
        "policy-of-aws",
        "least-privilege",
        at="dth-dual-cn-seeded-attachment",
        extra=lambda seen: _ignore(
            aws.iam.RolePolicyAttachment(
                "dth-dual-cn-seeded-attachment",
                role="dth-dual-cn-worker",
                policy_arn="arn:aws-cn:iam::aws:policy/AmazonSSMManagedInstanceCore",
                opts=_at(seen),
            )
        ),
        engine=False,
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
        "role-on-anybodys-behalf",
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
        "all-but-some",
        "no-wildcard",
        kind="Policy",
        name="dth-dual-global-policy",
        change=document(
            "policy",
            lambda d: d["Statement"].append({"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::x"}),
        ),
    ),
    Seed("plain-queue", "tls-only", **QUEUE_POLICY, at="dth-dual-cn-queue", change=document("policy", _without_tls)),
    Seed(
        "plain-bucket",
        "tls-only",
        kind="BucketPolicy",
        name="dth-dual-cn-artifacts-policy",
        at="dth-dual-cn-artifacts",
        change=document("policy", _without_tls),
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
        "plain-topic", "encrypted-at-rest", kind="Topic", name="dth-dual-cn-alarms", change=put(kms_master_key_id=None)
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
        change=document("policy", lambda d: d["Statement"].pop()),
        at="dth-dual-global-alarms",
    ),
    Seed(
        "anybody-sends",
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
    Seed("metadata-for-anybody", "imdsv2", **TEMPLATE, change=put(metadata_options={"http_tokens": "optional"})),
    Seed(
        "logs-for-ever",
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
        "dead-letters-die-first",
        "dead-letters-outlive-queue",
        kind="Queue",
        name="dth-dual-cn-dead-letters",
        change=put(message_retention_seconds=7 * 86400),
    ),
    Seed(
        "deletions-forgotten",
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
        change=_option(ignore_changes=[]),
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
        engine=False,
    ),
    Seed("untagged", "tagged", kind="Secret", name="dth-dual-cn-credentials", change=put(tags=None)),
    Seed(
        "tagged-as-the-other-side",
        "tagged",
        kind="Cluster",
        name="dth-dual-cn-cluster",
        change=put(tags={**_tags(), "dualsync:side": "global"}),
    ),
    Seed("unprefixed", "prefixed", kind="LogGroup", name="dth-dual-cn-worker-log", change=put(name="workers")),
)


def _ignore(_: object) -> None:
    """A resource registers itself by being made."""
