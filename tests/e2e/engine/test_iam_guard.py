"""Test the IAM evaluator in front of a deployment's calls with the published deploy role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from sandbox.environment.processes import ROOT
from tests.e2e.pulumi_lifecycle.iam_guard import Guard, asked
from tests.e2e.pulumi_lifecycle.iam_resources import Place, targets

ACCOUNT = "111122223333"
IAM = f"arn:aws-cn:iam::{ACCOUNT}:"
OWN = [{"Key": "dualsync:pair", "Value": "dth-dual"}, {"Key": "dualsync:side", "Value": "cn"}]
OTHERS = [{"Key": "dualsync:pair", "Value": "other"}]
BOUNDARY = f"{IAM}policy/dth-dual-cn-boundary"
KEY_POLICY = (
    '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["kms:EnableKeyRotation"],'
    ' "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/dualsync:deploys": "dth-dual"}}}]}'
)
ANSWERS: dict[str, dict[str, Any]] = {
    "AssumeRole": {"Credentials": {"AccessKeyId": "ASIAROLE"}},
    "CreateSecurityGroup": {"GroupId": "sg-1"},
    "CreateKey": {"KeyMetadata": {"KeyId": "key-1"}},
}


class Calls:
    """boto3's calls behind the guard, without a server."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            BaseClient, "_make_api_call", lambda client, operation, given: ANSWERS.get(operation, {}), raising=True
        )
        self.asked = folder / "asked"
        Guard(ROOT / "docs" / "roles", self.asked, "dualsync:deploys=dth-dual").install()
        self("sts", "assume_role", "AKIA", RoleArn=f"{IAM}role/deploy-cn", RoleSessionName="x")

    def __call__(self, service: str, operation: str, key: str = "ASIAROLE", **given: Any) -> None:
        made: Any = boto3.client(  # type: ignore[call-overload]
            service, region_name="cn-north-1", aws_access_key_id=key, aws_secret_access_key="x"
        )
        getattr(made, operation)(**given)

    def refused(self, service: str, operation: str, key: str = "ASIAROLE", **given: Any) -> str:
        with pytest.raises(ClientError, match="AccessDenied") as caught:
            self(service, operation, key, **given)
        return str(caught.value.response["Error"]["Message"])


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(tmp_path, monkeypatch)


def test_the_operators_key_only_assumes_roles(calls: Calls) -> None:
    refusal = calls.refused("sqs", "list_queues", "AKIA")
    assert "the operator's key is not authorized to perform: sqs:ListQueues" in refusal


def test_names_and_accounts_are_checked(calls: Calls) -> None:
    calls("sqs", "create_queue", QueueName="dth-dual-cn-queue")
    queues = f"arn:aws-cn:sqs:cn-north-1:{ACCOUNT}:"
    assert calls.refused("sqs", "create_queue", QueueName="others") == (
        f"deploy-cn is not authorized to perform: sqs:CreateQueue on resource: {queues}others"
        " because no identity-based policy allows the sqs:CreateQueue action"
    )
    assert list(asked(calls.asked)) == [("deploy-cn", "sqs:CreateQueue", f"{queues}dth-dual-cn-queue")]


def test_tags_of_request_and_resource_are_checked(calls: Calls) -> None:
    named: dict[str, Any] = {"GroupName": "x", "Description": "x", "VpcId": "vpc-1"}

    def tagged(tags: list[dict[str, str]]) -> list[dict[str, Any]]:
        return [{"ResourceType": "security-group", "Tags": tags}]

    calls.refused("ec2", "create_security_group", **named)
    calls.refused("ec2", "create_security_group", **named, TagSpecifications=tagged(OTHERS))
    calls.refused("ec2", "delete_security_group", GroupId="sg-1")
    calls("ec2", "create_security_group", **named, TagSpecifications=tagged(OWN))
    calls("ec2", "delete_security_group", GroupId="sg-1")
    calls.refused("ec2", "delete_security_group", GroupId="sg-2")


def test_a_role_needs_its_boundary(calls: Calls) -> None:
    named = {"RoleName": "dth-dual-cn-worker", "AssumeRolePolicyDocument": "{}"}
    calls.refused("iam", "create_role", **named)
    calls.refused("iam", "put_role_policy", RoleName="dth-dual-cn-worker", PolicyName="p", PolicyDocument="{}")
    calls("iam", "create_role", **named, PermissionsBoundary=BOUNDARY)
    calls("iam", "put_role_policy", RoleName="dth-dual-cn-worker", PolicyName="p", PolicyDocument="{}")


def test_a_role_is_passed_to_known_services(calls: Calls) -> None:
    profile = {"InstanceProfileName": "dth-dual-cn-worker-profile"}
    calls("iam", "add_role_to_instance_profile", **profile, RoleName="dth-dual-cn-worker")
    assert "iam:PassRole" in calls.refused("iam", "add_role_to_instance_profile", **profile, RoleName="others")


def test_a_keys_own_policy_is_evaluated(calls: Calls) -> None:
    calls.refused("kms", "enable_key_rotation", KeyId="key-1")
    tags = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in OWN]
    calls("kms", "create_key", Policy=KEY_POLICY, Tags=tags)
    calls("kms", "enable_key_rotation", KeyId="key-1")
    calls.refused("kms", "disable_key", KeyId="key-1")


def test_a_group_with_a_launch_template_needs_the_rights_to_run_its_instances() -> None:
    place = Place("aws-cn", "cn-north-1", ACCOUNT)
    data = {
        "ImageId": "resolve:ssm:/aws/service/ami-amazon-linux-latest/x",
        "NetworkInterfaces": [{"Groups": ["sg-1"]}],
    }
    given = {"AutoScalingGroupName": "dth-dual-cn-workers", "LaunchTemplate": {"LaunchTemplateId": "lt-1"}}
    found = {t.action for t in targets("autoscaling", "CreateAutoScalingGroup", given, place, {"lt-1": data})}
    assert found == {"autoscaling:CreateAutoScalingGroup", "ec2:RunInstances", "ssm:GetParameters"}
