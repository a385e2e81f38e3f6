"""Test that moto still lacks what each patch module adds. After a failure, the patch is no longer needed.

The patches are applied in the emulator's process only, so moto is unpatched here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from sandbox.cloud import patches

REGION = "us-west-2"
Gap = Callable[[], object]


def client(service: str) -> Any:
    made: Any = boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")  # type: ignore[call-overload]
    return made


def bucket(versioned: str = "") -> Any:
    s3 = client("s3")
    s3.create_bucket(Bucket="gap", CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        s3.put_bucket_versioning(Bucket="gap", VersioningConfiguration={"Status": versioned})
    return s3


def watched(s3: Any, **filters: str) -> Callable[[], list[Any]]:
    """Send the bucket's events to a queue and return a function that reads them."""
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="gap")["QueueUrl"]
    rules = [{"Name": name, "Value": value} for name, value in filters.items()]
    entry = {
        "QueueArn": f"arn:aws:sqs:{REGION}:123456789012:gap",
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        **({"Filter": {"Key": {"FilterRules": rules}}} if rules else {}),
    }
    s3.put_bucket_notification_configuration(Bucket="gap", NotificationConfiguration={"QueueConfigurations": [entry]})

    def read() -> list[Any]:
        found = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [record for m in messages for record in json.loads(m["Body"]).get("Records", ())]
        return found

    return read


def upload(s3: Any, *numbers: int) -> dict[str, Any]:
    named = {
        "Bucket": "gap",
        "Key": "parts",
        "UploadId": s3.create_multipart_upload(Bucket="gap", Key="parts")["UploadId"],
    }
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(**named, PartNumber=n, Body=bytes([n]) * (5 << 20))["ETag"]}
        for n in numbers
    ]
    return {**named, "MultipartUpload": {"Parts": parts}}


def refuses(code: str, call: Callable[..., Any], **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as e:
        return str(e.response["Error"]["Code"]) == code
    except Exception:
        return False
    return False


def event_identity() -> bool:
    s3 = bucket()
    read = watched(s3)
    s3.put_object(Bucket="gap", Key="a/b", Body=b"x")
    (event,) = read()
    return "sequencer" in event["s3"]["object"] and "EXAMPLE" not in event["userIdentity"]["principalId"]


def event_of_a_removed_marker() -> bool:
    s3 = bucket("Enabled")
    s3.put_object(Bucket="gap", Key="a", Body=b"x")
    marker = s3.delete_object(Bucket="gap", Key="a")["VersionId"]
    read = watched(s3)
    s3.delete_object(Bucket="gap", Key="a", VersionId=marker)
    events = read()
    return [e["eventName"] for e in events] == ["ObjectRemoved:Delete"] and "versionId" in events[0]["s3"]["object"]


def raw_filters_match_nothing() -> bool:
    s3 = bucket()
    read = watched(s3, prefix="a=")
    s3.put_object(Bucket="gap", Key="a=b", Body=b"x")
    return read() == []


def encoded_filters_match() -> bool:
    s3 = bucket()
    read = watched(s3, prefix="a%3D")
    s3.put_object(Bucket="gap", Key="a=b", Body=b"x")
    return len(read()) == 1


def destinations_are_validated() -> bool:
    entry = {"QueueArn": f"arn:aws:sqs:{REGION}:123456789012:absent", "Events": ["s3:ObjectCreated:*"]}
    put = bucket().put_bucket_notification_configuration
    return refuses("InvalidArgument", put, Bucket="gap", NotificationConfiguration={"QueueConfigurations": [entry]})


def completed_uploads_are_one_event() -> bool:
    s3 = bucket()
    read = watched(s3)
    s3.complete_multipart_upload(**upload(s3, 1))
    return len(read()) == 1


def parts_count_from_one() -> bool:
    s3 = bucket()
    s3.complete_multipart_upload(**upload(s3, 2, 5))
    try:
        return bool(s3.head_object(Bucket="gap", Key="parts", PartNumber=1)["PartsCount"] == 2)
    except Exception:
        return False


def completion_is_conditional() -> bool:
    s3 = bucket()
    s3.put_object(Bucket="gap", Key="parts", Body=b"x")
    return refuses("PreconditionFailed", s3.complete_multipart_upload, **upload(s3, 1), IfMatch='"other"')


def wrong_checksums_are_refused() -> bool:
    return refuses("BadDigest", bucket().put_object, Bucket="gap", Key="a", Body=b"x", ChecksumCRC32="AAAAAA==")


def suspended_buckets_keep_versions() -> bool:
    s3 = bucket("Enabled")
    s3.put_object(Bucket="gap", Key="a", Body=b"1")
    s3.put_bucket_versioning(Bucket="gap", VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket="gap", Key="a", Body=b"2")
    return len(s3.list_object_versions(Bucket="gap")["Versions"]) == 2


def bucket_policies_have_conditions() -> bool:
    s3 = bucket()
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::gap/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(Bucket="gap", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    try:
        s3.put_object(Bucket="gap", Key="a", Body=b"x")
    except ClientError:
        return False
    return True


def versions_are_listed_encoded() -> bool:
    s3 = bucket("Enabled")
    s3.put_object(Bucket="gap", Key="a b", Body=b"x")
    return bool(s3.list_object_versions(Bucket="gap").get("EncodingType") == "url")


def messages_have_an_alphabet() -> bool:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="gap")["QueueUrl"]
    return refuses("InvalidMessageContents", sqs.send_message, QueueUrl=url, MessageBody="a\uffff")


def spent_handles_are_invalid_values() -> bool:
    sqs = client("sqs")
    url = sqs.create_queue(QueueName="gap")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    change = {"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 9}
    return refuses("InvalidParameterValue", sqs.change_message_visibility, **change)


def documents_have_an_alphabet() -> bool:
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::数据/*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, ensure_ascii=False)
    return refuses("ValidationError", client("iam").create_policy, PolicyName="gap", PolicyDocument=text)


def users_have_upper_case_ids() -> bool:
    return bool(client("iam").create_user(UserName="gap")["User"]["UserId"].startswith("AIDA"))


def audiences_can_be_changed() -> bool:
    iam = client("iam")
    made = iam.create_open_id_connect_provider(Url="https://issuer.example/gap", ClientIDList=["one"])
    named = {"OpenIDConnectProviderArn": made["OpenIDConnectProviderArn"], "ClientID": "two"}
    try:
        iam.add_client_id_to_open_id_connect_provider(**named)
    except NotImplementedError:
        return False
    return True


def provisioned_tables_throttle() -> bool:
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="gap",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    )
    items = [{"Put": {"TableName": "gap", "Item": {"k": {"S": f"{n}"}}}} for n in range(90)]
    return refuses("TransactionCanceledException", dynamodb.transact_write_items, TransactItems=items)


def groups_have_instance_refreshes() -> bool:
    try:
        client("autoscaling").describe_instance_refreshes(AutoScalingGroupName="gap")
    except NotImplementedError:
        return False
    except ClientError as e:
        return e.response["Error"]["Code"] == "ValidationError"
    return True


def uploads_give_way() -> bool:
    """Complete an upload that was started before the key was written and deleted."""
    s3 = bucket()
    upload = s3.create_multipart_upload(Bucket="gap", Key="k")["UploadId"]
    s3.put_object(Bucket="gap", Key="k", Body=b"later")
    s3.delete_object(Bucket="gap", Key="k")
    part = s3.upload_part(Bucket="gap", Key="k", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="gap", Key="k", UploadId=upload, MultipartUpload=parts)
    return "Contents" not in s3.list_objects_v2(Bucket="gap")


def queries_are_saved() -> bool:
    try:
        client("logs").put_query_definition(name="gap", queryString="fields @message")
    except (NotImplementedError, ClientError):
        return False
    return True


def china_has_images() -> bool:
    ssm: Any = boto3.client("ssm", region_name="cn-north-1", aws_access_key_id="x", aws_secret_access_key="y")
    name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    return not refuses("ParameterNotFound", ssm.get_parameter, Name=name)


def default_vpcs_have_internet_egress() -> bool:
    tables = client("ec2").describe_route_tables()["RouteTables"]
    return any(route.get("GatewayId", "").startswith("igw-") for table in tables for route in table["Routes"])


def tokens_are_verified() -> bool:
    """Exchange an invalid token for a session of a role that does not exist."""
    return refuses(
        "InvalidIdentityToken",
        client("sts").assume_role_with_web_identity,
        RoleArn="arn:aws:iam::123456789012:role/none",
        RoleSessionName="none",
        WebIdentityToken="none",
    )


GAPS: dict[str, tuple[Gap, ...]] = {
    "autoscaling": (groups_have_instance_refreshes,),
    "dynamodb": (provisioned_tables_throttle,),
    "ec2": (default_vpcs_have_internet_egress,),
    "federation": (tokens_are_verified,),
    "iam": (audiences_can_be_changed, documents_have_an_alphabet, users_have_upper_case_ids),
    "logs": (queries_are_saved,),
    "s3_bucket_policy": (bucket_policies_have_conditions,),
    "s3_checksums": (wrong_checksums_are_refused,),
    "s3_conditions": (completion_is_conditional,),
    "s3_events": (event_identity, event_of_a_removed_marker),
    "s3_keys": (versions_are_listed_encoded,),
    "s3_multipart": (completed_uploads_are_one_event, parts_count_from_one, uploads_give_way),
    "s3_notifications": (raw_filters_match_nothing, encoded_filters_match, destinations_are_validated),
    "s3_versioning": (suspended_buckets_keep_versions,),
    "sqs": (messages_have_an_alphabet, spent_handles_are_invalid_values),
    "ssm": (china_has_images,),
}
"""Behaviour of AWS that moto lacks, per patch module. Each function returns whether moto has it."""


def test_every_patch_names_its_gaps() -> None:
    assert set(GAPS) == {module.__name__.rpartition(".")[2] for module in patches.ALL}


@pytest.mark.parametrize("gap", [gap for gaps in GAPS.values() for gap in gaps], ids=lambda gap: gap.__name__)
def test_moto_still_lacks(gap: Gap) -> None:
    with mock_aws():
        assert not gap(), "moto has caught up: remove this part of the patch, keep its test"


def test_moto_still_checks_no_signature() -> None:
    """moto-server would refuse the made-up key otherwise (`sandbox.cloud.signatures`)."""
    with mock_aws():
        assert client("sts").get_caller_identity()["Account"] == "123456789012"
