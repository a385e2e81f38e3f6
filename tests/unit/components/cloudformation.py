"""CloudFormation's resource schemas, as cfn-lint ships them per region, and the program's resource types in them.

The schemas are AWS's own and independent of the provider, of botocore and of moto. They have patterns, enumerations,
lengths and ranges of single properties. Properties whose shape differs from the provider's are listed with what judges
them instead. Below a property, only names that both have are compared.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMAS = importlib.resources.files("cfnlint") / "data" / "schemas"

REGIONS = ("cn-north-1", "cn-northwest-1", "us-west-2")
"""Both China regions, and the other side's default."""

MORE: dict[str, Any] = {
    "alarmEmail": "ops@example.com",
    "gatewayEndpoints": True,
    "minCapacity": 0,
    "desiredCapacity": 0,
    "spotPercent": 50,
    "operatorRoles": ["arn:aws-cn:iam::111122223333:role/ops"],
    "kmsKeyArn": "arn:aws-cn:kms:cn-north-1:111122223333:key/12345678-1234-1234-1234-123456789012",
    "tags": {"team": "storage"},
}
"""Options that add resources or properties."""

DOCUMENT = "a policy document: test_documents.py, the policy pack, and the sandbox's own check of IAM's alphabet"
PROVIDER = "an argument of the provider, which is not sent to AWS: the schema of the provider (pulumi-aws)"
SHAPE = "another shape than the provider's: botocore's request model (integration/sandbox/test_request_models.py)"
JOINT = "the name of another resource of the plan: the policy pack's rule joined-to-own-parts"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one type of the provider is written in CloudFormation."""

    name: str
    """The type in CloudFormation."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """Path of a property where it is not the provider's name with a capital."""
    unjudged: Mapping[str, str] = field(default_factory=dict)
    """Properties that the schema does not judge, and what judges them instead."""

    def path(self, name: str) -> str:
        """Return the path of a property of the provider."""
        return self.paths.get(name, _capital(name))


TEMPLATE = (
    *("blockDeviceMappings", "iamInstanceProfile", "imageId", "instanceInitiatedShutdownBehavior", "instanceType"),
    *("metadataOptions", "monitoring", "networkInterfaces", "tagSpecifications", "userData"),
)
"""Properties of a launch template that CloudFormation has in its data."""

PUBLIC_ACCESS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

KINDS: Mapping[str, Kind] = {
    "aws:autoscaling/group:Group": Kind(
        "AWS::AutoScaling::AutoScalingGroup",
        {"name": "AutoScalingGroupName", "vpcZoneIdentifiers": "VPCZoneIdentifier", "defaultCooldown": "Cooldown"}
        | {"launchTemplate": "LaunchTemplate"},
        {"enabledMetrics": SHAPE, "metricsGranularity": SHAPE, "instanceRefresh": SHAPE}
        | {"waitForCapacityTimeout": PROVIDER},
    ),
    "aws:autoscaling/lifecycleHook:LifecycleHook": Kind(
        "AWS::AutoScaling::LifecycleHook",
        {"name": "LifecycleHookName", "autoscalingGroupName": "AutoScalingGroupName"},
    ),
    "aws:autoscaling/policy:Policy": Kind(
        "AWS::AutoScaling::ScalingPolicy",
        {"autoscalingGroupName": "AutoScalingGroupName"},
        {"name": "CloudFormation makes the name: service_names.RULES"},
    ),
    "aws:cloudwatch/dashboard:Dashboard": Kind("AWS::CloudWatch::Dashboard"),
    "aws:cloudwatch/logGroup:LogGroup": Kind("AWS::Logs::LogGroup", {"name": "LogGroupName"}),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": Kind(
        "AWS::Logs::MetricFilter",
        {"name": "FilterName", "pattern": "FilterPattern", "metricTransformation": "MetricTransformations"}
        | {"metricTransformation.name": "MetricName", "metricTransformation.namespace": "MetricNamespace"}
        | {"metricTransformation.value": "MetricValue"},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        "AWS::CloudWatch::Alarm",
        {"name": "AlarmName", "okActions": "OKActions", "metricQueries": "Metrics"},
        {"dimensions": SHAPE},
    ),
    "aws:cloudwatch/queryDefinition:QueryDefinition": Kind("AWS::Logs::QueryDefinition"),
    "aws:dynamodb/table:Table": Kind(
        "AWS::DynamoDB::Table",
        {"name": "TableName", "attributes": "AttributeDefinitions", "ttl": "TimeToLiveSpecification"}
        | {"attributes.name": "AttributeName", "attributes.type": "AttributeType"}
        | {"serverSideEncryption": "SSESpecification"},
        {"hashKey": SHAPE, "pointInTimeRecovery": SHAPE, "globalSecondaryIndexes": SHAPE},
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": Kind(
        "AWS::EC2::LaunchTemplate",
        {"name": "LaunchTemplateName", "description": "VersionDescription"}
        | {name: f"LaunchTemplateData.{_}" for name in TEMPLATE for _ in (name[0].upper() + name[1:],)}
        | {"networkInterfaces.securityGroups": "Groups"},
        {"updateDefaultVersion": PROVIDER, "tags": SHAPE},
    ),
    "aws:ec2/securityGroup:SecurityGroup": Kind(
        "AWS::EC2::SecurityGroup",
        {"name": "GroupName", "description": "GroupDescription", "ingress": "SecurityGroupIngress"}
        | {"egress": "SecurityGroupEgress", "egress.protocol": "IpProtocol", "egress.cidrBlocks": "CidrIp"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Kind("AWS::EC2::VPCEndpoint"),
    "aws:ecs/cluster:Cluster": Kind("AWS::ECS::Cluster", {"name": "ClusterName", "settings": "ClusterSettings"}),
    "aws:ecs/taskDefinition:TaskDefinition": Kind(
        "AWS::ECS::TaskDefinition",
        {"runtimePlatform.cpuArchitecture": "CpuArchitecture"},
        {"containerDefinitions": "a JSON text: botocore's request model (test_finder.py)"},
    ),
    "aws:iam/accessKey:AccessKey": Kind("AWS::IAM::AccessKey", {"user": "UserName"}),
    "aws:iam/instanceProfile:InstanceProfile": Kind(
        "AWS::IAM::InstanceProfile", {"name": "InstanceProfileName", "role": "Roles"}, {"tags": SHAPE}
    ),
    "aws:iam/policy:Policy": Kind(
        "AWS::IAM::ManagedPolicy", {"name": "ManagedPolicyName"}, {"policy": DOCUMENT, "tags": SHAPE}
    ),
    "aws:iam/role:Role": Kind("AWS::IAM::Role", {"name": "RoleName"}, {"assumeRolePolicy": DOCUMENT}),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        "AWS::IAM::RolePolicy", {"name": "PolicyName", "role": "RoleName"}, {"policy": DOCUMENT}
    ),
    "aws:iam/user:User": Kind("AWS::IAM::User", {"name": "UserName"}),
    "aws:kms/alias:Alias": Kind("AWS::KMS::Alias", {"name": "AliasName"}),
    "aws:kms/key:Key": Kind("AWS::KMS::Key", {"deletionWindowInDays": "PendingWindowInDays"}, {"policy": DOCUMENT}),
    "aws:s3/bucket:Bucket": Kind("AWS::S3::Bucket", {"bucket": "BucketName"}, {"forceDestroy": PROVIDER}),
    "aws:s3/bucketVersioning:BucketVersioning": Kind("AWS::S3::Bucket", {"bucket": "BucketName"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Kind(
        "AWS::S3::Bucket",
        {"bucket": "BucketName"}
        | {name: f"PublicAccessBlockConfiguration.{name[0].upper()}{name[1:]}" for name in PUBLIC_ACCESS},
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Kind(
        "AWS::S3::Bucket", {"bucket": "BucketName", "rule": "OwnershipControls.Rules"}
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Kind(
        "AWS::S3::Bucket",
        {"bucket": "BucketName", "rules": "BucketEncryption.ServerSideEncryptionConfiguration"}
        | {"rules.applyServerSideEncryptionByDefault": "ServerSideEncryptionByDefault"}
        | {"rules.applyServerSideEncryptionByDefault.sseAlgorithm": "SSEAlgorithm"},
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Kind(
        "AWS::S3::Bucket", {"bucket": "BucketName", "rules": "LifecycleConfiguration.Rules"}
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Kind("AWS::S3::BucketPolicy", unjudged={"policy": DOCUMENT}),
    "aws:scheduler/schedule:Schedule": Kind("AWS::Scheduler::Schedule"),
    "aws:secretsmanager/secret:Secret": Kind(
        "AWS::SecretsManager::Secret", unjudged={"recoveryWindowInDays": "an argument of its deletion: test_parts.py"}
    ),
    "aws:secretsmanager/secretPolicy:SecretPolicy": Kind(
        "AWS::SecretsManager::ResourcePolicy", {"secretArn": "SecretId"}, {"policy": DOCUMENT}
    ),
    "aws:sns/topic:Topic": Kind("AWS::SNS::Topic", {"name": "TopicName"}),
    "aws:sns/topicPolicy:TopicPolicy": Kind("AWS::SNS::TopicPolicy", {"arn": "Topics"}, {"policy": DOCUMENT}),
    "aws:sns/topicSubscription:TopicSubscription": Kind("AWS::SNS::Subscription", {"topic": "TopicArn"}),
    "aws:sqs/queue:Queue": Kind(
        "AWS::SQS::Queue",
        {"name": "QueueName", "visibilityTimeoutSeconds": "VisibilityTimeout"}
        | {"messageRetentionSeconds": "MessageRetentionPeriod"}
        | {"receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds"}
        | {"kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds"},
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Kind("AWS::SQS::QueuePolicy", {"queueUrl": "Queues"}, {"policy": DOCUMENT}),
}
"""Types that CloudFormation has."""

NO_TYPE: Mapping[str, str] = {
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": JOINT,
    "aws:s3/bucketObjectv2:BucketObjectv2": "an upload: test_bundle.py and the sandbox's S3",
    "aws:secretsmanager/secretVersion:SecretVersion": "a value: test_parts.py, test_peer.py",
    "dualsync:index:BucketSubscription": "our own type: test_notifications.py",
}
"""Types that CloudFormation does not have, and what judges them instead."""


@functools.cache
def types_in(region: str) -> Mapping[str, str]:
    """Return the types that a region offers, each with the name of its schema."""
    found: dict[str, str] = json.loads((SCHEMAS / "providers" / f"{region}.json").read_text())
    return found


@functools.cache
def schema_of(region: str, kind: str) -> Mapping[str, Any]:
    """Return the schema of a type in a region."""
    found: dict[str, Any] = json.loads((SCHEMAS / "resources" / f"{types_in(region)[kind]}.json").read_text())
    return found


def faults(region: str, kind: Kind, inputs: Mapping[str, Any]) -> Iterator[str]:
    """Yield values that the schema refuses, and properties that it lacks and that are not listed as unjudged."""
    schema = schema_of(region, kind.name)
    for name, value in inputs.items():
        if name in kind.unjudged:
            continue
        place: Any = schema
        for step in kind.path(name).split("."):
            place = resolved(schema, place).get("properties", {}).get(step)
            if place is None:
                yield f"{name}: {kind.name} has no {kind.path(name)}"
                break
        else:
            yield from _of(schema, kind, place, value, name, name)


def resolved(schema: Mapping[str, Any], place: Any) -> Mapping[str, Any]:
    """Follow the references of a schema."""
    while isinstance(place, Mapping) and "$ref" in place:
        found: Any = schema
        for step in place["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        place = found
    return place if isinstance(place, Mapping) else {}


def _of(schema: Mapping[str, Any], kind: Kind, place: Any, value: Any, path: str, shown: str) -> Iterator[str]:
    here = resolved(schema, place)
    if isinstance(value, Mapping) and "items" in here:
        value = [value]
    if isinstance(value, list):
        if len(value) > here.get("maxItems", len(value)):
            yield f"{shown}: {len(value)} items, at most {here['maxItems']}"
        for number, item in enumerate(value):
            yield from _of(schema, kind, here.get("items", here), item, path, f"{shown}[{number}]")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            below = here.get("properties", {}).get(kind.paths.get(f"{path}.{name}", _capital(name)))
            if below is not None:
                yield from _of(schema, kind, below, inner, f"{path}.{name}", f"{shown}.{name}")
    elif not isinstance(value, bool):
        yield from _scalar(here, value, shown)


def _scalar(here: Mapping[str, Any], value: Any, shown: str) -> Iterator[str]:
    if "enum" in here and str(value) not in map(str, here["enum"]):
        yield f"{shown}: {value!r} is none of {here['enum']}"
    if isinstance(value, str):
        if "pattern" in here and not re.search(here["pattern"], value):
            yield f"{shown}: {value[:80]!r} does not match {here['pattern']}"
        if not here.get("minLength", 0) <= len(value) <= here.get("maxLength", len(value)):
            yield f"{shown}: {len(value)} characters"
    elif isinstance(value, (int, float)) and not (here.get("minimum", value) <= value <= here.get("maximum", value)):
        yield f"{shown}: {value} is not from {here.get('minimum')} to {here.get('maximum')}"


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
