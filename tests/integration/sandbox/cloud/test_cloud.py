"""Test the local cloud emulator: accounts, refusals, queues, checks of notifications."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud, client
from sandbox.cloud.patches.ssm import parameter_name
from tests.integration.sandbox.conftest import Watched, queue_policy

Make = Callable[..., Watched]


def code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    if answer["Error"]["Code"] == "AccessDenied":
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(answer["Error"]["Code"])


@pytest.mark.parametrize("side", SideName)
def test_each_account_is_in_its_partition(cloud: Cloud, side: SideName) -> None:
    who = cloud.client(side, "sts").get_caller_identity()
    account = ACCOUNTS[side]
    assert (who["Account"], who["Arn"].split(":")[1]) == (account.account_id, account.partition)
    assert who["UserId"].startswith("AIDA")


@pytest.mark.parametrize("side", SideName)
@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_both_partitions_have_machine_images(cloud: Cloud, side: SideName, architecture: str) -> None:
    value = cloud.client(side, "ssm").get_parameter(Name=parameter_name(architecture))["Parameter"]["Value"]
    assert value.startswith("ami-")


@pytest.mark.parametrize(
    ("service", "call", "expected"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("dynamodb", "list_tables", "UnrecognizedClientException"),
    ],
)
def test_unknown_and_inactive_keys_are_refused(cloud: Cloud, service: str, call: str, expected: str) -> None:
    iam = cloud.client(SideName.GLOBAL, "iam")
    name = f"inactive-{service}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    mine = boto3.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region_name="us-west-2",
    )
    getattr(client(mine, service, cloud.endpoint), call)()
    iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert code(getattr(client(mine, service, cloud.endpoint), call)) == expected
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    assert code(getattr(client(mine, service, cloud.endpoint), call)) == expected


def test_an_account_does_not_reach_the_others_bucket(cloud: Cloud, watched: Make) -> None:
    w = watched(SideName.CN)
    assert code(cloud.client(SideName.GLOBAL, "s3").list_objects_v2, Bucket=w.bucket) == "NoSuchBucket"


def test_nothing_is_lost_while_threads_send_and_delete(cloud: Cloud) -> None:
    sqs = cloud.client(SideName.CN, "sqs", connections=16)
    url = sqs.create_queue(QueueName="busy")["QueueUrl"]

    def send(n: int) -> None:
        sqs.send_message(QueueUrl=url, MessageBody=str(n))

    def take(_: int) -> list[str]:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [m["Body"] for m in answer.get("Messages", [])]

    with ThreadPoolExecutor(12) as pool:
        sent, taken = pool.map(send, range(200)), pool.map(take, range(60))
        list(sent)
        bodies = [body for answer in taken for body in answer]
    while more := take(0):
        bodies += more
    assert sorted(bodies, key=int) == [str(n) for n in range(200)]


def test_a_waiting_receive_is_woken_by_a_message(cloud: Cloud) -> None:
    sqs = cloud.client(SideName.CN, "sqs")
    url = sqs.create_queue(QueueName="quiet")["QueueUrl"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        sqs.send_message(QueueUrl=url, MessageBody="now")
        assert waiting.result(timeout=10)["Messages"][0]["Body"] == "now"


def test_the_sixth_receive_goes_to_the_dead_letter_queue(cloud: Cloud) -> None:
    sqs = cloud.client(SideName.CN, "sqs")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
    url = sqs.create_queue(QueueName="poisoned", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "0"})[
        "QueueUrl"
    ]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert [len(sqs.receive_message(QueueUrl=url).get("Messages", [])) for _ in range(6)] == [1, 1, 1, 1, 1, 0]
    assert sqs.receive_message(QueueUrl=dead)["Messages"][0]["Body"] == "poison"


def notify(w: Watched, *entries: dict[str, Any], **more: Any) -> None:
    configuration = {"QueueConfigurations": [{"QueueArn": w.queue_arn, **entry} for entry in entries]}
    w.s3.put_bucket_notification_configuration(Bucket=w.bucket, NotificationConfiguration=configuration, **more)


def prefixed(prefix: str) -> dict[str, Any]:
    return {
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
    }


def test_overlapping_notifications_are_refused(watched: Make) -> None:
    w = watched()
    notify(w, prefixed("a/"), prefixed("b/"), {"Events": ["s3:ObjectRemoved:*"]})
    with pytest.raises(ClientError, match="Configurations overlap"):
        notify(w, prefixed("a/"), prefixed("a/b/"))
    with pytest.raises(ClientError, match="Configurations overlap"):
        notify(w, prefixed("a/"), {"Events": ["s3:ObjectCreated:Put"]})


def test_a_destination_that_does_not_let_s3_send_is_refused(watched: Make) -> None:
    w = watched()
    entry = {"Events": ["s3:ObjectCreated:*"]}
    other = queue_policy(w.queue_arn, "another-bucket", w.side)
    w.sqs.set_queue_attributes(QueueUrl=w.queue_url, Attributes={"Policy": other})
    with pytest.raises(ClientError, match="Unable to validate"):
        notify(w, entry)
    notify(w, entry, SkipDestinationValidation=True)
    w.sqs.delete_queue(QueueUrl=w.queue_url)
    with pytest.raises(ClientError, match="Unable to validate"):
        notify(w, entry)


@pytest.mark.parametrize("side", SideName)
def test_the_default_vpc_has_internet_egress(cloud: Cloud, side: SideName) -> None:
    (table,) = cloud.client(side, "ec2").describe_route_tables()["RouteTables"]
    assert [r["GatewayId"][:4] for r in table["Routes"] if r["DestinationCidrBlock"] == "0.0.0.0/0"] == ["igw-"]


def test_a_bucket_policys_conditions_are_evaluated(watched: Make) -> None:
    w = watched()

    def policy(condition: dict[str, Any]) -> str:
        resource = f"arn:{ACCOUNTS[w.side].partition}:s3:::{w.bucket}/*"
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resource, "Condition": condition}
        return json.dumps({"Version": "2012-10-17", "Statement": [deny]})

    w.s3.put_bucket_policy(Bucket=w.bucket, Policy=policy({"Bool": {"aws:SecureTransport": "false"}}))
    w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"x")
    w.s3.put_bucket_policy(Bucket=w.bucket, Policy=policy({}))
    assert code(w.s3.put_object, Bucket=w.bucket, Key="a", Body=b"x") == "AccessDenied"


def test_a_queue_keeps_its_policy_when_another_attribute_is_set(cloud: Cloud) -> None:
    sqs = cloud.client(SideName.CN, "sqs")
    url = sqs.create_queue(QueueName="keeps-its-policy")["QueueUrl"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "33"})
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(kept["Policy"])["Statement"] == [statement]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert "Policy" not in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
