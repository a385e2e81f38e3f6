"""Test the registered identity of a side: user, policy, key, and its hand-over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.components.recorder import KEY_SECRET, Deployment, deploy, is_secret

CN, GLOBAL = "111122223333", "444455556666"
POLICY = "aws:iam/policy:Policy"
SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
SUBSCRIPTION = "dualsync:index:BucketSubscription"


def policy(deployment: Deployment) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(deployment.one(POLICY).inputs["policy"])
    return document


def test_the_users_policy_is_exactly_the_guides_actions_on_its_bucket(cn: Deployment) -> None:
    assert policy(cn)["Statement"] == [
        {
            "Sid": "Bucket",
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
            "Resource": "arn:aws-cn:s3:::dth-dual-dev-cn-north-1",
        },
        {
            "Sid": "Objects",
            "Effect": "Allow",
            "Action": [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            "Resource": ["arn:aws-cn:s3:::dth-dual-dev-cn-north-1/*"],
        },
        {
            "Sid": "Acl",
            "Effect": "Allow",
            "Action": ["s3:PutObjectAcl"],
            "Resource": ["arn:aws-cn:s3:::dth-dual-dev-cn-north-1/*"],
            "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
        },
        {
            "Sid": "NoSessions",
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {
                "Null": {"aws:TokenIssueTime": "false"},
                "BoolIfExists": {"aws:ViaAWSService": "false"},
            },
        },
        {
            "Sid": "NoKeysOfOthers",
            "Effect": "Deny",
            "Action": "s3:PutObject",
            "Resource": "*",
            "Condition": {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
        },
    ]


def test_the_user_is_limited_to_the_peers_addresses(bundles: Path) -> None:
    addresses = ["198.51.100.7/32", "2001:db8::/48"]
    side = {"accountId": CN, "region": "cn-north-1", "bucket": "some-bucket", "peerAddresses": addresses}
    (statement,) = (s for s in policy(deploy("cn", bundles, {"cn": side}))["Statement"] if "Addresses" in s["Sid"])
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert statement["Condition"] == {
        "NotIpAddress": {"aws:SourceIp": addresses},
        "BoolIfExists": {"aws:ViaAWSService": "false"},
    }


def test_a_prefix_limits_objects_and_not_listing(bundles: Path) -> None:
    side = {"accountId": CN, "region": "cn-north-1", "bucket": "some-bucket", "prefix": "photos/"}
    document = policy(deploy("cn", bundles, {"cn": side}))
    assert [s["Resource"] for s in document["Statement"] if s["Effect"] == "Allow"] == [
        "arn:aws-cn:s3:::some-bucket",
        ["arn:aws-cn:s3:::some-bucket/photos/*"],
        ["arn:aws-cn:s3:::some-bucket/photos/*"],
    ]
    assert not any("s3:prefix" in json.dumps(s) for s in document["Statement"])


def test_without_acls_the_user_may_not_set_any(bundles: Path) -> None:
    peer = {"accountId": GLOBAL, "region": "us-west-2", "bucket": "other-bucket", "acl": ""}
    assert "s3:PutObjectAcl" not in json.dumps(policy(deploy("cn", bundles, {"global": peer})))


def test_with_tags_the_user_may_read_and_write_them(bundles: Path) -> None:
    peer = {"accountId": GLOBAL, "region": "us-west-2", "bucket": "other-bucket", "includeTags": True}
    (statement,) = (s for s in policy(deploy("cn", bundles, {"global": peer}))["Statement"] if s["Sid"] == "Objects")
    assert {"s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging"} <= set(statement["Action"])


def test_the_user_may_encrypt_with_the_key_of_replicas(bundles: Path) -> None:
    key = f"arn:aws-cn:kms:cn-north-1:{CN}:key/1234abcd"
    peer = {"accountId": GLOBAL, "region": "us-west-2", "bucket": "other-bucket"}
    with_key = peer | {"encryption": "aws:kms", "kmsKey": key}
    (statement,) = (s for s in policy(deploy("cn", bundles, {"global": with_key}))["Statement"] if s["Sid"] == "Key")
    assert (statement["Action"], statement["Resource"]) == (["kms:Decrypt", "kms:GenerateDataKey"], key)
    assert statement["Condition"] == {
        "StringEquals": {"kms:ViaService": ["s3.cn-north-1.amazonaws.com", "s3.cn-north-1.amazonaws.com.cn"]}
    }
    assert "kms:" not in json.dumps(policy(deploy("cn", bundles, {"global": peer})))


def test_names_are_those_of_the_guide(cn: Deployment, other: Deployment) -> None:
    for deployment in (cn, other):
        assert deployment.one(POLICY).inputs["name"] == "dth-dual-policy"
        assert deployment.one("aws:iam/user:User").inputs["name"] == "dth-dual-user"
    assert other.one(SECRET).inputs["name"] == "dth-credentials-us-west-2"
    assert cn.one(SECRET).inputs["name"] == "dth-credentials-cn-north-1"


def test_the_key_is_handed_over_into_the_peers_account(cn: Deployment) -> None:
    version = cn.one(VERSION)
    assert cn.provider_of(cn.one(SECRET)).inputs["region"] == "us-west-2"
    assert cn.provider_of(version).inputs["region"] == "us-west-2"
    assert json.loads(version.inputs["secretString"]) == {
        "access_key_id": f"AKIA{CN}",
        "secret_access_key": KEY_SECRET + CN,
        "user_id": f"AIDA{CN}USER",
        "bucket": "dth-dual-dev-cn-north-1",
        "region": "cn-north-1",
    }
    assert is_secret(version.raw["secretString"])
    assert cn.one(SECRET).inputs["recoveryWindowInDays"] == 0


def test_the_worker_suppresses_the_user_whose_key_was_handed_over(both: Deployment) -> None:
    """The echo guard's wiring: this side recognises the user with which the peer writes."""
    handed = {
        v.name.removesuffix("-credentials-value"): json.loads(v.inputs["secretString"])["user_id"]
        for v in both.of(VERSION)
    }
    assert handed == {"dth-dual-global": f"AIDA{CN}USER", "dth-dual-cn": f"AIDA{GLOBAL}USER"}
    assert both.outputs["userIds"] == {"cn": f"AIDA{CN}USER", "global": f"AIDA{GLOBAL}USER"}
    for definition in both.of("aws:ecs/taskDefinition:TaskDefinition"):
        (container,) = json.loads(definition.inputs["containerDefinitions"])
        environment = {e["name"]: e["value"] for e in container["environment"]}
        assert environment["DUALSYNC_OWN_USER_IDS"] == both.outputs["userIds"][environment["DUALSYNC_SIDE"]]
        assert environment["DUALSYNC_PEER_SECRET"] == both.outputs[environment["DUALSYNC_SIDE"]]["secretName"]


def test_a_raised_key_version_replaces_the_key_and_deletes_the_old_one_last(cn: Deployment, bundles: Path) -> None:
    key, raised = (d.one("aws:iam/accessKey:AccessKey") for d in (cn, deploy("cn", bundles, {"keyVersion": 2})))
    assert (key.replacement_trigger, raised.replacement_trigger) == (1, 2)
    assert not key.delete_before_replace
    assert key.inputs == raised.inputs
