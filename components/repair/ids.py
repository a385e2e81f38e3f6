"""Find the ids of half-created resources: from their inputs where AWS derives them, else by their names.

A type that is not here is created again without harm: its creation puts a value (policies, alarms, versions), or an
equal repeat returns what exists (queues, topics, clusters). The formats are those that `pulumi import` takes (AWS
provider, the section "Import" of each resource's page).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from dualsync.components.bucket_access.sessions import Reach, session_of
from dualsync.components.config.model import Access
from dualsync.components.repair.state import Pending

NAMED: Mapping[str, str] = {
    "aws:iam/user:User": "{name}",
    "aws:iam/role:Role": "{name}",
    "aws:iam/instanceProfile:InstanceProfile": "{name}",
    "aws:autoscaling/group:Group": "{name}",
    "aws:cloudwatch/logGroup:LogGroup": "{name}",
    "aws:dynamodb/table:Table": "{name}",
    "aws:kms/alias:Alias": "{name}",
    "aws:s3/bucket:Bucket": "{bucket}",
    "aws:scheduler/schedule:Schedule": "default/{name}",
    "dualsync:index:BucketSubscription": "{bucket}/{notificationId}",
}
"""Ids that are made of inputs, by type."""


class Finder:
    """Finds ids in the accounts of a stack's providers."""

    def __init__(self, reach: Callable[[str], Mapping[str, Any]]) -> None:
        """Remember how a provider's inputs are read.

        Args:
            reach: Returns the inputs of a provider by its URN.
        """
        self._reach = reach
        self._sessions: dict[str, tuple[Any, str, str | None]] = {}

    def __call__(self, pending: Pending) -> str:
        """Return the id of a resource; empty if it does not exist, or is created again without harm."""
        if pending.type in NAMED:
            return NAMED[pending.type].format(**pending.inputs)
        look_up = LOOKUPS.get(pending.type)
        if look_up is None:
            return ""
        try:
            return look_up(lambda service: self._client(pending.provider, service), pending.inputs)
        except ClientError as e:
            if e.response["Error"]["Code"] in _ABSENT:
                return ""
            raise

    def _client(self, provider: str, service: str) -> Any:
        if provider not in self._sessions:
            given = {key: _decoded(value) for key, value in self._reach(provider).items()}
            role = (given.get("assumeRoles") or [{}])[0]
            access = Access(
                profile=given.get("profile") or "",
                role_arn=role.get("roleArn") or "",
                external_id=role.get("externalId") or "",
                endpoint=next((url for e in given.get("endpoints") or () for url in e.values() if url), ""),
            )
            account = (given.get("allowedAccountIds") or [""])[0]
            found = session_of(Reach(region=given["region"], account_id=account, access=access))
            self._sessions[provider] = (found, given["region"], access.endpoint or None)
        session, region, endpoint = self._sessions[provider]
        return session.client(service, region_name=region, endpoint_url=endpoint)


Clients = Callable[[str], Any]


def _policy(clients: Clients, inputs: Mapping[str, Any]) -> str:
    # Deployers may not list policies; the ARN follows from the caller's.
    caller = clients("sts").get_caller_identity()
    partition, account = caller["Arn"].split(":")[1], caller["Account"]
    return f"arn:{partition}:iam::{account}:policy{inputs.get('path') or '/'}{inputs['name']}"


def _secret(clients: Clients, inputs: Mapping[str, Any]) -> str:
    return str(clients("secretsmanager").describe_secret(SecretId=inputs["name"])["ARN"])


def _launch_template(clients: Clients, inputs: Mapping[str, Any]) -> str:
    found = clients("ec2").describe_launch_templates(LaunchTemplateNames=[inputs["name"]])["LaunchTemplates"]
    return _first(t["LaunchTemplateId"] for t in found)


def _security_group(clients: Clients, inputs: Mapping[str, Any]) -> str:
    filters = [
        {"Name": "group-name", "Values": [inputs["name"]]},
        {"Name": "vpc-id", "Values": [inputs["vpcId"]]},
    ]
    return _first(g["GroupId"] for g in clients("ec2").describe_security_groups(Filters=filters)["SecurityGroups"])


def _vpc_endpoint(clients: Clients, inputs: Mapping[str, Any]) -> str:
    filters = [
        {"Name": "service-name", "Values": [inputs["serviceName"]]},
        {"Name": "vpc-id", "Values": [inputs["vpcId"]]},
        {"Name": "tag:Name", "Values": [inputs["tags"]["Name"]]},
    ]
    return _first(e["VpcEndpointId"] for e in clients("ec2").describe_vpc_endpoints(Filters=filters)["VpcEndpoints"])


def _kms_key(clients: Clients, inputs: Mapping[str, Any]) -> str:
    kms, wanted = clients("kms"), inputs["tags"]["Name"]
    try:
        pages = list(kms.get_paginator("list_keys").paginate())
    except ClientError as e:
        if e.response["Error"]["Code"] != "AccessDeniedException":
            raise
        # Deployers may not list keys. Another key is made, and this one stays unused.
        return ""
    for page in pages:
        for key in page["Keys"]:
            about = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
            if about["KeyManager"] != "CUSTOMER" or about["KeyState"] == "PendingDeletion":
                continue
            if {"TagKey": "Name", "TagValue": wanted} in kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]:
                return str(key["KeyId"])
    return ""


def _task_definition(clients: Clients, inputs: Mapping[str, Any]) -> str:
    """Return the ARN of the family's latest active revision: a second creation would make a second revision."""
    answer = clients("ecs").describe_task_definition(taskDefinition=inputs["family"])
    return str(answer["taskDefinition"]["taskDefinitionArn"])


def _query_definition(clients: Clients, inputs: Mapping[str, Any]) -> str:
    """Return the ARN of the saved query of this name, as the provider imports it by its ARN alone.

    Names are not unique, so a second creation would make a second query.
    """
    logs, name = clients("logs"), inputs["name"]
    answer = logs.describe_query_definitions(queryDefinitionNamePrefix=name)
    while True:
        for definition in answer["queryDefinitions"]:
            if definition["name"] == name:
                caller = clients("sts").get_caller_identity()
                partition = caller["Arn"].split(":")[1]
                place = f"{logs.meta.region_name}:{caller['Account']}"
                return f"arn:{partition}:logs:{place}:query-definition:{definition['queryDefinitionId']}"
        if not answer.get("nextToken"):
            return ""
        answer = logs.describe_query_definitions(queryDefinitionNamePrefix=name, nextToken=answer["nextToken"])


LOOKUPS: Mapping[str, Callable[[Clients, Mapping[str, Any]], str]] = {
    "aws:iam/policy:Policy": _policy,
    "aws:secretsmanager/secret:Secret": _secret,
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _vpc_endpoint,
    "aws:kms/key:Key": _kms_key,
    "aws:cloudwatch/queryDefinition:QueryDefinition": _query_definition,
    "aws:ecs/taskDefinition:TaskDefinition": _task_definition,
}
"""Look-ups of ids that the service assigns, by type."""

_ABSENT = frozenset({"ClientException", "InvalidLaunchTemplateName.NotFoundException", "ResourceNotFoundException"})
"""Error codes of a resource that does not exist; `ClientException` is that of ECS for a task definition."""


def _first(ids: Iterator[str]) -> str:
    return next(ids, "")


def _decoded(value: Any) -> Any:
    """Parse a value: lists and objects reach a provider as JSON text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        return json.loads(value)
    return value
