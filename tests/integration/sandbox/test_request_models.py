"""Test that requests outside AWS's models are refused before they reach the local cloud emulator."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud
from sandbox.cloud.request_models import InvalidRequestError, problems
from sandbox.provider import operations
from sandbox.provider.base import Account


@pytest.mark.parametrize(
    ("service", "operation", "given", "expected"),
    [
        ("iam", "CreateUser", {"UserName": "dth-dual-user"}, []),
        ("iam", "CreateUser", {"UserName": "dth dual"}, ["UserName 'dth dual' does not match"]),
        ("iam", "CreateUser", {"UserName": "u" * 65}, ["UserName 65 characters is more than 64"]),
        ("sqs", "ReceiveMessage", {"QueueUrl": "u", "AttributeNames": ["Age"]}, ["AttributeNames[0] 'Age' is none of"]),
        ("logs", "DescribeLogGroups", {"limit": 51}, ["limit 51 is more than 50"]),
        (
            "kms",
            "ScheduleKeyDeletion",
            {"KeyId": "k", "PendingWindowInDays": 0},
            ["PendingWindowInDays 0 is less than"],
        ),
        ("dynamodb", "CreateTable", {"TableName": "t", "KeySchema": []}, ["KeySchema 0 items is less than 1"]),
        ("secretsmanager", "PutSecretValue", {"SecretId": "s", "ClientRequestToken": "short"}, ["characters is less"]),
        ("autoscaling", "CreateOrUpdateTags", {"Tags": [{"Key": "a😀"}]}, []),
        ("iam", "CreateUser", {"UserName": None, "Nonsense": 1}, []),
    ],
)
def test_enumerations_patterns_and_ranges(
    service: str, operation: str, given: dict[str, Any], expected: list[str]
) -> None:
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    found = [f"{where} {why}" for where, why in problems(shape, given, "")]
    assert len(found) == len(expected), found
    assert all(part in text for part, text in zip(expected, found, strict=True)), found


def test_a_secret_value_is_not_shown() -> None:
    model = botocore.session.get_session().get_service_model("iam")
    shape = model.operation_model("CreateLoginProfile").input_shape
    (found,) = problems(shape, {"UserName": "u", "Password": "geheim\x00"}, "")
    assert "geheim" not in found[1]


def test_a_resource_that_aws_would_refuse_is_not_created(cloud: Cloud) -> None:
    a = ACCOUNTS[SideName.CN]
    account = Account(cloud.session(a.side), cloud.endpoint, a.account_id, a.region, a.partition, a.dns_suffix)
    with pytest.raises(InvalidRequestError, match="UserName"):
        operations.create("aws:iam/user:User", account, operations.check("aws:iam/user:User", "u", {"name": "a b"}))
    assert "a b" not in {u["UserName"] for u in cloud.client(a.side, "iam").list_users()["Users"]}
