"""Test rules for every resource of every stack: provider, partition, names, tags, encryption, protection."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import pulumi_aws as aws
import pytest

from dualsync.components.config.partitions import partition_of
from tests.unit.components.recorder import KEY_SECRET, Deployment, Registered, in_clear

GUIDES = {"dth-dual-policy", "dth-dual-user", "dth-credentials-us-west-2", "dth-credentials-cn-north-1"}
SIDES = {"cn": ("cn-north-1", "111122223333"), "global": ("us-west-2", "444455556666")}


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [t for k, v in value.items() for t in [k, *texts(v)]]
    if isinstance(value, list):
        return [t for v in value for t in texts(v)]
    return [value] if isinstance(value, str) else []


def side_of(resource: Registered) -> str:
    return "cn" if resource.name.startswith("dth-dual-cn") else "global"


def test_every_resource_has_its_sides_provider(deployment: Deployment) -> None:
    for resource in deployment.resources:
        if resource.custom and not resource.type.startswith("pulumi:providers:"):
            provider = deployment.provider_of(resource)
            region, account = SIDES[side_of(resource)]
            assert provider.inputs["region"] == region, resource.name
            if provider.type == "pulumi:providers:aws":
                assert json.loads(provider.inputs["allowedAccountIds"]) == [account], resource.name
            else:
                assert provider.inputs["accountId"] == account


def test_every_lookup_names_a_provider(deployment: Deployment) -> None:
    calls = [c for c in deployment.calls if not c[0].startswith("pulumi:")]
    assert calls
    assert all("pulumi:providers:" in provider for _, _, provider in calls), calls


def test_no_resource_leaves_its_providers_region(deployment: Deployment) -> None:
    assert all("region" not in r.inputs for r in deployment.aws)


def test_every_arn_and_host_is_of_the_sides_partition(deployment: Deployment) -> None:
    for resource in deployment.aws:
        region, account = SIDES[side_of(resource)]
        partition = partition_of(region)
        assert partition is not None
        for text in texts(resource.inputs):
            for found in re.findall(r"arn:([a-z-]+):([a-z0-9-]*):([a-z0-9-]*):([0-9]*)", text):
                assert found[0] == partition.id, (resource.name, text)
                assert found[2] in ("", region), (resource.name, text)
                # AWS's own managed things are in account "aws" or none.
                assert found[3] in ("", account), (resource.name, text)
            if region == "us-west-2":
                assert "amazonaws.com.cn" not in text, (resource.name, text)


def test_every_name_starts_with_pair_and_side_or_follows_the_guide(deployment: Deployment) -> None:
    for resource in deployment.resources:
        assert resource.name.startswith("dth-dual"), resource.name
    for resource in deployment.aws:
        for key in ("name", "family", "bucket", "roleName"):
            name = resource.inputs.get(key)
            if isinstance(name, str) and "arn:" not in name and name not in GUIDES:
                pattern = rf"(alias/)?dth-dual[-/]{side_of(resource)}[-/].+"
                assert re.fullmatch(pattern, name), (resource.type, name)


def test_names_are_unique_within_a_type(deployment: Deployment) -> None:
    urns = [r.urn for r in deployment.resources]
    assert len(urns) == len(set(urns))


def test_everything_that_can_be_tagged_is(deployment: Deployment) -> None:
    for resource in deployment.aws:
        if takes_tags(resource.type):
            tags = resource.inputs.get("tags")
            if isinstance(tags, list):
                tags = {t["key"]: t["value"] for t in tags}
            assert tags, resource.name
            assert tags["dualsync:pair"] == "dth-dual", resource.name
            assert tags["dualsync:side"] == side_of(resource), resource.name
            assert tags["dualsync:part"]


def takes_tags(type_: str) -> bool:
    module, _, name = type_.removeprefix("aws:").partition("/")
    class_ = getattr(getattr(aws, module), name.partition(":")[2])
    return "tags" in inspect.signature(class_._internal_init).parameters and name != "bucketObjectv2:BucketObjectv2"


def test_stored_data_is_encrypted(deployment: Deployment) -> None:
    assert all(q.inputs["sqsManagedSseEnabled"] is True for q in deployment.of("aws:sqs/queue:Queue"))
    assert all(t.inputs["serverSideEncryption"]["enabled"] for t in deployment.of("aws:dynamodb/table:Table"))
    for template in deployment.of("aws:ec2/launchTemplate:LaunchTemplate"):
        assert all(d["ebs"]["encrypted"] in (True, "true") for d in template.inputs["blockDeviceMappings"])
    buckets = deployment.of("aws:s3/bucket:Bucket")
    encrypted = deployment.of("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
    assert len(buckets) == len(encrypted)


def test_logs_are_kept_for_as_long_as_configured(deployment: Deployment) -> None:
    groups = deployment.of("aws:cloudwatch/logGroup:LogGroup")
    assert groups
    assert all(g.inputs["retentionInDays"] == 14 for g in groups)


def test_no_data_bucket_is_created_or_owned(deployment: Deployment) -> None:
    for resource in deployment.aws:
        assert resource.inputs.get("bucket") not in ("dth-dual-dev-cn-north-1", "dth-dual-dev-us-west-2"), resource.name


def test_secret_keys_are_nowhere_in_clear(deployment: Deployment) -> None:
    found = [r.name for r in deployment.resources if KEY_SECRET in " ".join(texts(r.inputs))]
    assert found, "the hand-over holds it"
    for resource in deployment.resources:
        assert not [t for t in in_clear(resource.raw) if KEY_SECRET in t], resource.name
    assert not [t for t in texts(deployment.outputs) if KEY_SECRET in t]


def test_wildcard_statements_are_few_and_have_conditions(deployment: Deployment) -> None:
    """`*` is the resource only for actions without resources, and never the action."""
    for resource in deployment.aws:
        policy = resource.inputs.get("policy")
        if resource.type.startswith("aws:iam/") and isinstance(policy, str):
            for statement in json.loads(policy)["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                if statement["Effect"] != "Allow":
                    continue
                assert not [a for a in actions if a.endswith("*")], resource.name
                if statement["Resource"] == "*":
                    assert statement["Sid"] in ("Metrics", "Others", "Session", "Registry"), (resource.name, statement)


@pytest.mark.parametrize("part", ["ledger", "user"])
def test_ledger_and_user_are_protected(both: Deployment, part: str) -> None:
    found = [r for r in both.aws if r.name in (f"dth-dual-cn-{part}", f"dth-dual-global-{part}")]
    assert len(found) == 2
    assert all(r.protect for r in found)


def test_no_alarm_treats_a_late_metric_as_zero(deployment: Deployment) -> None:
    queries = [
        q for a in deployment.of("aws:cloudwatch/metricAlarm:MetricAlarm") for q in a.inputs.get("metricQueries", ())
    ]
    expressions = [q["expression"] for q in queries if q.get("expression")]
    assert expressions
    for expression in expressions:
        assert not re.search(r"FILL\(\w+, 0\)", expression), expression


def test_the_security_group_of_another_vpc_exists_before_the_machines_leave_the_old_one(cn: Deployment) -> None:
    """With a fixed name the provider deletes first, and EC2 refuses the deletion of a group that machines use."""
    assert cn.one("aws:ec2/securityGroup:SecurityGroup").delete_before_replace is False
