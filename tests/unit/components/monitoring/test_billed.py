"""Test that the cost page counts every resource for which an idle pair is billed per month."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dualsync.components.monitoring.metrics import METRICS, Source
from dualsync.runtime.log import State
from tests.unit.components.conftest import both_sides
from tests.unit.components.monitoring.test_observability import matching
from tests.unit.components.recorder import Deployment, deploy
from tools.docs import cost

BY_THE_MONTH = {
    "aws:cloudwatch/dashboard:Dashboard": cost.SIDES,
    "aws:secretsmanager/secret:Secret": cost.SIDES,
    "aws:kms/key:Key": 0,
}
"""Kinds that are billed per month of existence, with their number in the estimate."""

FREE = {
    *("aws:autoscaling/group:Group", "aws:autoscaling/lifecycleHook:LifecycleHook", "aws:autoscaling/policy:Policy"),
    *("aws:cloudwatch/logGroup:LogGroup", "aws:cloudwatch/logMetricFilter:LogMetricFilter"),
    *("aws:cloudwatch/queryDefinition:QueryDefinition", "aws:ec2/launchTemplate:LaunchTemplate"),
    *("aws:ec2/securityGroup:SecurityGroup", "aws:ecs/cluster:Cluster", "aws:ecs/taskDefinition:TaskDefinition"),
    *("aws:dynamodb/table:Table", "aws:iam/accessKey:AccessKey", "aws:iam/instanceProfile:InstanceProfile"),
    *("aws:iam/policy:Policy", "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "aws:iam/user:User"),
    *("aws:iam/userPolicyAttachment:UserPolicyAttachment", "aws:kms/alias:Alias", "aws:s3/bucket:Bucket"),
    *("aws:s3/bucketPolicy:BucketPolicy", "aws:scheduler/schedule:Schedule", "aws:sns/topic:Topic"),
    *("aws:secretsmanager/secretVersion:SecretVersion", "aws:sns/topicPolicy:TopicPolicy"),
    *("aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"),
}
"""Kinds without a price of their own. What runs, is stored or is requested through them is billed elsewhere."""


def metrics_of(alarm: dict[str, Any]) -> int:
    """Count the metrics that an alarm reads, for which it is billed."""
    return sum("metric" in query for query in alarm.get("metricQueries") or ()) or 1


def test_alarms_are_billed_by_the_metrics_that_they_read(both: Deployment) -> None:
    read = sum(metrics_of(r.inputs) for r in both.of("aws:cloudwatch/metricAlarm:MetricAlarm"))
    assert read == cost.SIDES * cost.ALARM_METRICS


IDLE = cost.Usage(keys=0, changes=0)


def estimated(usage: cost.Usage, what: str) -> float:
    """Return the number of units of an item in the estimate."""
    return sum(line.quantity for line in cost.estimate(usage, cost.prices("us-west-2")).lines if line.what == what)


@pytest.mark.parametrize("made", [False, True])
def test_keys_of_the_alarms_topics_are_estimated_where_they_are_made(made: bool, bundles: Path) -> None:
    keys = deploy("cn", bundles, both_sides() | {"alarmTopicKey": made}).of("aws:kms/key:Key")
    assert len(keys) == estimated(replace(IDLE, topic_key=made), "KMS keys of the alarms' topics")
    assert len(keys) == (cost.SIDES if made else 0)


@pytest.mark.parametrize(("target", "public"), [({"gatewayId": "igw-1"}, True), ({"natGatewayId": "nat-1"}, False)])
def test_addresses_are_estimated_where_machines_get_them(target: dict[str, str], public: bool, bundles: Path) -> None:
    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        if token != "aws:ec2/getRouteTable:getRouteTable":
            return None
        table = args["routeTableId"]
        return {
            "routeTableId": table,
            "associations": [{"main": True, "subnetId": "", "routeTableId": table}],
            "routes": [{"cidrBlock": "0.0.0.0/0", **target}],
        }

    found = deploy("cn", bundles, both_sides(), call)
    interfaces = [i for t in found.of("aws:ec2/launchTemplate:LaunchTemplate") for i in t.inputs["networkInterfaces"]]
    given = [i["associatePublicIpAddress"] for i in interfaces]
    assert given == [str(public).lower()] * cost.SIDES
    hours = estimated(replace(IDLE, public_ip=public), "addresses of the workers")
    assert hours == given.count("true") * cost.HOURS
    tasks = [s.inputs["target"]["ecsParameters"] for s in found.of("aws:scheduler/schedule:Schedule")]
    assert [t["networkConfiguration"]["assignPublicIp"] for t in tasks] == [public] * cost.SIDES


def test_every_registered_kind_is_either_estimated_or_free(both: Deployment) -> None:
    found = Counter(r.type for r in both.aws)
    assert {kind: found[kind] for kind in BY_THE_MONTH} == BY_THE_MONTH
    assert {what: estimated(IDLE, what) for what in ("dashboards", "secrets")} == dict.fromkeys(
        ("dashboards", "secrets"), cost.SIDES
    )
    others = {kind for kind in found if not kind.startswith("aws:s3/bucket")} - FREE - set(BY_THE_MONTH)
    assert others == {"aws:cloudwatch/metricAlarm:MetricAlarm"}
    for template in both.of("aws:ec2/launchTemplate:LaunchTemplate"):
        assert template.inputs["monitoring"] == {"enabled": False}
        (disk,) = template.inputs["blockDeviceMappings"]
        assert disk["ebs"]["volumeSize"] == 8


IDLE_LINES: tuple[tuple[Source, dict[str, Any]], ...] = (
    (Source.WORKER, {"event": "state", "state": State.RUNNING, "held": 0}),
    (Source.FINDER, {"event": "finder", "state": "finished", "queued": 0, "held": 0}),
)
"""Lines that an idle side logs every hour."""


def test_an_idle_side_writes_only_the_estimated_metrics() -> None:
    idle = {
        metric.name
        for source, line in IDLE_LINES
        for metric in METRICS
        if metric.source is source and (metric.zeroes or matching(metric.pattern, line))
    }
    assert idle == set(cost.IDLE_METRICS)


def test_a_copied_object_writes_no_more_metrics_than_estimated() -> None:
    lines: list[dict[str, Any]] = [
        {"event": "outcome", "outcome": outcome, "bytes": 1, "lag_seconds": 1.0}
        for outcome in ("copied", "deleted", "cancelled")
    ]
    busy = {metric.name for metric in METRICS for line in lines if matching(metric.pattern, line)}
    assert len(busy) == cost.BUSY_METRICS
