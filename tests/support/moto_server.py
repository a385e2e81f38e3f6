"""Provide a moto server on loopback in this process, and its resources for a test."""

from __future__ import annotations

import itertools
import json
import logging
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import boto3
import moto.sqs.models
import pytest
from moto.server import ThreadedMotoServer

from dualsync.runtime.aws.boto3_bridge import client_config
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.dynamodb.items import KEY, RECORD_KIND, RECORD_TIME, RECORDS_INDEX
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.aws.secrets_manager import PeerSecrets
from dualsync.runtime.aws.sqs import REASON_ATTRIBUTE, SqsQueue
from dualsync.runtime.aws.sts import StsIdentity
from tests.contract.adapters import VISIBILITY_SECONDS

REGION = "cn-north-1"
_numbers = itertools.count(time.time_ns())
"""Numbers for names, which start at the current time: a server may have resources of an earlier or parallel run."""


def next_number() -> int:
    """Return a number for a name that no other test uses."""
    return next(_numbers)


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class HttpServer(Protocol):
    """A server of the emulated services, as an `AdapterWorld` needs it."""

    url: str
    """Its address."""

    @property
    def credential(self) -> Credential:
        """Return the key with which the worlds sign."""

    @property
    def offset(self) -> float:
        """Return the number of seconds by which the queues' clock is ahead."""

    @offset.setter
    def offset(self, seconds: float) -> None: ...

    def client(self, service: Any) -> Any:
        """Return a boto3 client."""

    def make_bucket(self, *, versioned: bool = False) -> str:
        """Create a bucket and return its name."""

    def make_queue(self) -> str:
        """Create a queue and return its address."""

    def make_table(self) -> str:
        """Create a ledger's table and return its name."""


class UsEast1Server(ABC):
    """A server of us-east-1: its resources for a test, and its queues' clock."""

    def __init__(self, clock: Path | None) -> None:
        """Take the file with the seconds by which the server's clock is ahead; None if the server reads no file."""
        self._clock = clock
        self._offset = 0.0

    @property
    def offset(self) -> float:
        """Return the number of seconds by which the queues' clock is ahead."""
        return self._offset

    @offset.setter
    def offset(self, seconds: float) -> None:
        if self._clock is None:
            pytest.skip("the clock of this server can not be put forward")
        self._offset = seconds
        partial = self._clock.with_suffix(".new")
        partial.write_text(str(seconds))
        partial.rename(self._clock)

    @abstractmethod
    def client(self, service: Any) -> Any:
        """Return a boto3 client."""

    def make_bucket(self, *, versioned: bool = False) -> str:
        """Create a bucket and return its name."""
        name = f"bucket-{next_number()}"
        self.client("s3").create_bucket(Bucket=name)
        if versioned:
            self.client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def make_queue(self) -> str:
        """Create a queue and return its address."""
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        answer = self.client("sqs").create_queue(QueueName=f"queue-{next_number()}", Attributes=attributes)
        return str(answer["QueueUrl"])

    def make_table(self) -> str:
        """Create a ledger's table and return its name."""
        name = f"table-{next_number()}"
        self.client("dynamodb").create_table(TableName=name, **TABLE)
        return name


class Server:
    """moto with a queue clock that can be put forward. moto's own clock function searches the call stack per call."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self.offset = 0.0
        self.credential = Credential("testing", "testing")
        self._clients: dict[tuple[str, str], Any] = {}
        models: Any = moto.sqs.models
        models.unix_time_millis = lambda *_: (time.time() + self.offset) * 1000
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def client(self, service: Any, region: str = REGION) -> Any:
        """Return a boto3 client of this server with a key of moto's default account."""
        if (service, region) not in self._clients:
            session = boto3.Session("testing", "testing", region_name=region)
            self._clients[service, region] = session.client(
                service, endpoint_url=self.url, config=client_config(16, "path")
            )
        return self._clients[service, region]

    def make_bucket(self, *, versioned: bool = False) -> str:
        name = f"bucket-{next(_numbers)}"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def make_queue(self) -> str:
        attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        answer = self.client("sqs").create_queue(QueueName=f"queue-{next(_numbers)}", Attributes=attributes)
        return str(answer["QueueUrl"])

    def make_table(self) -> str:
        name = f"table-{next(_numbers)}"
        self.client("dynamodb").create_table(TableName=name, **TABLE)
        return name

    def make_secret(self, values: dict[str, str] | str) -> str:
        name = f"secret-{next(_numbers)}"
        text = values if isinstance(values, str) else json.dumps(values)
        self.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return name

    def stop(self) -> None:
        self._server.stop()


TABLE: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": KEY, "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": KEY, "AttributeType": "S"},
        {"AttributeName": RECORD_KIND, "AttributeType": "S"},
        {"AttributeName": RECORD_TIME, "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": RECORDS_INDEX,
            "KeySchema": [
                {"AttributeName": RECORD_KIND, "KeyType": "HASH"},
                {"AttributeName": RECORD_TIME, "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


class ServerWorld:
    """An `AdapterWorld` over the real adapters and a server."""

    def __init__(self, server: HttpServer, name: str = "moto", region: str = REGION) -> None:
        self.server = server
        self.name = name
        self._region = region
        self.network = Network(region, FixedCredentials(server.credential))
        self._secret = f"secret-{next(_numbers)}"
        self._users: dict[str, str] = {}
        self._plain = ""
        self._versioned = ""
        self._dead_url = server.make_queue()
        self.queue = SqsQueue(self.network.client("sqs", server.url), server.make_queue(), self._dead_url)
        self.ledger = DynamoLedger(self.network.client("dynamodb", server.url), server.make_table())

    def bucket(self, prefix: str = "") -> S3Bucket:
        self._plain = self._plain or self.server.make_bucket()
        return self._bucket(self._plain, prefix)

    def versioned(self) -> S3Bucket:
        self._versioned = self._versioned or self.server.make_bucket(versioned=True)
        return self._bucket(self._versioned)

    def _bucket(self, name: str, prefix: str = "") -> S3Bucket:
        caller, path_style = self.network.bucket_client(name, self.server.url)
        return S3Bucket(caller, name, prefix, path_style=path_style, options=Options(restores=True))

    def remove_version(self, key: str, version_id: str) -> None:
        self.server.client("s3").delete_object(Bucket=self._versioned, Key=key, VersionId=version_id)

    def archive(self, key: str) -> None:
        source = {"Bucket": self._plain, "Key": key}
        self.server.client("s3").copy_object(Bucket=self._plain, Key=key, CopySource=source, StorageClass="GLACIER")

    def thaw(self, key: str) -> None:
        self.server.client("s3").restore_object(Bucket=self._plain, Key=key, RestoreRequest={"Days": 1})

    def advance(self, seconds: float) -> None:
        self.server.offset += seconds

    def dead_letters(self) -> Sequence[tuple[str, str]]:
        answer = self.server.client("sqs").receive_message(
            QueueUrl=self._dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        return [
            (item["Body"], item["MessageAttributes"][REASON_ATTRIBUTE]["StringValue"])
            for item in answer.get("Messages", ())
        ]

    def secrets(self) -> PeerSecrets:
        return PeerSecrets(self.network.client("secretsmanager", self.server.url), self._secret)

    def put_secret(self, text: str) -> None:
        client = self.server.client("secretsmanager")
        if any(secret["Name"] == self._secret for secret in client.list_secrets()["SecretList"]):
            client.put_secret_value(SecretId=self._secret, SecretString=text)
        else:
            client.create_secret(Name=self._secret, SecretString=text)

    def delete_secret(self) -> None:
        self.server.client("secretsmanager").delete_secret(SecretId=self._secret, RecoveryWindowInDays=7)

    def make_user(self) -> tuple[str, str, str]:
        name = f"user-{next(_numbers)}"
        iam = self.server.client("iam")
        user_id = iam.create_user(UserName=name)["User"]["UserId"]
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self._users[key["AccessKeyId"]] = name
        return str(user_id), str(key["AccessKeyId"]), str(key["SecretAccessKey"])

    def delete_key(self, access_key_id: str) -> None:
        self.server.client("iam").delete_access_key(UserName=self._users[access_key_id], AccessKeyId=access_key_id)

    def identity(self, access_key_id: str, secret_access_key: str) -> StsIdentity:
        network = Network(self._region, FixedCredentials(Credential(access_key_id, secret_access_key)))
        return StsIdentity(network.client("sts", self.server.url))

    def close(self) -> None:
        pass
