"""Test edge cases of the rules about operations over hand-made resources: partitions, providers, retention, names."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from policy.plan import UNKNOWN, Account, Resource
from tests.unit.policy.resources import CN, found, resource


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("arn:aws-cn:sqs:cn-north-1:111122223333:q", ""),
        ("arn:aws:sqs:us-west-2:444455556666:q", "an ARN of partition aws"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q", ""),
        ("https://sqs.cn-north-1.amazonaws.com/111122223333/q", "host sqs.cn-north-1.amazonaws.com does not exist"),
        ("com.amazonaws.cn-north-1.s3", ""),
        ("ec2.amazonaws.com.cn", ""),
    ],
)
def test_partitions_are_recognised_by_arn_and_host(text: str, problem: str) -> None:
    texts = found("own-partition", resource("aws:sqs/queue:Queue", value=text))
    assert ([problem] if problem else []) == [t.split(": ", 1)[1].split(", and")[0] for t in texts]


def test_services_through_which_a_key_is_used_may_have_both_domains() -> None:
    text = '{"StringEquals": {"kms:ViaService": ["s3.cn-north-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"]}}'
    assert found("own-partition", resource("aws:iam/rolePolicy:RolePolicy", policy=text)) == []
    assert found("own-partition", resource("aws:sqs/queue:Queue", value=text))


def test_base64_user_data_is_decoded() -> None:
    script = base64.b64encode(b"queue=arn:aws:sqs:us-west-2:444455556666:q").decode()
    assert found("own-partition", resource("aws:ec2/launchTemplate:LaunchTemplate", userData=script))


def test_default_providers_are_found() -> None:
    default = Account(urn="urn:d", name="default_7_0_0")
    assert found("provider-tied-to-account", resource("aws:sqs/queue:Queue", account=default))
    assert found("provider-tied-to-account", resource("aws:sqs/queue:Queue", account=None))
    assert found("provider-tied-to-account", resource("aws:sqs/queue:Queue")) == []


def test_an_emulators_ledger_needs_no_deletion_protection() -> None:
    emulator = Account(urn="u", name="n", properties={"endpoints": '[{"sqs": "http://127.0.0.1:5000"}]'})
    table: dict[str, Any] = {"pointInTimeRecovery": {"enabled": True}, "deletionProtectionEnabled": False}
    assert found("ledger-recoverable", resource("aws:dynamodb/table:Table", account=emulator, **table)) == []
    assert found("ledger-recoverable", resource("aws:dynamodb/table:Table", **table)) == ["it can be deleted"]


@pytest.mark.parametrize(("attribute", "fine"), [("ExpiresAt", True), (UNKNOWN, True), ("RecordTime", False)])
def test_a_ledger_that_expires_its_proof_is_found(attribute: Any, fine: bool) -> None:
    table: dict[str, Any] = {"pointInTimeRecovery": {"enabled": True}, "deletionProtectionEnabled": True}
    made = resource("aws:dynamodb/table:Table", ttl={"attributeName": attribute, "enabled": True}, **table)
    problems = [] if fine else ["it deletes items by RecordTime, which the runtime does not set for that (ttl)"]
    assert found("ledger-recoverable", made) == problems


def test_every_queue_but_a_dead_letter_queue_needs_a_dead_letter_queue() -> None:
    dead = resource("aws:sqs/queue:Queue", "dead", messageRetentionSeconds=14 * 86400)
    queue = resource(
        "aws:sqs/queue:Queue",
        "queue",
        messageRetentionSeconds=7 * 86400,
        redrivePolicy=UNKNOWN,
        depends={"redrivePolicy": ("urn:dead",)},
    )
    lone = resource("aws:sqs/queue:Queue", "lone")
    assert found("dead-letters-outlive-queue", dead, queue) == []
    assert found("dead-letters-outlive-queue", dead, queue, lone) == ["lone has no dead-letter queue"]


def test_configured_names_are_allowed_without_the_prefix() -> None:
    user = resource("aws:iam/user:User", name_="x")
    user = Resource(type=user.type, name="u", urn="u", properties={"name": "robot"}, account=CN)
    assert found("prefixed", user) == ["u is named robot, which does not begin with dth-dual-"]
    assert found("prefixed", user, otherNames=["robot"]) == []
