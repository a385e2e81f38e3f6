"""Hold names to each service's own rules: the patterns and lengths of botocore's models, and the API references'."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

import botocore.session


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule:
    """What a service takes as the name of one kind of resource."""

    service: str
    """The service, as botocore calls it."""
    operation: str
    """Operation that creates the resource."""
    member: str
    """Parameter of the operation that is the name."""
    pattern: str = ""
    """Pattern from the service's reference where its model has none, or where the page is stricter."""
    longest: int = 0
    """Length from the service's reference where its model has none."""
    remedy: str = ""
    """What is allowed, in words."""


RULES = {
    "IAM user": NameRule(
        service="iam", operation="CreateUser", member="UserName", remedy="use 1 to 64 letters, digits and +=,.@_-"
    ),
    "IAM role": NameRule(service="iam", operation="CreateRole", member="RoleName"),
    "external id": NameRule(
        service="sts", operation="AssumeRole", member="ExternalId", remedy="use 2 to 1224 letters, digits and +=,.@:/_-"
    ),
    "IAM policy": NameRule(service="iam", operation="CreatePolicy", member="PolicyName"),
    "inline policy": NameRule(service="iam", operation="PutRolePolicy", member="PolicyName"),
    "instance profile": NameRule(service="iam", operation="CreateInstanceProfile", member="InstanceProfileName"),
    "secret": NameRule(
        service="secretsmanager",
        operation="CreateSecret",
        member="Name",
        # A hyphen and six characters at the end read like the random end of an ARN (Secrets Manager, CreateSecret).
        pattern=r"(?!.*-[A-Za-z0-9]{6}\Z)[A-Za-z0-9/_+=.@-]+",
        remedy="use up to 512 letters, digits and /_+=.@-, and end it without a hyphen and six characters",
    ),
    "schedule": NameRule(service="scheduler", operation="CreateSchedule", member="Name"),
    "SQS queue": NameRule(
        service="sqs", operation="CreateQueue", member="QueueName", pattern=r"[A-Za-z0-9_-]+", longest=80
    ),
    "SNS topic": NameRule(
        service="sns",
        operation="CreateTopic",
        member="Name",
        pattern=r"[A-Za-z0-9_-]+",
        longest=256,
        remedy="1 to 256 letters, digits, _ and -, of a standard topic, since S3 takes no FIFO one",
    ),
    "topic's display name": NameRule(service="sns", operation="CreateTopic", member="Name", longest=100),
    "launch template": NameRule(
        service="ec2",
        operation="CreateLaunchTemplate",
        member="LaunchTemplateName",
        pattern=r"[A-Za-z0-9().\-/_]{3,128}",
        longest=128,
    ),
    "security group": NameRule(
        service="ec2", operation="CreateSecurityGroup", member="GroupName", pattern=r"(?!sg-)[ -~]+", longest=255
    ),
    "S3 bucket": NameRule(
        service="s3",
        operation="CreateBucket",
        member="Bucket",
        pattern=r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        longest=63,
    ),
    "table": NameRule(
        service="dynamodb", operation="CreateTable", member="TableName", pattern=r"[A-Za-z0-9_.-]{3,255}"
    ),
    "log group": NameRule(service="logs", operation="CreateLogGroup", member="logGroupName"),
    "metric filter": NameRule(service="logs", operation="PutMetricFilter", member="filterName"),
    "saved query": NameRule(service="logs", operation="PutQueryDefinition", member="name"),
    "alarm": NameRule(service="cloudwatch", operation="PutMetricAlarm", member="AlarmName"),
    "dashboard": NameRule(
        service="cloudwatch", operation="PutDashboard", member="DashboardName", pattern=r"[A-Za-z0-9_-]+", longest=255
    ),
    "group": NameRule(
        service="autoscaling", operation="CreateAutoScalingGroup", member="AutoScalingGroupName", pattern=r"[!-~]+"
    ),
    "lifecycle hook": NameRule(
        service="autoscaling", operation="PutLifecycleHook", member="LifecycleHookName", longest=255
    ),
    "scaling policy": NameRule(
        service="autoscaling", operation="PutScalingPolicy", member="PolicyName", pattern=r"[!-~]+"
    ),
    "KMS alias": NameRule(service="kms", operation="CreateAlias", member="AliasName"),
    "cluster": NameRule(
        service="ecs", operation="CreateCluster", member="clusterName", pattern=r"[A-Za-z0-9_-]+", longest=255
    ),
    "task family": NameRule(
        service="ecs", operation="RegisterTaskDefinition", member="family", pattern=r"[A-Za-z0-9_-]+", longest=255
    ),
}
"""Rules by kind. Patterns of our own are from the operation's API reference."""


def problem_with(kind: str, name: str) -> str:
    """Return what a name of that kind must be if `name` is none, else an empty text."""
    rule = RULES[kind]
    model = _metadata(rule.service, rule.operation, rule.member)
    shortest, longest = model.get("min", 1), rule.longest or model.get("max", 0)
    patterns = [p for p in (model.get("pattern", ""), rule.pattern) if p]
    fits = (
        len(name) >= shortest
        and (not longest or len(name) <= longest)
        # The models' patterns are Java's, where `\w` and the like are ASCII.
        and all(re.fullmatch(p, name, re.ASCII) for p in patterns)
    )
    return "" if fits else rule.remedy or f"use {shortest} to {longest} characters of {' and '.join(patterns)}"


@functools.cache
def _metadata(service: str, operation: str, member: str) -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model(service)
    shape = model.operation_model(operation).input_shape
    assert shape is not None  # noqa: S101 - each operation in RULES has a member
    found = shape.members[member].metadata
    # A pattern with surrogates is about UTF-16; the rule's own is stricter.
    pattern = str(found.get("pattern", ""))
    return {**found, "pattern": "" if "\\uD800" in pattern else pattern}
