"""List all resources of an account by service, to check that `destroy` deleted those of a stack and no others."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import boto3

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud, client

Lister = Callable[[Any], Iterator[str]]


def inventory(cloud: Cloud, side: SideName) -> set[str]:
    """Return `service kind name` of every resource, without keys that await deletion and retired task definitions."""
    found = set()
    for service, list_resources in _LISTERS.items():
        found |= {f"{service} {thing}" for thing in list_resources(_client(cloud.endpoint, side, service))}
    return found


@functools.cache
def _session(side: SideName) -> boto3.Session:
    """Return one session for all lists: each session loads the services' models, which takes longer than the calls."""
    return Cloud("").session(side)


@functools.cache
def _client(endpoint: str, side: SideName, service: str) -> Any:
    return client(_session(side), service, endpoint)


def _pages(service: Any, operation: str, member: str, **arguments: Any) -> Iterator[Any]:
    for page in service.get_paginator(operation).paginate(**arguments):
        yield from page[member]


def _iam(iam: Any) -> Iterator[str]:
    for user in _pages(iam, "list_users", "Users"):
        yield f"user {user['UserName']}"
        for key in iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]:
            yield f"key {key['AccessKeyId']}"
    yield from (f"policy {p['PolicyName']}" for p in _pages(iam, "list_policies", "Policies", Scope="Local"))
    yield from (f"role {r['RoleName']}" for r in _pages(iam, "list_roles", "Roles"))
    profiles = _pages(iam, "list_instance_profiles", "InstanceProfiles")
    yield from (f"instance profile {p['InstanceProfileName']}" for p in profiles)
    issuers = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    yield from (f"issuer {one['Arn']}" for one in issuers)


def _s3(s3: Any) -> Iterator[str]:
    for bucket in s3.list_buckets()["Buckets"]:
        yield f"bucket {bucket['Name']}"


def _ec2(ec2: Any) -> Iterator[str]:
    yield from (f"security group {g['GroupName']}" for g in _pages(ec2, "describe_security_groups", "SecurityGroups"))
    templates = _pages(ec2, "describe_launch_templates", "LaunchTemplates")
    yield from (f"launch template {t['LaunchTemplateName']}" for t in templates)
    yield from (
        f"instance {i['InstanceId']}"
        for r in _pages(ec2, "describe_instances", "Reservations")
        for i in r["Instances"]
        if i["State"]["Name"] != "terminated"
    )
    live = (e for e in ec2.describe_vpc_endpoints()["VpcEndpoints"] if e["State"].lower() != "deleted")
    yield from (f"endpoint {e['ServiceName']}" for e in live)


def _logs(logs: Any) -> Iterator[str]:
    yield from (f"group {g['logGroupName']}" for g in _pages(logs, "describe_log_groups", "logGroups"))
    yield from (f"query {q['name']}" for q in logs.describe_query_definitions()["queryDefinitions"])


def _cloudwatch(cloudwatch: Any) -> Iterator[str]:
    yield from (f"alarm {a['AlarmName']}" for a in _pages(cloudwatch, "describe_alarms", "MetricAlarms"))
    yield from (f"dashboard {d['DashboardName']}" for d in cloudwatch.list_dashboards()["DashboardEntries"])


def _kms(kms: Any) -> Iterator[str]:
    aliases = [a for a in _pages(kms, "list_aliases", "Aliases") if "TargetKeyId" in a]
    services = {a["TargetKeyId"] for a in aliases if a["AliasName"].startswith("alias/aws/")}
    yield from (f"alias {a['AliasName']}" for a in aliases if a["TargetKeyId"] not in services)
    for key in _pages(kms, "list_keys", "Keys"):
        state = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        # KMS deletes a key after seven days at the earliest, and bills nothing for it meanwhile.
        if key["KeyId"] not in services and state["KeyState"] != "PendingDeletion":
            yield f"key {key['KeyId']}"


def _ecs(ecs: Any) -> Iterator[str]:
    clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    yield from (f"cluster {c['clusterName']}" for c in clusters if c["status"] == "ACTIVE")
    yield from (f"task definition {arn}" for arn in ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"])


def _autoscaling(scaling: Any) -> Iterator[str]:
    groups = _pages(scaling, "describe_auto_scaling_groups", "AutoScalingGroups")
    yield from (f"group {g['AutoScalingGroupName']}" for g in groups)


_LISTERS: dict[str, Lister] = {
    "iam": _iam,
    "s3": _s3,
    "ec2": _ec2,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "kms": _kms,
    "ecs": _ecs,
    "autoscaling": _autoscaling,
    "sqs": lambda sqs: (f"queue {url}" for url in sqs.list_queues().get("QueueUrls", ())),
    "sns": lambda sns: (f"topic {t['TopicArn']}" for t in sns.list_topics()["Topics"]),
    "dynamodb": lambda db: (f"table {name}" for name in db.list_tables()["TableNames"]),
    "secretsmanager": lambda sm: (f"secret {s['Name']}" for s in sm.list_secrets()["SecretList"]),
    "scheduler": lambda s: (f"schedule {x['Name']}" for x in s.list_schedules()["Schedules"]),
}
