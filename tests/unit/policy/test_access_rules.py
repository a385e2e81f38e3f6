"""Test edge cases of the rules about access over hand-made resources: policies, principals, keys, prefixes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from dualsync.components.config.prefixes import policy_patterns
from policy.ownership import DataBucket, _within
from policy.plan import UNKNOWN
from tests.support.prefixes import PREFIXES
from tests.unit.policy.resources import allow, found, policy, resource

VALUE = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"]
IAM = "arn:aws-cn:iam::111122223333:"


@pytest.mark.parametrize(
    ("arn", "fine"),
    [
        ("arn:aws:s3:::bucket/prefix*", True),
        ("arn:aws:s3:::bucket/*", True),
        ("arn:aws:s3:::bucket*/key", False),
        ("arn:aws:s3:::*", False),
        ("arn:aws:sqs:us-west-2:444455556666:queue", True),
        ("arn:aws:sqs:us-west-2:*:queue", False),
        ("arn:aws:sqs:*:444455556666:queue", False),
        ("arn:aws:dynamodb:us-west-2:444455556666:table/*", False),
        ("arn:aws:dynamodb:us-west-2:444455556666:table/ledger/index/*", True),
        ("arn:aws:secretsmanager:us-west-2:444455556666:secret:name-??????", True),
        ("arn:aws:secretsmanager:us-west-2:444455556666:secret:*", False),
        ("arn:aws:autoscaling:us-west-2:444455556666:autoScalingGroup:*:autoScalingGroupName/workers", True),
        ("arn:aws:*:us-west-2:444455556666:queue", False),
        ("anything", False),
    ],
)
def test_a_wildcard_is_allowed_only_after_a_name(arn: str, fine: bool) -> None:
    made = resource("aws:iam/rolePolicy:RolePolicy", policy=policy(allow("sqs:SendMessage", arn)))
    assert (found("no-wildcard", made) == []) is fine


def test_actions_without_resources_are_confined_by_their_condition() -> None:
    metrics = allow("cloudwatch:PutMetricData", "*")
    bare = resource("aws:iam/rolePolicy:RolePolicy", policy=policy(metrics))
    assert found("no-wildcard", bare) == ["it: statement number 1 allows cloudwatch:PutMetricData on everything"]
    bound = {**metrics, "Condition": {"StringEquals": {"cloudwatch:Namespace": "dth-dual/cn"}}}
    assert found("no-wildcard", resource("aws:iam/rolePolicy:RolePolicy", policy=policy(bound))) == []


def test_a_key_policy_may_allow_only_the_accounts_administrators() -> None:
    root = {**allow("kms:*", "*"), "Principal": {"AWS": "arn:aws-cn:iam::111122223333:root"}}
    assert found("no-wildcard", resource("aws:kms/key:Key", policy=policy(root))) == []
    user = {**root, "Principal": {"AWS": ["arn:aws-cn:iam::111122223333:root", "arn:aws-cn:iam::111122223333:user/x"]}}
    assert found("no-wildcard", resource("aws:kms/key:Key", policy=policy(user)))
    service = {**root, "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    assert found("no-wildcard", resource("aws:kms/key:Key", policy=policy(service)))


def test_actions_for_options_are_allowed_by_name() -> None:
    made = resource("aws:iam/policy:Policy", policy=policy(allow("s3:GetObjectTagging", "arn:aws-cn:s3:::b/*")))
    assert found("least-privilege", made)
    assert found("least-privilege", made, moreActions=["s3:GetObjectTagging"]) == []


def test_inline_policies_of_roles_are_checked() -> None:
    inline = [{"name": "x", "policy": policy(allow("iam:CreateUser", "arn:aws-cn:iam::111122223333:user/x"))}]
    made = resource("aws:iam/role:Role", inlinePolicies=inline, assumeRolePolicy=policy())
    assert found("least-privilege", made) == ["it: statement number 1 allows iam:CreateUser, which nothing here calls"]


def test_a_managed_policy_listed_in_the_role_is_found() -> None:
    made = resource("aws:iam/role:Role", managedPolicyArns=["arn:aws-cn:iam::aws:policy/AmazonS3FullAccess"])
    assert "not a policy of this plan" in found("own-policies-only", made)[0]


def test_a_policy_for_every_principal_is_public_without_a_condition() -> None:
    statement = {**allow("sqs:SendMessage", "arn:aws-cn:sqs:cn-north-1:111122223333:q"), "Principal": {"AWS": "*"}}
    made = resource("aws:sqs/queuePolicy:QueuePolicy", policy=policy(statement))
    assert found("nothing-public", made) == ["it: statement number 1 allows everybody"]
    bound = {**statement, "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}}
    assert found("nothing-public", resource("aws:sqs/queuePolicy:QueuePolicy", policy=policy(bound))) == []


def test_a_new_bucket_needs_a_public_access_block_and_no_acls() -> None:
    assert found("nothing-public", resource("aws:s3/bucket:Bucket", bucket="b")) == [
        "it has no public access block",
        "it lets ACLs open it to other accounts (BucketOwnerEnforced)",
    ]


def test_policies_that_aws_fills_in_are_accepted() -> None:
    # Outputs of a deployment: SNS's first policy of each topic, and EC2's of each endpoint.
    default = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:Subscribe", "SNS:Publish"],
        "Resource": "arn:aws-cn:sns:cn-north-1:111122223333:dth-dual-cn-alarms",
        "Condition": {"StringEquals": {"AWS:SourceOwner": "111122223333"}},
    }
    topic = resource("aws:sns/topic:Topic", policy=policy(default))
    endpoint = resource("aws:ec2/vpcEndpoint:VpcEndpoint", policy=policy(allow("*", "*", Principal="*")))
    for name in ("nothing-public", "principals-named", "no-wildcard"):
        assert found(name, topic) == []
        assert found(name, endpoint) == []
    default["Condition"] = {"StringEquals": {"AWS:SourceOwner": "999999999999"}}
    assert found("nothing-public", resource("aws:sns/topic:Topic", policy=policy(default)))


@pytest.mark.parametrize(
    ("principals", "more", "fine"),
    [
        ([f"{IAM}role/dth-dual-cn-worker", f"{IAM}role/ci/deploy-*", f"{IAM}user/admin"], {}, True),
        ([f"{IAM}role/*"], {}, False),
        ([f"{IAM}role/ci/*"], {}, False),
        (["arn:aws-cn:iam::999999999999:role/x"], {}, False),
        ([f"{IAM}role/x"], {"Action": VALUE[:2]}, False),
        ([f"{IAM}role/x"], {"Principal": {"AWS": f"{IAM}user/one"}}, False),
        ([f"{IAM}role/x"], {"Resource": f"{IAM}another"}, False),
        ([f"{IAM}role/x"], {"NotAction": "x"}, False),
    ],
)
def test_a_secrets_policy_denies_its_value_to_all_but_named_principals(
    principals: list[str], more: dict[str, Any], fine: bool
) -> None:
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": [*VALUE, "secretsmanager:UpdateSecretVersionStage"],
        "Resource": "*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": principals}},
        **more,
    }
    made = resource("aws:secretsmanager/secretPolicy:SecretPolicy", policy=policy(denial))
    assert (found("secret-confined", made) == []) is fine


def test_a_finding_never_shows_a_key() -> None:
    key = resource("aws:iam/accessKey:AccessKey", "key", secret="a-very-secret-access-key", id="AKIAEXAMPLEEXAMPLE12")
    leak = resource("aws:ssm/parameter:Parameter", "leak", value="x a-very-secret-access-key x")
    assert found("keys-in-secrets-manager-only", key, leak) == ["leak.value holds an access key"]


def test_the_hand_over_and_key_ids_in_stack_outputs_are_accepted() -> None:
    stack = resource(
        "pulumi:pulumi:Stack",
        account=None,
        handOver='{"access_key_id": "AKIAEXAMPLEEXAMPLE12"}',
        cn={"keyId": "AKIAEXAMPLEEXAMPLE12"},
    )
    assert found("keys-in-secrets-manager-only", stack) == []


def test_a_provider_with_a_key_is_found() -> None:
    made = resource("pulumi:providers:aws", account=None, accessKey="AKIAEXAMPLEEXAMPLE12")
    assert "provider it is given a long-lived key (accessKey)" in found("keys-in-secrets-manager-only", made)


@pytest.mark.parametrize(
    ("prefix", "pattern", "fine"),
    [
        ("", "*", True),
        ("year/", "year/*", True),
        ("year/", "*", False),
        ("year/", "yea*", False),
        ("a$b*/", "a${$}b${*}/*", True),
        ("数据/", "??/*", True),
        ("数据/", "*/*", False),
        ("ü数/", "ü?/*", True),
        ("ü数/", "??/*", False),
        ("a?/", "a?/*", False),
        ("${aws:username}/", "${aws:username}/*", False),
    ],
)
def test_a_user_policy_beyond_the_prefix_is_found(prefix: str, pattern: str, fine: bool) -> None:
    events = resource("dualsync:index:BucketSubscription", "events", bucket="b", owner="111122223333", prefix=prefix)
    made = resource("aws:iam/policy:Policy", policy=policy(allow("s3:GetObject", f"arn:aws-cn:s3:::b/{pattern}")))
    assert (found("own-resources-only", events, made) == []) is fine


@pytest.mark.parametrize("text", PREFIXES)
def test_policies_for_a_prefix_or_a_list_of_prefixes_are_accepted(text: str) -> None:
    for pattern in policy_patterns(text):
        assert _within(f"{pattern}*", DataBucket("b", text))
        assert not text or _within(pattern, DataBucket("b", "elsewhere/", text))
        assert not text or not _within(f"x{pattern}", DataBucket("b", text))
        assert not _within(f"{pattern}*", DataBucket("b", "elsewhere/", text))


@pytest.mark.parametrize(("file", "key"), [("list*", "list*"), ("a?", "a?"), ("${aws:username}", "${aws:username}")])
def test_the_right_to_read_a_prefix_list_names_one_key(file: str, key: str) -> None:
    assert not _within(key, DataBucket("b", "elsewhere/", file))


QUEUE = "arn:aws-cn:sqs:cn-north-1:111122223333:dth-dual-cn-queue"
CONFINED = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sqs:SendMessage",
    "Resource": QUEUE,
    "Condition": {"ArnNotLike": {"aws:PrincipalArn": [f"{IAM}role/x"]}, "ArnNotEquals": {"aws:SourceArn": QUEUE}},
}
TLS_ONLY = {**CONFINED, "Action": "sqs:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
OPEN = ["queue leaves SendMessage to everybody that IAM allows it"]


@pytest.mark.parametrize(
    ("document", "policies", "findings"),
    [
        (None, [], OPEN),
        (UNKNOWN, [], OPEN),
        (policy(TLS_ONLY), [], OPEN),
        (policy(TLS_ONLY, CONFINED), [], []),
        (policy({**CONFINED, "Resource": f"{QUEUE}-2"}), [], OPEN),
        (None, [policy(CONFINED)], []),
        # The provider shows the policy of the other resource in this property, too.
        (UNKNOWN, [policy(CONFINED)], []),
    ],
)
def test_a_queue_denies_senders_by_a_policy_of_either_kind(
    document: object, policies: list[str], findings: list[str]
) -> None:
    given = {"name": "dth-dual-cn-queue", "url": "https://queue", "policy": document}
    queue = dataclasses.replace(resource("aws:sqs/queue:Queue", "queue"), properties=given)
    made = [resource("aws:sqs/queuePolicy:QueuePolicy", queueUrl="https://queue", policy=text) for text in policies]
    assert found("senders-denied", queue, *made) == findings
