"""Test the emulated IAM: alphabets, patterns and lengths of documents and names (IAM API Reference)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def document(prefix: str) -> str:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws-cn:s3:::b/{prefix}*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, ensure_ascii=False)


@pytest.fixture
def iam(cloud: Cloud) -> Any:
    return cloud.client(SideName.CN, "iam")


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationError"
    return str(error["Message"])


def test_a_document_within_the_alphabet_is_taken(iam: Any) -> None:
    iam.create_policy(PolicyName="latin", PolicyDocument=document("Größe é ÿ/"))


@pytest.mark.parametrize("prefix", ["数据/", "Ā/", "€/", "🎈/", "\u0100"])
def test_a_document_outside_the_alphabet_is_refused(iam: Any, prefix: str) -> None:
    iam.create_user(UserName="alphabet") if not _exists(iam) else None
    bad = document(prefix)
    assert "PolicyDocument" in refusal(iam.create_policy, PolicyName="p", PolicyDocument=bad)
    assert "PolicyDocument" in refusal(iam.put_user_policy, UserName="alphabet", PolicyName="p", PolicyDocument=bad)
    trust = json.dumps({**TRUST, "Id": prefix}, ensure_ascii=False)
    assert "AssumeRolePolicyDocument" in refusal(iam.create_role, RoleName="r", AssumeRolePolicyDocument=trust)


def _exists(iam: Any) -> bool:
    return any(user["UserName"] == "alphabet" for user in iam.list_users()["Users"])


@pytest.mark.parametrize("name", ["a b", "ü", "a/b", "x" * 65])
def test_names_have_a_pattern_and_a_length(iam: Any, name: str) -> None:
    assert "UserName" in refusal(iam.create_user, UserName=name)
    assert "RoleName" in refusal(iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))


def test_a_tag_has_a_pattern_too(iam: Any) -> None:
    iam.create_user(UserName="tagged", Tags=[{"Key": "团队", "Value": "a+b=c"}])
    assert "Tags[0].Value" in refusal(iam.create_user, UserName="t2", Tags=[{"Key": "a", "Value": "a;b"}])
