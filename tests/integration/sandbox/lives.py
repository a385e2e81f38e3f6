"""A lifecycle per resource type: inputs, changes, expected outputs. `test_handlers.py` runs them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi

from sandbox.provider import operations
from sandbox.provider.base import Account


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


POLICY = document(Action="s3:GetObject", Resource="*")
OTHER = document(Action="s3:PutObject", Resource="*")
OPEN = document(Action="sqs:SendMessage", Resource="*", Principal="*")
SHUT = document(Action="sqs:*", Resource="*", Principal="*")
TRUST = document(Action="sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
OTHER_TRUST = document(Action="sts:AssumeRole", Principal={"Service": "ecs-tasks.amazonaws.com"})
_numbers = itertools.count()


class Prerequisites:
    """Creates resources that other types need. `Prerequisites(account).queue()` returns a queue's URL."""

    def __init__(self, account: Account) -> None:
        self.account = account

    def make(self, token: str, **inputs: Any) -> tuple[str, dict[str, Any]]:
        return operations.create(token, self.account, operations.check(token, self.name(), inputs))

    @staticmethod
    def name() -> str:
        return f"thing-{next(_numbers)}"

    def queue(self) -> str:
        return self.make("aws:sqs/queue:Queue")[0]

    def bucket(self) -> str:
        return self.make("aws:s3/bucket:Bucket", bucket=f"{self.name()}-{self.account.account_id}")[0]

    def role(self) -> str:
        return self.make("aws:iam/role:Role", assumeRolePolicy=TRUST)[0]

    def user(self) -> str:
        return self.make("aws:iam/user:User")[0]

    def policy(self) -> str:
        return self.make("aws:iam/policy:Policy", policy=POLICY)[0]

    def topic(self) -> str:
        return self.make("aws:sns/topic:Topic")[0]

    def secret(self) -> str:
        return self.make("aws:secretsmanager/secret:Secret")[0]

    def key(self) -> str:
        return self.make("aws:kms/key:Key")[0]

    def log_group(self) -> str:
        return self.make("aws:cloudwatch/logGroup:LogGroup")[0]

    def vpc(self) -> str:
        return str(operations.invoke("aws:ec2/getVpcs:getVpcs", self.account, {})["ids"][0])

    def subnet(self) -> str:
        return str(operations.invoke("aws:ec2/getSubnets:getSubnets", self.account, {})["ids"][0])

    def template(self) -> str:
        data = {"imageId": "ami-0123456789abcdef0", "instanceType": "t4g.micro"}
        return self.make("aws:ec2/launchTemplate:LaunchTemplate", **data)[0]

    def group(self) -> str:
        return self.make(
            "aws:autoscaling/group:Group",
            minSize=0,
            maxSize=1,
            vpcZoneIdentifiers=[self.subnet()],
            launchTemplate={"id": self.template(), "version": "1"},
        )[0]


Inputs = dict[str, Any]


@dataclass(frozen=True)
class Life:
    """Lifecycle of a type: inputs, changes in place (None if it has none), and expected outputs."""

    token: str
    inputs: Callable[[Prerequisites], Inputs]
    change: Inputs | None = None
    outputs: tuple[str, ...] = ()
    stays: bool = False
    """Whether the resource still exists after its deletion, which AWS does not offer."""


def plain(**inputs: Any) -> Callable[[Prerequisites], Inputs]:
    return lambda makes: inputs


ONE = {"a": "1"}
TAGS = {"tags": {"a": "2", "b": "3"}}
LIVES = [
    Life("aws:iam/policy:Policy", plain(policy=POLICY, tags=ONE), {"policy": OTHER, **TAGS}, ("arn", "policyId")),
    Life("aws:iam/user:User", plain(forceDestroy=True, tags=ONE), TAGS, ("arn", "uniqueId")),
    Life("aws:iam/userPolicyAttachment:UserPolicyAttachment", lambda m: {"user": m.user(), "policyArn": m.policy()}),
    Life("aws:iam/accessKey:AccessKey", lambda m: {"user": m.user()}, {"status": "Inactive"}, ("secret", "createDate")),
    Life(
        "aws:iam/role:Role",
        plain(assumeRolePolicy=TRUST, description="x", tags=ONE),
        {"assumeRolePolicy": OTHER_TRUST, "description": "y", **TAGS},
        ("arn", "uniqueId"),
    ),
    Life("aws:iam/rolePolicy:RolePolicy", lambda m: {"role": m.role(), "policy": POLICY}, {"policy": OTHER}),
    Life("aws:iam/rolePolicyAttachment:RolePolicyAttachment", lambda m: {"role": m.role(), "policyArn": m.policy()}),
    Life(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        plain(url="https://issuer.example/cn", clientIdLists=["one", "two"], tags=ONE),
        {"clientIdLists": ["one", "three"], **TAGS},
        ("arn",),
    ),
    Life("aws:iam/instanceProfile:InstanceProfile", lambda m: {"role": m.role()}, TAGS, ("arn", "uniqueId")),
    Life(
        "aws:secretsmanager/secret:Secret",
        plain(description="x", recoveryWindowInDays=0, tags=ONE),
        {"description": "y", **TAGS},
        ("arn",),
    ),
    Life(
        "aws:secretsmanager/secretVersion:SecretVersion",
        lambda m: {"secretId": m.secret(), "secretString": "x"},
        outputs=("arn", "versionId"),
        stays=True,
    ),
    Life("aws:secretsmanager/secretPolicy:SecretPolicy", lambda m: {"secretArn": m.secret(), "policy": POLICY}),
    Life(
        "aws:sqs/queue:Queue",
        plain(visibilityTimeoutSeconds=30, sqsManagedSseEnabled=True, tags=ONE),
        {"visibilityTimeoutSeconds": 60, "receiveWaitTimeSeconds": 20, **TAGS},
        ("arn", "url"),
    ),
    Life("aws:sqs/queuePolicy:QueuePolicy", lambda m: {"queueUrl": m.queue(), "policy": OPEN}, {"policy": SHUT}),
    Life(
        "aws:dynamodb/table:Table",
        plain(
            billingMode="PAY_PER_REQUEST",
            hashKey="k",
            attributes=[{"name": "k", "type": "S"}, {"name": "i", "type": "N"}],
            globalSecondaryIndexes=[{"name": "by-i", "hashKey": "i", "projectionType": "ALL"}],
            ttl={"attributeName": "e", "enabled": True},
            pointInTimeRecovery={"enabled": True},
            serverSideEncryption={"enabled": True},
            deletionProtectionEnabled=True,
            tags=ONE,
        ),
        {"deletionProtectionEnabled": False, "pointInTimeRecovery": {"enabled": False}, **TAGS},
        ("arn",),
    ),
    Life("aws:s3/bucket:Bucket", plain(forceDestroy=True, tags=ONE), TAGS, ("arn", "bucketRegionalDomainName")),
    Life(
        "aws:s3/bucketObjectv2:BucketObjectv2",
        lambda m: {"bucket": m.bucket(), "key": "a/b", "source": pulumi.StringAsset("x"), "contentType": "text/plain"},
        {"source": pulumi.StringAsset("y"), "contentType": "text/html"},
        ("arn", "etag", "versionId"),
    ),
    Life("aws:s3/bucketPolicy:BucketPolicy", lambda m: {"bucket": m.bucket(), "policy": OPEN}, {"policy": SHUT}),
    Life(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        lambda m: {"bucket": m.bucket(), "blockPublicAcls": True},
        {"blockPublicPolicy": True},
    ),
    Life(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        lambda m: {"bucket": m.bucket(), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    Life(
        "aws:s3/bucketVersioning:BucketVersioning",
        lambda m: {"bucket": m.bucket(), "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        stays=True,
    ),
    Life(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        lambda m: {
            "bucket": m.bucket(),
            "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}],
        },
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]},
    ),
    Life(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        lambda m: {
            "bucket": m.bucket(),
            "rules": [{"id": "r", "status": "Enabled", "filter": {"prefix": "p"}, "expiration": {"days": 3}}],
        },
        {"rules": [{"id": "r", "status": "Enabled", "filter": {"prefix": "p"}, "expiration": {"days": 4}}]},
    ),
    Life(
        "aws:ec2/launchTemplate:LaunchTemplate",
        plain(imageId="ami-0123456789abcdef0", instanceType="t4g.micro", updateDefaultVersion=True, tags=ONE),
        {"instanceType": "t4g.small", **TAGS},
        ("arn", "latestVersion"),
    ),
    Life(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda m: {
            "vpcId": m.vpc(),
            "egress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}],
            "tags": ONE,
        },
        {"egress": [{"protocol": "tcp", "fromPort": 80, "toPort": 80, "cidrBlocks": ["0.0.0.0/0"]}], **TAGS},
        ("arn", "ownerId"),
    ),
    Life(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda m: {"vpcId": m.vpc(), "serviceName": f"com.amazonaws.{m.account.region}.s3", "tags": ONE},
        TAGS,
        ("arn",),
    ),
    Life(
        "aws:autoscaling/group:Group",
        lambda m: {
            "minSize": 0,
            "maxSize": 1,
            "desiredCapacity": 0,
            "vpcZoneIdentifiers": [m.subnet()],
            "launchTemplate": {"id": m.template(), "version": "1"},
            "enabledMetrics": ["GroupMinSize"],
            "tags": [{"key": "a", "value": "b", "propagateAtLaunch": False}],
        },
        {"maxSize": 3},
        ("arn",),
    ),
    Life(
        "aws:autoscaling/policy:Policy",
        lambda m: {
            "autoscalingGroupName": m.group(),
            "policyType": "StepScaling",
            "adjustmentType": "ChangeInCapacity",
            "stepAdjustments": [{"scalingAdjustment": 1, "metricIntervalLowerBound": "0"}],
        },
        {"adjustmentType": "ExactCapacity"},
        ("arn",),
    ),
    Life(
        "aws:autoscaling/lifecycleHook:LifecycleHook",
        lambda m: {
            "autoscalingGroupName": m.group(),
            "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "heartbeatTimeout": 60,
        },
        {"heartbeatTimeout": 90},
    ),
    Life("aws:cloudwatch/logGroup:LogGroup", plain(retentionInDays=14, tags=ONE), {"retentionInDays": 30, **TAGS}),
    Life(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        lambda m: {
            "logGroupName": m.log_group(),
            "pattern": "x",
            "metricTransformation": {"name": "n", "namespace": "s", "value": "1", "defaultValue": "0"},
        },
        {"pattern": "y"},
    ),
    Life(
        "aws:cloudwatch/queryDefinition:QueryDefinition",
        lambda m: {"name": m.name(), "queryString": "fields @message", "logGroupNames": [m.log_group()]},
        {"queryString": "fields @timestamp"},
        ("queryDefinitionId",),
    ),
    Life(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        plain(
            comparisonOperator="GreaterThanThreshold",
            evaluationPeriods=1,
            metricName="m",
            namespace="n",
            period=60,
            statistic="Sum",
            threshold=1,
            tags=ONE,
        ),
        {"threshold": 2, **TAGS},
        ("arn",),
    ),
    Life(
        "aws:cloudwatch/dashboard:Dashboard",
        lambda m: {"dashboardName": m.name(), "dashboardBody": '{"widgets": []}'},
        {"dashboardBody": '{"widgets": [{"type": "text", "properties": {"markdown": "x"}}]}'},
        ("dashboardArn",),
    ),
    Life("aws:ecs/cluster:Cluster", plain(tags=ONE), TAGS, ("arn",)),
    Life(
        "aws:ecs/taskDefinition:TaskDefinition",
        lambda m: {
            "family": m.name(),
            "containerDefinitions": '[{"name": "c", "image": "i", "memory": 128, "essential": true}]',
            "tags": ONE,
        },
        TAGS,
        ("arn", "revision", "arnWithoutRevision"),
    ),
    Life(
        "aws:scheduler/schedule:Schedule",
        lambda m: {
            "scheduleExpression": "rate(1 hour)",
            "flexibleTimeWindow": {"mode": "OFF"},
            "target": {"arn": m.queue(), "roleArn": f"arn:{m.account.partition}:iam::{m.account.account_id}:role/r"},
        },
        {"scheduleExpression": "rate(2 hours)"},
        ("arn",),
    ),
    Life("aws:sns/topic:Topic", plain(displayName="x", tags=ONE), {"displayName": "y", **TAGS}, ("arn", "owner")),
    Life("aws:sns/topicPolicy:TopicPolicy", lambda m: {"arn": m.topic(), "policy": OPEN}, {"policy": SHUT}, stays=True),
    Life(
        "aws:sns/topicSubscription:TopicSubscription",
        lambda m: {"topic": m.topic(), "protocol": "sqs", "endpoint": "arn:aws:sqs:us-west-2:1:q"},
        outputs=("arn", "ownerId"),
    ),
    Life(
        "aws:kms/key:Key",
        plain(description="x", enableKeyRotation=True, deletionWindowInDays=7, tags=ONE),
        {"description": "y", **TAGS},
        ("arn", "keyId"),
    ),
    Life(
        "aws:kms/alias:Alias",
        lambda m: {"name": f"alias/{m.name()}", "targetKeyId": m.key()},
        outputs=("arn", "targetKeyArn"),
    ),
]
