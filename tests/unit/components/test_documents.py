"""Test every registered policy document and every operator's role with CloudFormation's linter."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.components.recorder import Deployment, deploy

ROLES = sorted((Path(__file__).resolve().parents[3] / "docs" / "roles").glob("*.json"))

AS = {
    ("aws:iam/policy:Policy", "policy"): ("IAM::ManagedPolicy", "PolicyDocument"),
    ("aws:iam/rolePolicy:RolePolicy", "policy"): ("IAM::ManagedPolicy", "PolicyDocument"),
    ("aws:iam/role:Role", "assumeRolePolicy"): ("IAM::Role", "AssumeRolePolicyDocument"),
    ("aws:sqs/queuePolicy:QueuePolicy", "policy"): ("SQS::QueuePolicy", "PolicyDocument"),
    ("aws:s3/bucketPolicy:BucketPolicy", "policy"): ("S3::BucketPolicy", "PolicyDocument"),
    ("aws:sns/topicPolicy:TopicPolicy", "policy"): ("SNS::TopicPolicy", "PolicyDocument"),
    ("aws:kms/key:Key", "policy"): ("KMS::Key", "KeyPolicy"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "policy"): ("EC2::VPCEndpoint", "PolicyDocument"),
}
"""CloudFormation's names of the resource and of its document property."""

BESIDE: dict[str, dict[str, Any]] = {
    "SQS::QueuePolicy": {"Queues": ["https://sqs.us-west-2.amazonaws.com/444455556666/queue"]},
    "S3::BucketPolicy": {"Bucket": "some-bucket"},
    "SNS::TopicPolicy": {"Topics": ["arn:aws:sns:us-west-2:444455556666:topic"]},
    "EC2::VPCEndpoint": {"VpcId": "vpc-0123456789abcdef0", "ServiceName": "com.amazonaws.us-west-2.s3"},
}
"""Further properties that the linter requires."""

ABOUT_TEMPLATES = ("I", "E3019")
"""Rules that are about a template: references, comments, one bucket twice."""

Document = tuple[str, str, dict[str, Any]]
"""(where it is from, what it is to CloudFormation, its content)"""


def lint_errors(documents: Iterable[Document]) -> list[str]:
    """Return what the linter reports about the documents."""
    from cfnlint.api import lint_all  # type: ignore[import-untyped]

    found = list(documents)
    resources = {
        f"R{number}": {
            "Type": f"AWS::{kind}",
            "Properties": {**BESIDE.get(kind, {}), next(p for k, p in AS.values() if k == kind): content},
        }
        for number, (_, kind, content) in enumerate(found)
    }
    matches = lint_all(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}))
    about_documents = (m for m in matches if not m.rule.id.startswith(ABOUT_TEMPLATES))
    return [f"{found[int(m.path[1][1:])][0]}: {m.rule.id} {m.message[:200]} at {m.path[4:]}" for m in about_documents]


def documents(deployment: Deployment) -> Iterator[Document]:
    for resource in deployment.aws:
        for (type_, key), (kind, _) in AS.items():
            text = resource.inputs.get(key)
            if resource.type == type_ and isinstance(text, str):
                yield resource.name, kind, json.loads(text)


def test_no_registered_policy_is_left_out(deployment: Deployment) -> None:
    for resource in deployment.aws:
        for key, value in resource.inputs.items():
            if isinstance(value, str) and '"Statement"' in value:
                assert (resource.type, key) in AS, f"{resource.name}.{key}"


def test_the_linter_accepts_the_programs_policies(deployment: Deployment) -> None:
    found = list(documents(deployment))
    assert len(found) >= 13
    assert lint_errors(found) == []


def test_the_linter_accepts_the_policy_of_a_topics_key(bundles: Path) -> None:
    found = list(documents(deploy("cn", bundles, {"alarmTopicKey": True})))
    assert [name for name, kind, _ in found if kind == "KMS::Key"] == ["dth-dual-cn-alarms-key"]
    assert lint_errors(found) == []


def test_the_linter_accepts_the_operators_roles() -> None:
    found = [
        (path.name, "IAM::Role" if path.stem.endswith("-trust") else "IAM::ManagedPolicy", json.loads(path.read_text()))
        for path in ROLES
    ]
    assert lint_errors(found) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"Action": "s3:GetObjct"}, "W3037"),
        ({"Sid": "not a name"}, "E3510"),
        ({"Condition": {"StringEquls": {"aws:PrincipalTag/a": "b"}}}, "E3510"),
        ({"Effect": "Permit"}, "E3510"),
    ],
)
def test_the_linter_reports_a_wrong_document(change: dict[str, Any], rule: str) -> None:
    good = {"Sid": "A", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws-cn:s3:::bucket/*"}
    document = {"Version": "2012-10-17", "Statement": [good | change]}
    (found,) = lint_errors([("it", "IAM::ManagedPolicy", document)])
    assert rule in found
