"""Test the emulated S3 event records against "Event message structure" (Amazon S3 User Guide)."""

from __future__ import annotations

import json
from collections.abc import Callable

import boto3
import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud, client
from tests.integration.sandbox.conftest import Watched

Make = Callable[..., Watched]


@pytest.mark.parametrize("side", SideName)
def test_a_put_by_a_user_names_the_users_id(cloud: Cloud, watched: Make, side: SideName) -> None:
    w = watched(side)
    user = cloud.client(side, "iam").create_user(UserName=f"writer-{w.bucket}")["User"]
    key = cloud.client(side, "iam").create_access_key(UserName=user["UserName"])["AccessKey"]
    session = boto3.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region_name=ACCOUNTS[side].region,
    )
    client(session, "s3", cloud.endpoint).put_object(Bucket=w.bucket, Key="a", Body=b"12345")
    (event,) = w.events()
    assert user["UserId"].startswith("AIDA")
    assert event["userIdentity"] == {"principalId": f"AWS:{user['UserId']}"}
    assert event["eventName"] == "ObjectCreated:Put"
    assert event["awsRegion"] == ACCOUNTS[side].region
    assert event["s3"]["bucket"]["arn"] == f"arn:{ACCOUNTS[side].partition}:s3:::{w.bucket}"
    assert event["s3"]["object"]["size"] == 5
    assert "versionId" not in event["s3"]["object"]
    assert client(session, "sts", cloud.endpoint).get_caller_identity()["UserId"] == user["UserId"]


def test_a_put_by_a_role_names_role_and_session(cloud: Cloud, watched: Make) -> None:
    w = watched(SideName.GLOBAL)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = cloud.client(w.side, "iam").create_role(RoleName=f"r-{w.bucket}", AssumeRolePolicyDocument=trust)["Role"]
    given = cloud.client(w.side, "sts").assume_role(RoleArn=role["Arn"], RoleSessionName="i-0123")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=ACCOUNTS[w.side].region,
    )
    client(session, "s3", cloud.endpoint).put_object(Bucket=w.bucket, Key="a", Body=b"")
    (event,) = w.events()
    assert role["RoleId"].startswith("AROA")
    assert event["userIdentity"] == {"principalId": f"AWS:{role['RoleId']}:i-0123"}


@pytest.mark.parametrize(
    ("key", "encoded"),
    [("red flower.jpg", "red+flower.jpg"), ("a/b+c", "a/b%2Bc"), ("ü/1%", "%C3%BC/1%25"), ("a//b/", "a//b/")],
)
def test_keys_are_encoded_as_forms_are_and_keep_their_slashes(watched: Make, key: str, encoded: str) -> None:
    w = watched()
    w.s3.put_object(Bucket=w.bucket, Key=key, Body=b"x")
    (event,) = w.events()
    assert event["s3"]["object"]["key"] == encoded


def test_sequencers_rise_over_puts_and_deletions_of_a_key(watched: Make) -> None:
    w = watched()
    for _ in range(3):
        w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"x")
        w.s3.delete_object(Bucket=w.bucket, Key="a")
    sequencers = [event["s3"]["object"]["sequencer"] for event in w.events()]
    assert len(sequencers) == 6
    assert sorted(sequencers) == sequencers
    assert len(set(sequencers)) == 6
    assert all(int(s, 16) for s in sequencers)


def test_a_deletion_without_versions_has_neither_etag_nor_version(watched: Make) -> None:
    w = watched()
    w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"x")
    w.s3.delete_object(Bucket=w.bucket, Key="a")
    w.s3.delete_object(Bucket=w.bucket, Key="never was")
    _, event = w.events()
    assert event["eventName"] == "ObjectRemoved:Delete"
    assert set(event["s3"]["object"]) == {"key", "sequencer"}


def test_delete_markers_and_removed_versions_send_events(watched: Make) -> None:
    w = watched(versioned=True)
    version = w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"x")["VersionId"]
    marker = w.s3.delete_object(Bucket=w.bucket, Key="a")
    created, marked = w.events()
    assert created["s3"]["object"]["versionId"] == version
    assert marked["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
    assert marked["s3"]["object"]["versionId"] == marker["VersionId"]
    w.s3.delete_object(Bucket=w.bucket, Key="a", VersionId=version)
    (gone,) = w.events()
    assert (gone["eventName"], gone["s3"]["object"]["versionId"]) == ("ObjectRemoved:Delete", version)


def test_the_removal_of_a_delete_marker_sends_an_event(watched: Make) -> None:
    w = watched(versioned=True)
    w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"x")
    marker = w.s3.delete_object(Bucket=w.bucket, Key="a")["VersionId"]
    w.events()
    w.s3.delete_object(Bucket=w.bucket, Key="a", VersionId=marker)
    (event,) = w.events()
    assert event["eventName"] == "ObjectRemoved:Delete"
    assert event["s3"]["object"]["versionId"] == marker
    assert set(event["s3"]["object"]) == {"key", "versionId", "sequencer"}
    assert w.s3.get_object(Bucket=w.bucket, Key="a")["Body"].read() == b"x"
    w.s3.delete_object(Bucket=w.bucket, Key="a", VersionId=marker)
    assert w.events() == []


def test_deleting_a_missing_key_of_a_versioned_bucket_makes_a_marker(watched: Make) -> None:
    w = watched(versioned=True)
    assert w.s3.delete_object(Bucket=w.bucket, Key="a")["DeleteMarker"]
    (event,) = w.events()
    assert event["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
    assert w.s3.list_object_versions(Bucket=w.bucket)["DeleteMarkers"][0]["Key"] == "a"


@pytest.mark.parametrize("versioned", [False, True])
def test_delete_objects_sends_one_event_per_key(watched: Make, versioned: bool) -> None:
    w = watched(versioned=versioned)
    for key in "ab":
        w.s3.put_object(Bucket=w.bucket, Key=key, Body=b"x")
    w.events()
    w.s3.delete_objects(Bucket=w.bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b"}]})
    name = "ObjectRemoved:DeleteMarkerCreated" if versioned else "ObjectRemoved:Delete"
    assert [(e["eventName"], e["s3"]["object"]["key"]) for e in w.events()] == [(name, "a"), (name, "b")]


def test_a_completed_upload_sends_one_event_and_keeps_its_metadata(watched: Make) -> None:
    w = watched()
    upload = w.s3.create_multipart_upload(Bucket=w.bucket, Key="a", Metadata={"m": "1"})["UploadId"]
    part = w.s3.upload_part(Bucket=w.bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"xyz")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    w.s3.complete_multipart_upload(Bucket=w.bucket, Key="a", UploadId=upload, MultipartUpload=parts)
    (event,) = w.events()
    assert event["eventName"] == "ObjectCreated:CompleteMultipartUpload"
    assert event["s3"]["object"]["eTag"].endswith("-1")
    assert w.s3.head_object(Bucket=w.bucket, Key="a")["Metadata"] == {"m": "1"}


def test_a_copy_sends_one_event(watched: Make) -> None:
    w = watched()
    w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"x")
    w.s3.copy_object(Bucket=w.bucket, Key="b", CopySource={"Bucket": w.bucket, "Key": "a"})
    assert [e["eventName"] for e in w.events()] == ["ObjectCreated:Put", "ObjectCreated:Copy"]
