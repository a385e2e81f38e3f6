"""Test the roles against the calls in the runtime's source: every call is allowed, and little else."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from dualsync.components import permissions
from dualsync.components.config.model import PairModel
from dualsync.components.config.side_options import Replicas
from dualsync.components.permissions import Reach
from dualsync.runtime.settings import Direction, SideName
from tests.unit.components.parts import World, deploy, pair

RUNTIME = Path(__file__).parents[3] / "runtime"
OPERATORS = ("commands", "operations")
"""Modules that run on an operator's machine, with the operator's rights."""

ACTIONS = {
    "AbortMultipartUpload": ["s3:AbortMultipartUpload"],
    "CompleteMultipartUpload": ["s3:PutObject", "s3:GetObject"],
    "CreateMultipartUpload": ["s3:PutObject"],
    "DeleteObject": ["s3:DeleteObject", "s3:GetObject"],
    "GetObject": ["s3:GetObject", "s3:GetObjectVersion"],
    "HeadBucket": ["s3:ListBucket"],
    "HeadObject": ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"],
    "ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
    "ListObjectsV2": ["s3:ListBucket"],
    "ListParts": ["s3:ListMultipartUploadParts"],
    "GetObjectTagging": [],
    "PutObject": ["s3:PutObject", "s3:GetObject"],
    "UploadPart": ["s3:PutObject"],
    "DeleteMessageBatch": ["sqs:DeleteMessage"],
    "ChangeMessageVisibilityBatch": ["sqs:ChangeMessageVisibility"],
    "GetQueueAttributes": [],
    "SendMessageBatch": ["sqs:SendMessage"],
}
"""IAM's actions of a call where they are not its name (S3 User Guide: Required permissions for S3 API operations).

Only the finder reads queue lengths. GetObjectTagging is called where tags travel, which is an
option: `test_tags_are_allowed_when_they_travel`. Conditional
writes want GetObject too; a HEAD tells a missing key from a forbidden one only with ListBucket.
"""

SPARE = {
    "cloudwatch:PutMetricData",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "autoscaling:CompleteLifecycleAction",
}
"""Actions of other programs on the instance (agent, boot, drain)."""


def called() -> dict[str, set[str]]:
    """Return, per service, the operations that the runtime names, as such or as methods of a client."""
    paths = [path for path in RUNTIME.rglob("*.py") if path.relative_to(RUNTIME).parts[0] not in OPERATORS]
    text = "\n".join(path.read_text() for path in paths)
    found: dict[str, set[str]] = {}
    for service in ("s3", "sqs", "dynamodb", "secretsmanager"):
        names = botocore.session.get_session().get_service_model(service).operation_names
        found[service] = {n for n in names if re.search(rf"""["']{n}["']|(?:\.|["']){xform_name(n)}\b""", text)}
    return found


def needed() -> set[str]:
    return {
        action
        for service, operations in called().items()
        for operation in operations
        for action in ACTIONS.get(operation, [f"{service}:{operation}"])
    }


@pytest.fixture(scope="module")
def policies() -> dict[str, dict[str, Any]]:
    reach = Reach(queue="q", dead_letter_queue="d", table="t", bundle_objects=("b",), log_group="l")
    found: dict[str, dict[str, Any]] = {}

    def program(context: Any) -> None:
        found["worker"] = permissions.worker(context, reach, "workers")
        found["finder"] = permissions.finder(context, reach, "cluster")

    deploy(program, World(), pair(), SideName.CN)
    return found


def actions(policy: dict[str, Any]) -> set[str]:
    return {action for s in policy["Statement"] for action in s["Action"]}


def test_calls_of_the_runtime_are_found() -> None:
    assert {"GetObject", "PutObject"} <= called()["s3"]


def test_worker_may_make_every_call_of_the_runtime(policies: dict[str, dict[str, Any]]) -> None:
    assert needed() - actions(policies["worker"]) == set()


def test_worker_has_no_right_that_it_does_not_need(policies: dict[str, dict[str, Any]]) -> None:
    extra = {a for a in actions(policies["worker"]) - needed() - SPARE if not a.startswith("ssm")}
    assert extra == set()


def test_tags_are_allowed_when_they_travel() -> None:
    reach = Reach(queue="q", dead_letter_queue="d", table="t", bundle_objects=("b",), log_group="l")
    found: list[dict[str, Any]] = []
    tagging = {"s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"}

    def program(context: Any) -> None:
        found.append(permissions.worker(context, reach, "workers"))

    for include in (False, True):
        deploy(program, World(), pair(replicas=Replicas(include_tags=include)), SideName.CN)
    assert [tagging & actions(policy) for policy in found] == [set(), tagging]


KEY = "arn:aws-cn:kms:cn-north-1:111111111111:key/12345678-1234-1234-1234-123456789012"


def statements_about(key: str, model: PairModel, side: SideName) -> list[list[dict[str, Any]]]:
    """Return what the policies of worker and finder state about a key."""
    reach = Reach(queue="q", dead_letter_queue="d", table="t", bundle_objects=("b",), log_group="l")
    found: list[dict[str, Any]] = []

    def program(context: Any) -> None:
        found.append(permissions.worker(context, reach, "workers"))
        found.append(permissions.finder(context, reach, "cluster"))

    deploy(program, World(), model, side)
    return [[s for s in policy["Statement"] if s["Resource"] == key] for policy in found]


def test_worker_and_finder_may_read_replicas_that_the_peer_encrypts_with_a_key() -> None:
    """A GET, and a HEAD that asks for a checksum, need kms:Decrypt (S3 API Reference, HeadObject)."""
    model = pair()
    replicas = Replicas(encryption="aws:kms", kms_key=KEY)
    model = dataclasses.replace(model, global_=dataclasses.replace(model.global_, replicas=replicas))
    for (statement,) in statements_about(KEY, model, SideName.CN):
        assert statement["Action"] == ["kms:Decrypt"]
        assert {service.partition(".")[0] for service in statement["Condition"]["StringEquals"]["kms:ViaService"]} == {
            "s3"
        }
    assert statements_about(KEY, model, SideName.GLOBAL) == [[], []]
    one_way = dataclasses.replace(model, direction=Direction.CN_TO_GLOBAL)
    assert statements_about(KEY, one_way, SideName.CN) == [[], []], "nothing is written at a one-way pair's source"


@pytest.mark.parametrize(
    ("prefix", "file", "allowed"), [("", "", False), ("", "l", False), ("p/", "p/l", False), ("p/", "l", True)]
)
def test_a_prefix_list_outside_the_prefix_may_be_read(prefix: str, file: str, allowed: bool) -> None:
    reach = Reach(queue="q", dead_letter_queue="d", table="t", bundle_objects=("b",), log_group="l")
    found: list[dict[str, Any]] = []

    def program(context: Any) -> None:
        found.append(permissions.worker(context, reach, "workers"))
        found.append(permissions.finder(context, reach, "cluster"))

    deploy(program, World(), pair(prefix=prefix, prefix_list_file=file), SideName.CN)
    for policy in found:
        lists = [s for s in policy["Statement"] if s["Sid"] == "PrefixList"]
        assert [(s["Action"], s["Resource"][0].split("/")[1:]) for s in lists] == (
            [(["s3:GetObject"], ["l"])] if allowed else []
        )


def test_finder_has_fewer_rights_than_the_worker(policies: dict[str, dict[str, Any]]) -> None:
    less = actions(policies["worker"]) - actions(policies["finder"])
    assert {"s3:PutObject", "s3:DeleteObject", "sqs:ReceiveMessage", "sqs:DeleteMessage"} <= less
    assert actions(policies["finder"]) - actions(policies["worker"]) == {"ecs:ListTasks", "sqs:GetQueueAttributes"}
    sweeps = {"s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"}
    assert sweeps <= actions(policies["finder"]), "uploads that a worker lost are found in the own bucket, too"
