"""Test that an upload in parts gives way to what was written or deleted after its start, as S3 documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.sandbox.conftest import Watched


class Bucket:
    """A bucket with acts of users on the key `a`, in one of three states of versioning."""

    def __init__(self, watched: Watched, status: str) -> None:
        self.watched = watched
        if status:
            self.call("put_bucket_versioning", VersioningConfiguration={"Status": status})

    def call(self, name: str, **arguments: Any) -> Any:
        return getattr(self.watched.s3, name)(Bucket=self.watched.bucket, **arguments)

    def start(self) -> str:
        return str(self.call("create_multipart_upload", Key="a")["UploadId"])

    def complete(self, upload: str, body: bytes) -> dict[str, Any]:
        part = self.call("upload_part", Key="a", UploadId=upload, PartNumber=1, Body=body)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return dict(self.call("complete_multipart_upload", Key="a", UploadId=upload, MultipartUpload=parts))

    def shown(self) -> bytes | None:
        keys = [row["Key"] for row in self.call("list_objects_v2").get("Contents", ())]
        return bytes(self.call("get_object", Key="a")["Body"].read()) if keys == ["a"] else None

    def kept(self) -> int:
        return len(self.call("list_object_versions").get("Versions", ()))


@pytest.fixture(params=["", "Suspended", "Enabled"], ids=["never", "suspended", "enabled"])
def bucket(request: pytest.FixtureRequest, watched: Callable[..., Watched]) -> Bucket:
    return Bucket(watched(), request.param)


def test_a_deletion_takes_precedence(bucket: Bucket) -> None:
    bucket.call("put_object", Key="a", Body=b"before")
    upload = bucket.start()
    bucket.call("delete_object", Key="a")
    bucket.watched.events()
    answer = bucket.complete(upload, b"of the upload")
    assert bucket.shown() is None
    event = bucket.watched.events()[-1]
    assert event["s3"]["object"]["eTag"] == answer["ETag"].strip('"')
    if answer.get("VersionId", "null") != "null":
        version = bucket.call("get_object", Key="a", VersionId=answer["VersionId"])
        assert version["Body"].read() == b"of the upload"


def test_a_write_takes_precedence(bucket: Bucket) -> None:
    upload = bucket.start()
    bucket.call("put_object", Key="a", Body=b"later")
    answer = bucket.complete(upload, b"of the upload")
    assert bucket.shown() == b"later"
    assert bucket.kept() == (2 if answer.get("VersionId", "null") != "null" else 1)


def test_the_upload_that_was_started_last_takes_precedence(bucket: Bucket) -> None:
    first, second = bucket.start(), bucket.start()
    bucket.complete(second, b"second")
    bucket.complete(first, b"first")
    assert bucket.shown() == b"second"


def test_what_was_there_before_the_start_is_replaced(bucket: Bucket) -> None:
    bucket.call("put_object", Key="a", Body=b"before")
    bucket.call("delete_object", Key="a")
    bucket.call("put_object", Key="a", Body=b"before")
    bucket.complete(bucket.start(), b"of the upload")
    assert bucket.shown() == b"of the upload"
