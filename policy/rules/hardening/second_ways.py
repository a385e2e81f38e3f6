"""No property of a resource carries data, rights or code past the rules about its main parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policy.documents import given
from policy.ownership import Owned
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule

PROPERTIES: Mapping[str, Mapping[str, str]] = {
    "autoscaling.Group": {
        "initialLifecycleHooks": "sends the fleet's hooks elsewhere",
        "launchConfiguration": "boots a launch configuration, which this pack does not review",
        "loadBalancers": "puts the workers behind a load balancer",
        "targetGroupArns": "puts the workers behind a load balancer",
        "trafficSources": "puts the workers behind a load balancer",
    },
    "autoscaling.LifecycleHook": {
        "notificationTargetArn": "sends the fleet's hooks elsewhere",
        "roleArn": "passes a role to Auto Scaling",
    },
    "dynamodb.Table": {
        "importTable": "fills the ledger with what is written elsewhere",
        "replicas": "copies the ledger to another region",
        "restoreSourceName": "fills the ledger with what is written elsewhere",
        "restoreSourceTableArn": "fills the ledger with what is written elsewhere",
        "streamEnabled": "streams the ledger's changes to others",
    },
    "ec2.LaunchTemplate": {
        "securityGroupNames": "puts the workers into security groups by name",
    },
    "ecs.TaskDefinition": {
        "proxyConfiguration": "routes the finder's traffic through another container",
    },
    "kms.Key": {
        "customKeyStoreId": "keeps the key's material outside of KMS",
        "multiRegion": "can be copied to another region",
        "xksKeyId": "keeps the key's material outside of KMS",
    },
    "pulumi:providers:aws": {
        "customCaBundle": "accepts other certificates, whose owners can read and change what it sends",
        "insecure": "accepts any certificate, so that others can read and change what it sends",
    },
    "s3.Bucket": {
        "replicationConfigurations": "copies the bundles elsewhere",
        "replicationConfiguration": "copies the bundles elsewhere",
    },
    "s3.BucketV2": {
        "replicationConfigurations": "copies the bundles elsewhere",
        "replicationConfiguration": "copies the bundles elsewhere",
    },
    "scheduler.Schedule": {
        "target.deadLetterConfig": "sends what could not be started elsewhere",
        "target.ecsParameters.capacityProviderStrategies": "can run the finder on machines that this pack does not"
        " review",
        "target.ecsParameters.enableExecuteCommand": "opens a shell in the finder's container to others",
        "target.input": "changes what the finder's container runs",
    },
    "secretsmanager.Secret": {
        "replicas": "copies the secret to another region",
    },
}
"""Properties that the program never sets, by kind, and the harm of a value."""


def nothing_beside(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield properties that the program never sets, and machines, tasks and endpoints for something else."""
    for path, harm in PROPERTIES.get(resource.kind, {}).items():
        if given(resource.get(path)):
            yield Finding(resource, f"{resource.name} {harm} ({path})")
    for problem in _problems(resource):
        yield Finding(resource, f"{resource.name} {problem}")


def _problems(resource: Resource) -> Iterator[str]:
    match resource.kind:
        case "autoscaling.Group":
            for override in resource.items("mixedInstancesPolicy.launchTemplate.overrides"):
                if isinstance(override, Mapping) and given(override.get("launchTemplateSpecification")):
                    yield "starts some machines from a launch template of their own (launchTemplateSpecification)"
        case "scheduler.Schedule":
            target, owned = resource.get("target.arn"), Owned(Plan(()), resource.account)
            if isinstance(target, str) and owned.account_id and not target.startswith(owned.arn("ecs", "cluster/")):
                yield f"calls {target}, which is not an ECS cluster of the own account (target.arn)"
            machines = resource.get("target.ecsParameters.launchType")
            if given(machines) and machines != "FARGATE":
                yield (
                    f"runs the finder as {machines}, on machines that this pack does not review"
                    " (target.ecsParameters.launchType)"
                )
        case "ec2.VpcEndpoint":
            region = resource.account.region if resource.account is not None else ""
            wanted = [f"com.amazonaws.{region}.{service}" for service in ("s3", "dynamodb")]
            service: Any = resource.get("serviceName")
            if service is not UNKNOWN and service not in wanted:
                yield f"routes the network's requests to {service}, which is neither S3 nor DynamoDB of its region"


RULES = (
    Rule(
        name="no-second-way",
        what="No property copies ledger, secret or bundle elsewhere, or has workers and finder run something else.",
        why="The finder's schedule can override its command, a group can boot another launch configuration, and a"
        " bucket, a table or a secret can replicate itself: none of it needs a further resource or right.",
        remedy="Remove the property; the program sets none of them.",
        each=nothing_beside,
    ),
)
