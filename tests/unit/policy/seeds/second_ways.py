"""Seeded violations in properties that the program never sets, and in references to other teams' resources."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from dualsync.components.subscription import BucketSubscription
from tests.unit.policy.seeding import Change, Registered, Seed, at, document, put, tags

CN = "111122223333"
SCHEDULE: dict[str, Any] = {"kind": "Schedule", "name": "dth-dual-cn-finder-schedule", "known_later": True}
ALARM: dict[str, Any] = {"kind": "MetricAlarm", "name": "dth-dual-cn-fatal-alarm"}
NOT_PLAYED: dict[str, Any] = {"engine": False}


def target(**values: Any) -> Change:
    """Change the schedule's target."""

    def change(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
        props["target"] = {**props["target"], **values}

    return change


def shell(props: dict[str, Any], _: pulumi.ResourceOptions, __: Registered) -> None:
    parameters = {**props["target"]["ecs_parameters"], "enable_execute_command": True}
    props["target"] = {**props["target"], "ecs_parameters": parameters}


def bundle_elsewhere(seen: Registered) -> None:
    aws.s3.BucketObjectv2(
        "dth-dual-cn-seeded-object",
        bucket="releases-of-another-team",
        key="bundle.tar",
        content="x",
        tags=tags(),
        opts=at(seen),
    )


def settings_elsewhere(seen: Registered) -> None:
    aws.s3.BucketOwnershipControls(
        "dth-dual-cn-seeded-controls",
        bucket="releases-of-another-team",
        rule={"object_ownership": "ObjectWriter"},
        opts=at(seen),
    )


def other_bucket(seen: Registered) -> None:
    """Make another team's bucket data of the pair, by an entry in its notifications."""
    BucketSubscription(
        "dth-dual-cn-seeded-events",
        bucket="payroll",
        owner=CN,
        notification_id="dth-dual-cn-seeded-events",
        queue_arn=seen("Queue", "dth-dual-cn-queue").arn,
        events=["s3:ObjectCreated:*"],
        prefix="",
        opts=pulumi.ResourceOptions(
            provider=next(r for (t, n), r in seen.resources.items() if n == "dth-dual-cn-sync" and "providers" in t),
            delete_before_replace=True,
        ),
    )


def other_identity(seen: Registered) -> None:
    """Make another team's bucket data of the pair, by a component's outputs."""
    del seen
    facts = {"bucket": "payroll", "prefix": "", "owner": "444455556666"}
    pulumi.ComponentResource("dualsync:index:Identity", "dth-dual-global-seeded-identity", facts)


def profile(seen: Registered) -> None:
    name = "dth-dual-cn-seeded-profile"
    role = seen("Role", "dth-dual-cn-worker").name
    aws.iam.InstanceProfile(name, name=name, role=role, tags=tags(), opts=at(seen))


def lower_case(found: dict[str, Any]) -> None:
    found["Statement"].append({"Effect": "Allow", "action": "iam:*", "resource": "*"})


SEEDS = (
    Seed(
        "finders-command-overridden",
        "no-second-way",
        **SCHEDULE,
        change=target(
            input=json.dumps({"containerOverrides": [{"name": "finder", "command": ["attacker", "x", "", "0", "/"]}]})
        ),
        **NOT_PLAYED,
    ),
    Seed("shell-in-the-finder", "no-second-way", **SCHEDULE, change=shell, **NOT_PLAYED),
    Seed(
        "schedule-of-another-api-call",
        "no-second-way",
        **SCHEDULE,
        change=target(arn="arn:aws-cn:scheduler:::aws-sdk:iam:createAccessKey"),
        **NOT_PLAYED,
    ),
    Seed(
        "another-launch-configuration",
        "no-second-way",
        kind="Group",
        name="dth-dual-cn-workers",
        change=put(launch_configuration="another-teams"),
        **NOT_PLAYED,
    ),
    Seed(
        "hook-that-calls-elsewhere",
        "no-second-way",
        kind="LifecycleHook",
        name="dth-dual-cn-drain",
        change=put(notification_target_arn=f"arn:aws-cn:sns:cn-north-1:{CN}:x", role_arn="r"),
        **NOT_PLAYED,
    ),
    Seed(
        "ledger-in-another-region",
        "no-second-way",
        kind="Table",
        name="dth-dual-cn-ledger",
        change=put(replicas=[{"region_name": "cn-northwest-1"}]),
        **NOT_PLAYED,
    ),
    Seed(
        "ledger-of-a-stranger",
        "no-second-way",
        kind="Table",
        name="dth-dual-global-ledger",
        change=put(restore_source_table_arn="arn:aws:dynamodb:us-west-2:999999999999:table/x"),
        **NOT_PLAYED,
    ),
    Seed(
        "secret-in-another-region",
        "no-second-way",
        kind="Secret",
        name="dth-dual-global-credentials",
        change=put(replicas=[{"region": "eu-west-1"}]),
        **NOT_PLAYED,
    ),
    Seed(
        "bundles-replicated",
        "no-second-way",
        kind="Bucket",
        name="dth-dual-global-artifacts",
        change=put(
            replication_configuration={
                "role": "r",
                "rules": [{"status": "Enabled", "destination": {"bucket": "arn:aws:s3:::attacker"}}],
            }
        ),
        **NOT_PLAYED,
    ),
    Seed("any-certificate", "no-second-way", kind="aws", name="dth-dual-cn", change=put(insecure="true"), **NOT_PLAYED),
    Seed(
        "endpoint-of-a-stranger",
        "https-endpoints",
        kind="aws",
        name="dth-dual-cn",
        change=put(endpoints=json.dumps([{"sqs": "https://sqs.amazonaws.com.attacker.example"}])),
        **NOT_PLAYED,
    ),
    Seed(
        "subscription-endpoint-of-a-stranger",
        "https-endpoints",
        kind="dualsync",
        name="dth-dual-cn-sync",
        change=put(endpoint="https://attacker.example"),
        **NOT_PLAYED,
    ),
    Seed(
        "acls-enabled",
        "nothing-public",
        kind="BucketOwnershipControls",
        name="dth-dual-cn-artifacts-ownership",
        at="dth-dual-cn-artifacts",
        change=put(rule={"object_ownership": "ObjectWriter"}),
        **NOT_PLAYED,
    ),
    Seed(
        "bundle-in-another-bucket",
        "joined-to-own-parts",
        at="dth-dual-cn-seeded-object",
        extra=bundle_elsewhere,
        **NOT_PLAYED,
    ),
    Seed(
        "settings-of-another-bucket",
        "joined-to-own-parts",
        at="dth-dual-cn-seeded-controls",
        extra=settings_elsewhere,
        **NOT_PLAYED,
    ),
    Seed(
        "scaling-of-another-group",
        "joined-to-own-parts",
        kind="Policy",
        name="dth-dual-cn-scale-in",
        change=put(autoscaling_group_name="another-teams-group"),
        **NOT_PLAYED,
    ),
    Seed(
        "another-teams-bucket",
        "nothing-besides",
        at="dth-dual-cn-seeded-events",
        also_at=("dth-dual-cn-events",),
        extra=other_bucket,
        **NOT_PLAYED,
    ),
    Seed(
        "another-teams-bucket-by-name",
        "nothing-besides",
        at="dth-dual-global-seeded-identity",
        also_at=("dth-dual-global-events",),
        apart_from=("dth-dual-cn",),
        extra=other_identity,
        **NOT_PLAYED,
    ),
    Seed(
        "second-profile",
        "nothing-besides",
        at="dth-dual-cn-seeded-profile",
        also_at=("dth-dual-cn-worker-profile",),
        extra=profile,
        **NOT_PLAYED,
    ),
    Seed(
        "element-in-lower-case",
        "no-wildcard",
        kind="Policy",
        name="dth-dual-global-policy",
        change=document("policy", lower_case),
        **NOT_PLAYED,
    ),
    Seed(
        "hops-of-the-image",
        "imdsv2",
        kind="LaunchTemplate",
        name="dth-dual-global-worker-template",
        change=put(metadata_options={"http_endpoint": "enabled", "http_tokens": "required"}),
        **NOT_PLAYED,
    ),
    Seed(
        "alarm-to-a-stranger",
        "alarms-arrive",
        **ALARM,
        change=put(alarm_actions=["arn:aws-cn:sns:cn-north-1:999999999999:x"]),
        **NOT_PLAYED,
    ),
    Seed("alarm-switched-off", "alarms-arrive", **ALARM, change=put(actions_enabled=False), **NOT_PLAYED),
    Seed("alarm-without-action", "alarms-arrive", **ALARM, change=put(alarm_actions=[]), **NOT_PLAYED),
)
