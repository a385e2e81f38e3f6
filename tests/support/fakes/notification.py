"""Provide event records as S3 sends them: the JSON of "Event message structure", Amazon S3 User Guide."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote_plus

TEST_EVENT = json.dumps(
    {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-10-13T15:57:02.089Z",
        "Bucket": "amzn-s3-demo-bucket",
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
    }
)
"""The message that S3 sends when a notification configuration is stored."""


@dataclass(frozen=True, slots=True)
class Event:
    """One record. `name` is without `s3:`; `etag` and `size` are of creations, `version_id` of versioned buckets."""

    name: str
    time: float
    principal: str
    bucket: str
    region: str
    key: str
    sequencer: str
    etag: str = ""
    size: int = 0
    version_id: str = ""


def body(*events: Event) -> str:
    """Return the message body that contains these events."""
    return f'{{"Records":[{",".join(map(_record, events))}]}}'


@lru_cache(maxsize=4096)
def _quoted(key: str) -> str:
    return quote_plus(key, safe="/")


@lru_cache(maxsize=64)
def _second(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _record(e: Event) -> str:
    whole = int(e.time)
    created = f'"size":{e.size},"eTag":"{e.etag}",' if e.name.startswith("ObjectCreated") else ""
    version = f'"versionId":"{e.version_id}",' if e.version_id else ""
    partition = "aws-cn" if e.region.startswith("cn-") else "aws"
    return (
        f'{{"eventVersion":"2.3","eventSource":"aws:s3","awsRegion":"{e.region}",'
        f'"eventTime":"{_second(whole)}.{int((e.time - whole) * 1000):03d}Z","eventName":"{e.name}",'
        f'"userIdentity":{{"principalId":"{e.principal}"}},"requestParameters":{{"sourceIPAddress":"127.0.0.1"}},'
        f'"responseElements":{{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8"}},'
        f'"s3":{{"s3SchemaVersion":"1.0","configurationId":"dualsync",'
        f'"bucket":{{"name":"{e.bucket}","ownerIdentity":{{"principalId":"A3NL1KOZZKExample"}},'
        f'"arn":"arn:{partition}:s3:::{e.bucket}"}},'
        f'"object":{{"key":"{_quoted(e.key)}",{created}{version}"sequencer":"{e.sequencer}"}}}}}}'
    )
