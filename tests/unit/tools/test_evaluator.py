"""Test the policy evaluator against the IAM User Guide, for the elements that the documents use."""

from __future__ import annotations

from typing import Any

import pytest

from tools.iam_roles.evaluator import Request, decide


def policies(**elements: Any) -> list[dict[str, Any]]:
    return [{"Statement": [{"Sid": "One", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **elements}]}]


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"K": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {"k": "A"}, False),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": "a"}}, {"k": "a"}, False),
        ({"StringLike": {"k": "a*"}}, {"k": "ab"}, True),
        ({"ArnEquals": {"k": "arn:aws:iam::1:role/*"}}, {"k": "arn:aws:iam::1:role/x"}, True),
        ({"Bool": {"k": "false"}}, {"k": "False"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "true"}}, {"k": "x"}, False),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ("a", "b")}, True),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {"k": ("a", "c")}, False),
        ({"ForAllValues:StringEquals": {"k": ["a"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {"k": ("a", "c")}, True),
        ({"ForAnyValue:StringEquals": {"k": ["a"]}}, {}, False),
        ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a"}, False),
        ({"StringEquals": {"k": "a"}, "StringLike": {"l": "b"}}, {"k": "a", "l": "b"}, True),
    ],
)
def test_a_condition_is_evaluated(condition: dict[str, Any], context: dict[str, Any], holds: bool) -> None:
    assert decide(policies(Condition=condition), Request("s3:GetObject", "x", context)).allowed is holds


def test_actions_are_compared_without_case_and_resources_with_it() -> None:
    assert decide(policies(Action="S3:get*"), Request("s3:GetObject", "x")).allowed
    assert not decide(policies(Resource="arn:aws:s3:::A"), Request("s3:GetObject", "arn:aws:s3:::a")).allowed
    assert decide(policies(Resource="secret:name-??????"), Request("s3:GetObject", "secret:name-AbCdEf")).allowed
    assert not decide(
        policies(Resource="secret:name-??????"), Request("s3:GetObject", "secret:name-other-AbCdEf")
    ).allowed


def test_negated_elements_match_everything_else() -> None:
    statement = {"Statement": [{"Sid": "N", "Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}
    assert decide([statement], Request("s3:GetObject", "x")).allowed
    assert not decide([statement], Request("iam:CreateUser", "x")).allowed


def test_a_denial_wins_and_is_named() -> None:
    denied = {"Statement": [{"Sid": "No", "Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    found = decide([*policies(), denied], Request("s3:GetObject", "x"))
    assert (found.allowed, found.by) == (False, "No")


def test_a_boundary_limits_rights_and_grants_none() -> None:
    everything = policies(Action="*")
    boundary = policies(Action="sqs:SendMessage")
    assert not decide(everything, Request("s3:GetObject", "x"), boundary=boundary).allowed
    assert decide(everything, Request("sqs:SendMessage", "x"), boundary=boundary).allowed
    assert not decide([], Request("sqs:SendMessage", "x"), boundary=boundary).allowed
