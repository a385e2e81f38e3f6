"""Fixtures: one local cloud emulator per test process, in which each test creates its own buckets and queues."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dualsync.runtime.settings import SideName
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud

_numbers = itertools.count()


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with Cloud.start() as running:
        yield running


@dataclass
class Watched:
    """A bucket whose events go to a queue, with the operator's clients of both."""

    side: SideName
    bucket: str
    s3: Any
    sqs: Any
    queue_url: str
    queue_arn: str

    def events(self) -> list[dict[str, Any]]:
        """Return every record in the queue, which is empty afterwards."""
        records: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                records += json.loads(message["Body"]).get("Records", [])
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return records


def queue_policy(queue_arn: str, bucket: str, side: SideName) -> str:
    account = ACCOUNTS[side]
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "s3.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {
                        "ArnEquals": {"aws:SourceArn": f"arn:{account.partition}:s3:::{bucket}"},
                        "StringEquals": {"aws:SourceAccount": account.account_id},
                    },
                }
            ],
        }
    )


@pytest.fixture
def watched(cloud: Cloud) -> Callable[..., Watched]:
    def make(side: SideName = SideName.CN, versioned: bool = False) -> Watched:
        s3, sqs = cloud.client(side, "s3"), cloud.client(side, "sqs")
        bucket = f"watched-{side}-{next(_numbers)}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": ACCOUNTS[side].region})
        if versioned:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": queue_policy(arn, bucket, side)})
        s3.put_bucket_notification_configuration(
            Bucket=bucket,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {"Id": "all", "QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
                ]
            },
        )
        made = Watched(side, bucket, s3, sqs, url, arn)
        assert made.events() == []
        return made

    return make
