"""Test values at AWS's limits: the longest pair name, the longest user data, the highest number of tags."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from dualsync.components.config.service_names import problem_with
from dualsync.components.workers.userdata import LIMIT
from tests.unit.components.recorder import Deployment, config_of, deploy

LONGEST = {
    "aws:autoscaling/group:Group": 255,
    "aws:autoscaling/lifecycleHook:LifecycleHook": 255,
    "aws:autoscaling/policy:Policy": 255,
    "aws:cloudwatch/dashboard:Dashboard": 255,
    "aws:cloudwatch/logGroup:LogGroup": 512,
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": 512,
    "aws:cloudwatch/metricAlarm:MetricAlarm": 255,
    "aws:cloudwatch/queryDefinition:QueryDefinition": 255,
    "aws:dynamodb/table:Table": 255,
    "aws:ec2/launchTemplate:LaunchTemplate": 128,
    "aws:ec2/securityGroup:SecurityGroup": 255,
    "aws:ecs/cluster:Cluster": 255,
    "aws:ecs/taskDefinition:TaskDefinition": 255,
    "aws:iam/instanceProfile:InstanceProfile": 128,
    "aws:iam/policy:Policy": 128,
    "aws:iam/role:Role": 64,
    "aws:iam/rolePolicy:RolePolicy": 128,
    "aws:iam/user:User": 64,
    "aws:kms/alias:Alias": 256,
    "aws:s3/bucket:Bucket": 63,
    "aws:scheduler/schedule:Schedule": 64,
    "aws:secretsmanager/secret:Secret": 512,
    "aws:sns/topic:Topic": 100,  # the display name, which is the same; a topic's own name may have 256
    "aws:sqs/queue:Queue": 80,
}
"""Characters of a name, by type (each service's API reference for the call that creates it)."""

PAIR = "p" * 33


@pytest.fixture(scope="module")
def largest(bundles: Path) -> Deployment:
    """Register a stack with every value as long as config allows."""
    config = config_of("global")
    changes = {
        side: json.loads(config[f"dualsync:{side}"])
        | {"prefix": side + "ü" * 169, "formerUserIds": [f"AIDA{n}" + "X" * 16 for n in range(8)]}
        for side in ("cn", "global")
    }
    tags = {f"team-{n}": "value" for n in range(46)}
    return deploy("global", bundles, {"pair": PAIR, "tags": tags, "alarmTopicKey": True, **changes})


def test_names_made_of_the_longest_pair_name_are_legal(largest: Deployment) -> None:
    seen = set()
    for resource in largest.aws:
        name = resource.inputs.get("name") or resource.inputs.get("family") or resource.inputs.get("dashboardName")
        if resource.type == "aws:s3/bucket:Bucket":
            name = resource.inputs["bucket"]
        if isinstance(name, str):
            assert len(name) <= LONGEST[resource.type], name
            seen.add(resource.type)
    assert seen == set(LONGEST)


KINDS = {
    "aws:autoscaling/group:Group": "group",
    "aws:autoscaling/lifecycleHook:LifecycleHook": "lifecycle hook",
    "aws:autoscaling/policy:Policy": "scaling policy",
    "aws:cloudwatch/dashboard:Dashboard": "dashboard",
    "aws:cloudwatch/logGroup:LogGroup": "log group",
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": "metric filter",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "alarm",
    "aws:cloudwatch/queryDefinition:QueryDefinition": "saved query",
    "aws:dynamodb/table:Table": "table",
    "aws:ec2/launchTemplate:LaunchTemplate": "launch template",
    "aws:ec2/securityGroup:SecurityGroup": "security group",
    "aws:ecs/cluster:Cluster": "cluster",
    "aws:ecs/taskDefinition:TaskDefinition": "task family",
    "aws:iam/instanceProfile:InstanceProfile": "instance profile",
    "aws:iam/policy:Policy": "IAM policy",
    "aws:iam/role:Role": "IAM role",
    "aws:iam/rolePolicy:RolePolicy": "inline policy",
    "aws:iam/user:User": "IAM user",
    "aws:kms/alias:Alias": "KMS alias",
    "aws:s3/bucket:Bucket": "S3 bucket",
    "aws:scheduler/schedule:Schedule": "schedule",
    "aws:secretsmanager/secret:Secret": "secret",
    "aws:sns/topic:Topic": "SNS topic",
    "aws:sqs/queue:Queue": "SQS queue",
}
"""Kinds of names in `service_names.RULES`, by type."""


def test_each_name_rule_agrees_with_the_services_model(largest: Deployment) -> None:
    """Pattern, length and alphabet of botocore's models, and of the API references where a model has none."""
    assert set(KINDS) == set(LONGEST)
    for resource in largest.aws:
        name = resource.inputs.get("name") or resource.inputs.get("family") or resource.inputs.get("dashboardName")
        if resource.type == "aws:s3/bucket:Bucket":
            name = resource.inputs["bucket"]
        if isinstance(name, str):
            assert problem_with(KINDS[resource.type], name) == "", name
            assert problem_with(KINDS[resource.type], name[:1] + "数" * 600), "the rule can fail"


def test_the_longest_user_data_fits(largest: Deployment) -> None:
    template = largest.one("aws:ec2/launchTemplate:LaunchTemplate")
    assert len(base64.b64decode(template.inputs["userData"])) <= LIMIT


def test_policies_of_the_longest_config_are_within_iams_quotas(largest: Deployment) -> None:
    """Managed policies have at most 6,144 characters, a role's inline ones 10,240, without white space (IAM quotas)."""
    for policy in largest.of("aws:iam/policy:Policy"):
        assert len("".join(policy.inputs["policy"].split())) <= 6144
    for policy in largest.of("aws:iam/rolePolicy:RolePolicy"):
        assert len("".join(policy.inputs["policy"].split())) <= 10240


def test_user_tags_that_exceed_the_limit_of_objects_are_left_out(bundles: Path, largest: Deployment) -> None:
    own_only: dict[str, dict[str, dict[str, str]]] = {"defaultTags": {"tags": {}}}
    assert all(o.inputs["overrideProvider"] == own_only for o in largest.of("aws:s3/bucketObjectv2:BucketObjectv2"))
    few = deploy("global", bundles, {"tags": {f"team-{n}": "value" for n in range(6)}})
    assert all("overrideProvider" not in o.inputs for o in few.of("aws:s3/bucketObjectv2:BucketObjectv2"))


def test_the_users_tags_reach_the_group_and_its_machines(bundles: Path) -> None:
    """The provider's default tags do not reach them: the group has its own list, and the template the instances'."""
    found = deploy("global", bundles, {"tags": {"team": "photos"}})
    group = found.one("aws:autoscaling/group:Group")
    assert {t["key"]: t["value"] for t in group.inputs["tags"]}["team"] == "photos"
    template = found.one("aws:ec2/launchTemplate:LaunchTemplate")
    assert [s["tags"]["team"] for s in template.inputs["tagSpecifications"]] == ["photos"] * 3
