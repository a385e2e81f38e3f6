"""What the program asks the cloud before it registers a side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from components.inspection import BucketFacts, from_result, inspect, to_result
from tests.infrastructure.recorder import Call, Deployment, config_of, deploy

SIDE_TYPES = {"aws:sqs/queue:Queue", "aws:iam/user:User", "aws:dynamodb/table:Table"}


def facts(**changes: Any) -> Call:
    found = to_result(BucketFacts(**changes))

    def call(token: str, args: dict[str, Any]) -> dict[str, Any] | None:
        return found if token == "dualsync:index:inspectBucket" and args["region"] == "cn-north-1" else None

    return call


def test_both_buckets_are_looked_at_through_their_own_account(cn: Deployment) -> None:
    looks = [(args, provider) for token, args, provider in cn.calls if token == "dualsync:index:inspectBucket"]
    assert {(a["bucket"], a["accountId"], p.split("::")[-2]) for a, p in looks} == {
        ("dth-dual-dev-cn-north-1", "111122223333", "dth-dual-cn-sync"),
        ("dth-dual-dev-us-west-2", "444455556666", "dth-dual-global-sync"),
    }


def test_a_missing_bucket_ends_the_preview(bundles: Path) -> None:
    message = r"^cn.bucket='dth-dual-dev-cn-north-1': does not exist; create it, or mend its name"
    with pytest.raises(Exception, match=message):
        deploy("cn", bundles, call=facts(problem="does not exist; create it, or mend its name: buckets are adopted"))


def test_lifecycle_rules_that_delete_are_named(bundles: Path) -> None:
    (warning,) = deploy("cn", bundles, call=facts(expiring_rules=("tmp-30-days",))).warnings
    assert "lifecycle rule 'tmp-30-days' deletes objects here only" in warning
    changes = {"onLifecycleExpiry": "propagate"}
    (warning,) = deploy("cn", bundles, changes, facts(expiring_rules=("tmp-30-days",))).warnings
    assert "deletes the objects on the other side too" in warning


def test_an_acl_that_the_bucket_refuses(bundles: Path) -> None:
    peer = json.loads(config_of("cn")["dualsync:global"]) | {"acl": "public-read"}
    with pytest.raises(Exception, match=r"^global.acl='public-read': is refused by bucket dth-dual-dev-cn-north-1"):
        deploy("cn", bundles, {"global": peer}, facts(ownership="BucketOwnerEnforced"))


def test_the_finders_image_in_china(bundles: Path) -> None:
    with pytest.raises(Exception, match=r"^cn.finderImage: not given, and China's regions have no public registry"):
        deploy("cn", bundles, {"finderImage": ""})


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-west-2")
        client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        yield client


def look(s3: Any, **changes: Any) -> BucketFacts:
    asked = {"bucket": "bucket", "account_id": DEFAULT_ACCOUNT_ID, "region": "us-west-2", **changes}
    return inspect(s3, **asked)


def test_a_usable_bucket(s3: Any) -> None:
    assert look(s3) == BucketFacts()


def test_facts_of_a_bucket(s3: Any) -> None:
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_ownership_controls(
        Bucket="bucket", OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    rules: list[dict[str, Any]] = [
        {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}},
        {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}},
        {"ID": "elsewhere", "Status": "Enabled", "Filter": {"Prefix": "z/"}, "Expiration": {"Days": 3}},
        {
            "ID": "uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration={"Rules": rules})
    found = look(s3, prefix="a/")
    assert found == BucketFacts(versioning="Enabled", ownership="BucketOwnerEnforced", expiring_rules=("all",))
    assert from_result(to_result(found)) == found


def test_unusable_buckets(s3: Any) -> None:
    assert look(s3, bucket="nothing").problem.startswith("does not exist; create it")
    assert look(s3, region="eu-west-1").problem == "is in us-west-2, not in eu-west-1; mend region"
    with Stubber(s3) as stub:  # moto lets every account in
        stub.add_client_error("head_bucket", "403", http_status_code=403)
        assert look(s3).problem.startswith(f"is not account {DEFAULT_ACCOUNT_ID}'s, or this deployment may not see it")
