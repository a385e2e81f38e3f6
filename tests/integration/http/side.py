"""One side in the local cloud emulator: bucket, queue and ledger, for its users and its worker's real adapters."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.aws.sqs import SqsQueue
from dualsync.runtime.platform import LoopParallel
from dualsync.runtime.ports import Clock, Ledger
from dualsync.runtime.settings import Settings, SideName
from dualsync.runtime.transfer.copier import Copier
from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.handle import Cloud
from tests.integration.sandbox.conftest import queue_policy
from tests.support.moto_server import TABLE

_numbers = itertools.count()
EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
)


PART = 5 << 20
"""Bytes of a part: the least that S3 takes ("Multipart upload limits", User Guide)."""


def seeded_body(content: str) -> bytes:
    """Return a body of a little more than one part."""
    return (content.encode() * PART)[:PART] + b"the end"


@dataclass
class IamUser:
    """An IAM user: the id that events name, and a key. One of them replaces the worker's role."""

    user_id: str
    credential: Credential


class AccountClients:
    """Clients of one account, with the dedicated user and a user for the worker; created once for all tests."""

    def __init__(self, cloud: Cloud, side: SideName) -> None:
        self.cloud = cloud
        self.side = side
        self.s3, self.sqs, self.dynamodb = (cloud.client(side, service) for service in ("s3", "sqs", "dynamodb"))
        self.dedicated, self.worker = self._create_user("dedicated"), self._create_user("worker")

    def _create_user(self, name: str) -> IamUser:
        iam = self.cloud.client(self.side, "iam")
        user_id = iam.create_user(UserName=name)["User"]["UserId"]
        iam.put_user_policy(UserName=name, PolicyName="everything", PolicyDocument=EVERYTHING)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return IamUser(user_id, Credential(key["AccessKeyId"], key["SecretAccessKey"]))


@dataclass
class HttpSide:
    """A new bucket whose events go to a new queue, with a new ledger table."""

    account: AccountClients
    versioning: str = ""
    prefix: str = ""
    carries: bool = True
    """False for a one-way pair's destination, which has a bucket and a user, and neither queue nor ledger."""
    number: int = field(default_factory=lambda: next(_numbers))

    def __post_init__(self) -> None:
        self.cloud, self.name = self.account.cloud, self.account.side
        self.region = ACCOUNTS[self.name].region
        self.bucket = f"scenario-{self.name}-{self.number}"
        self.s3, self.sqs, self.dynamodb = self.account.s3, self.account.sqs, self.account.dynamodb
        self.dedicated, self.worker = self.account.dedicated, self.account.worker
        self.queue_url = self.dead_url = self.table = ""
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": self.region})
        if self.versioning:
            self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": self.versioning})
        if self.carries:
            self._subscribe()

    def _subscribe(self) -> None:
        """Create queue and ledger, and send the bucket's events to the queue."""
        sqs = self.sqs
        self.queue_url = sqs.create_queue(QueueName=self.bucket)["QueueUrl"]
        self.dead_url = sqs.create_queue(QueueName=f"{self.bucket}-dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = queue_policy(arn, self.bucket, self.name)
        sqs.set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": policy})
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {"Id": "all", "QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
                ]
            },
        )
        self.table = self.bucket
        self.dynamodb.create_table(TableName=self.table, **TABLE)

    # -- the runtime's adapters, created inside the loop that uses them

    def bucket_adapter(self, user: IamUser, options: Options | None = None) -> S3Bucket:
        network = Network(self.region, FixedCredentials(user.credential))
        client, path_style = network.bucket_client(self.bucket, self.cloud.endpoint)
        return S3Bucket(client, self.bucket, self.prefix, path_style=path_style, options=options)

    def queue_adapter(self) -> SqsQueue:
        network = Network(self.region, FixedCredentials(self.worker.credential))
        return SqsQueue(network.client("sqs", self.cloud.endpoint), self.queue_url, self.dead_url)

    def ledger_adapter(self) -> DynamoLedger:
        network = Network(self.region, FixedCredentials(self.worker.credential))
        return DynamoLedger(network.client("dynamodb", self.cloud.endpoint), self.table)

    @staticmethod
    def copier(settings: Settings, ledger: Ledger, clock: Clock) -> Copier:
        return Copier(
            threshold=settings.multipart_threshold,
            part_size=settings.part_size,
            giant=settings.giant_threshold,
            part_request_bytes=settings.part_size,
            parallel=LoopParallel(),
            ledger=ledger,
            clock=clock,
            include_metadata=settings.include_metadata,
            keep_class=settings.keep_class,
        )

    # -- requests of users

    def put(self, key: str, content: str, body: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body.encode(), Metadata={"w": content})

    def copy(self, source: str, key: str) -> None:
        self.s3.copy_object(Bucket=self.bucket, Key=key, CopySource={"Bucket": self.bucket, "Key": source})

    def retouch(self, key: str, content: str) -> None:
        self.s3.copy_object(
            Bucket=self.bucket,
            Key=key,
            CopySource={"Bucket": self.bucket, "Key": key},
            Metadata={"w": content},
            MetadataDirective="REPLACE",
        )

    def begin(self, key: str, content: str) -> tuple[str, str]:
        answer = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key, Metadata={"w": content})
        return key, answer["UploadId"]

    def complete(self, key: str, upload: str, content: str) -> None:
        parts = []
        whole = seeded_body(content)
        for number, at in enumerate(range(0, len(whole), PART), 1):
            part = self.s3.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=whole[at : at + PART]
            )
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        self.s3.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    def delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)

    def undelete(self, key: str) -> None:
        """Remove the delete marker that is the key's current version, as a user does to restore an object."""
        markers = self.s3.list_object_versions(Bucket=self.bucket, Prefix=key).get("DeleteMarkers", ())
        for marker in markers:
            if marker["Key"] == key and marker["IsLatest"]:
                self.s3.delete_object(Bucket=self.bucket, Key=key, VersionId=marker["VersionId"])

    # -- state of bucket, ledger and queue

    def shown(self, key: str) -> str:
        """Return the name of the content, `nothing` for no object."""
        found = [k for k in self.listed() if k == key]
        if not found:
            return "nothing"
        return str(self.s3.head_object(Bucket=self.bucket, Key=self.prefix + key)["Metadata"].get("w", "?"))

    def listed(self) -> list[str]:
        """Return the keys below the prefix in S3's order."""
        answer = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix)
        return [row["Key"][len(self.prefix) :] for row in answer.get("Contents", ())]

    def items(self) -> list[dict[str, Any]]:
        """Return all items of the ledger's table."""
        if not self.table:
            return []
        return list(self.dynamodb.scan(TableName=self.table)["Items"])

    def set_entries(self, items: list[dict[str, Any]]) -> None:
        """Replace the table's entries; records stay."""
        for item in self.items():
            if "RecordKind" not in item:
                self.dynamodb.delete_item(TableName=self.table, Key={"ObjectKey": item["ObjectKey"]})
        for item in items:
            if "RecordKind" not in item:
                self.dynamodb.put_item(TableName=self.table, Item=item)

    def lose_events(self) -> None:
        """Remove all messages from the queue."""
        if not self.queue_url:
            return
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
