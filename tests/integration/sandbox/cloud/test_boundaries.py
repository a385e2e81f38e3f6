"""Test emulated buckets with suspended versioning, and the checks of owner, region and partition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud
from tests.integration.sandbox.conftest import Watched

Make = Callable[..., Watched]


@pytest.fixture
def suspended(watched: Make) -> Watched:
    w = watched(versioned=True)
    w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"kept")
    w.s3.put_bucket_versioning(Bucket=w.bucket, VersioningConfiguration={"Status": "Suspended"})
    w.events()
    return w


def versions(w: Watched) -> list[str]:
    listed = w.s3.list_object_versions(Bucket=w.bucket)
    return sorted("null" if v["VersionId"] == "null" else "id" for v in listed.get("Versions", ())) + sorted(
        "null marker" if m["VersionId"] == "null" else "marker" for m in listed.get("DeleteMarkers", ())
    )


def test_a_put_replaces_the_null_version(suspended: Watched) -> None:
    w = suspended
    for content in (b"1", b"22"):
        w.s3.put_object(Bucket=w.bucket, Key="a", Body=content)
    assert versions(w) == ["id", "null"]
    assert w.s3.get_object(Bucket=w.bucket, Key="a")["Body"].read() == b"22"
    assert [(e["eventName"], "versionId" in e["s3"]["object"]) for e in w.events()] == [
        ("ObjectCreated:Put", False)
    ] * 2


def test_a_delete_puts_a_null_marker_and_keeps_earlier_versions(suspended: Watched) -> None:
    w = suspended
    w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"1")
    w.s3.delete_object(Bucket=w.bucket, Key="a")
    assert versions(w) == ["id", "null marker"]
    assert [e["eventName"] for e in w.events()] == ["ObjectCreated:Put", "ObjectRemoved:DeleteMarkerCreated"]
    w.s3.delete_object(Bucket=w.bucket, Key="a", VersionId="null")
    assert w.s3.get_object(Bucket=w.bucket, Key="a")["Body"].read() == b"kept"


def test_deleting_a_missing_key_puts_a_null_marker(suspended: Watched) -> None:
    w = suspended
    w.s3.delete_object(Bucket=w.bucket, Key="b")
    assert versions(w) == ["id", "null marker"]


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_another_owner_than_expected_is_refused(watched: Make) -> None:
    w = watched(SideName.CN)
    w.s3.head_bucket(Bucket=w.bucket, ExpectedBucketOwner=ACCOUNTS[SideName.CN].account_id)
    other = ACCOUNTS[SideName.GLOBAL].account_id
    assert refused(w.s3.list_objects_v2, Bucket=w.bucket, ExpectedBucketOwner=other) == (403, "AccessDenied")
    assert refused(w.s3.head_bucket, Bucket=w.bucket, ExpectedBucketOwner=other)[0] == 403


def test_another_partition_has_no_such_bucket(cloud: Cloud, watched: Make) -> None:
    w = watched(SideName.CN)
    assert refused(cloud.client(SideName.GLOBAL, "s3").list_objects_v2, Bucket=w.bucket) == (404, "NoSuchBucket")


def test_a_request_to_another_region_is_answered_with_the_buckets_region(cloud: Cloud, watched: Make) -> None:
    w = watched(SideName.GLOBAL)
    account = ACCOUNTS[SideName.GLOBAL]
    session = boto3.Session(account.access_key_id, account.secret_access_key, region_name="eu-west-1")
    elsewhere = session.client("s3", endpoint_url=cloud.endpoint, config=Config(s3={"addressing_style": "path"}))
    # The SDK follows the region in the answer.
    assert elsewhere.head_bucket(Bucket=w.bucket)["BucketRegion"] == "us-west-2"
    assert elsewhere.list_objects_v2(Bucket=w.bucket)["KeyCount"] == 0
