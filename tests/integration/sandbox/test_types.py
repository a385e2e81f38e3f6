"""Test the check of inputs against pulumi_aws's own types."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from sandbox.provider.operations import InvalidInputsError, check, diff
from sandbox.provider.types import arguments, problems

QUEUE, TABLE = "aws:sqs/queue:Queue", "aws:dynamodb/table:Table"
GOOD_TABLE = {
    "name": "t",
    "hashKey": "k",
    "attributes": [{"name": "k", "type": "S"}],
    "ttl": {"attributeName": "e", "enabled": True},
    "tags": {"a": "b"},
}


@pytest.mark.parametrize(
    ("token", "inputs", "expected"),
    [
        (QUEUE, {"name": "q", "visibilityTimeoutSeconds": 3}, []),
        (QUEUE, {"visibility": 3}, [("visibility", "is no input of QueueArgs")]),
        (QUEUE, {"visibilityTimeoutSeconds": "3"}, [("visibilityTimeoutSeconds", "must be int, not str")]),
        (QUEUE, {"fifoQueue": 1}, [("fifoQueue", "must be bool, not int")]),
        (QUEUE, {"tags": {"a": 1}}, [("tags.a", "must be str, not int")]),
        (QUEUE, {"tags": ["a"]}, [("tags", "must be a map, not list")]),
        (TABLE, GOOD_TABLE, []),
        (TABLE, {**GOOD_TABLE, "attributes": [{"name": "k"}]}, [("attributes[0].type", "is required")]),
        (TABLE, {**GOOD_TABLE, "ttl": {"enable": True}}, [("ttl.enable", "is no input of TableTtlArgs")]),
        (TABLE, {**GOOD_TABLE, "attributes": {}}, [("attributes", "must be a list, not dict")]),
        ("aws:iam/accessKey:AccessKey", {}, [("user", "is required")]),
        ("aws:s3/bucketVersioning:BucketVersioning", {"bucket": "b", "versioningConfiguration": {"status": "x"}}, []),
    ],
)
def test_the_problems_of_inputs_are_named(token: str, inputs: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert problems(token, inputs) == expected


def test_enumerations_are_checked_where_pulumi_has_them() -> None:
    wrong = {"minSize": 1, "maxSize": 2, "enabledMetrics": ["GroupMinSize", "GroupMidSize"]}
    found = problems("aws:autoscaling/group:Group", wrong)
    assert [where for where, _ in found] in ([], ["enabledMetrics[1]"])


def test_an_input_for_a_file_must_be_an_asset() -> None:
    token = "aws:s3/bucketObjectv2:BucketObjectv2"
    assert problems(token, {"bucket": "b", "key": "k", "source": pulumi.StringAsset("x")}) == []
    assert problems(token, {"bucket": "b", "key": "k", "source": "x"}) == [("source", "must be an asset")]


def test_inputs_of_other_packages_are_not_checked() -> None:
    assert arguments("dualsync:index:BucketSubscription") is None
    assert problems("dualsync:index:BucketSubscription", {"anything": 1}) == []


def test_all_problems_of_inputs_are_reported_in_one_line() -> None:
    with pytest.raises(InvalidInputsError) as caught:
        check(QUEUE, "q", {"visibility": 3, "policy": "{not json", "delaySeconds": True})
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (QUEUE, "visibility is no input", "policy is not JSON", "delaySeconds must be"))


def test_a_generated_name_is_kept() -> None:
    first = check(QUEUE, "q", {})
    assert first["name"].startswith("q-")
    assert check(QUEUE, "q", {}, first)["name"] == first["name"]


def test_diff_compares_documents_by_content() -> None:
    old = {"queueUrl": "u", "policy": '{"a": 1, "b": [1]}'}
    same = diff("aws:sqs/queuePolicy:QueuePolicy", old, {"queueUrl": "u", "policy": '{"b":[1],"a":1}'})
    assert same.changed == ()
    other = diff("aws:sqs/queuePolicy:QueuePolicy", old, {"queueUrl": "v", "policy": "{}"})
    assert (other.changed, other.replacing) == (("policy", "queueUrl"), ("queueUrl",))
