"""Test emulated conditional requests against the Amazon S3 User Guide ("Add preconditions to S3 operations …")."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.sandbox.conftest import Watched

Make = Callable[..., Watched]
ABSENT = '"00000000000000000000000000000000"'


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def upload(w: Watched, key: str = "a") -> dict[str, Any]:
    started = w.s3.create_multipart_upload(Bucket=w.bucket, Key=key)["UploadId"]
    part = w.s3.upload_part(Bucket=w.bucket, Key=key, UploadId=started, PartNumber=1, Body=b"new")
    return {
        "Bucket": w.bucket,
        "Key": key,
        "UploadId": started,
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    }


def test_a_put_with_if_match_needs_the_objects_etag(watched: Make) -> None:
    w = watched()
    there = {"Bucket": w.bucket, "Key": "a", "Body": b"new"}
    assert refused(w.s3.put_object, **there, IfMatch=ABSENT) == (404, "NoSuchKey")
    etag = w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"old")["ETag"]
    assert refused(w.s3.put_object, **there, IfMatch=ABSENT) == (412, "PreconditionFailed")
    w.s3.put_object(**there, IfMatch=etag)


@pytest.mark.parametrize("call", ["head_object", "get_object"])
def test_reads_take_etags_with_and_without_quotes(watched: Make, call: str) -> None:
    w = watched()
    etag = w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"old")["ETag"]
    read = getattr(w.s3, call)
    for form in (etag, etag.strip('"')):
        read(Bucket=w.bucket, Key="a", IfMatch=form)
        assert refused(read, Bucket=w.bucket, Key="a", IfNoneMatch=form)[0] == 304
    assert refused(read, Bucket=w.bucket, Key="a", IfMatch=ABSENT)[0] == 412


def test_a_put_with_if_none_match_needs_a_missing_object(watched: Make) -> None:
    w = watched()
    there = {"Bucket": w.bucket, "Key": "a", "Body": b"new", "IfNoneMatch": "*"}
    w.s3.put_object(**there)
    assert refused(w.s3.put_object, **there) == (412, "PreconditionFailed")


def test_a_completion_with_if_match_needs_the_objects_etag(watched: Make) -> None:
    w = watched()
    assert refused(w.s3.complete_multipart_upload, **upload(w), IfMatch=ABSENT) == (404, "NoSuchKey")
    etag = w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"old")["ETag"]
    assert refused(w.s3.complete_multipart_upload, **upload(w), IfMatch=ABSENT) == (412, "PreconditionFailed")
    w.s3.complete_multipart_upload(**upload(w), IfMatch=etag)
    assert w.s3.get_object(Bucket=w.bucket, Key="a")["Body"].read() == b"new"


def test_a_completion_with_if_none_match_needs_a_missing_object(watched: Make) -> None:
    w = watched()
    w.s3.complete_multipart_upload(**upload(w), IfNoneMatch="*")
    assert refused(w.s3.complete_multipart_upload, **upload(w), IfNoneMatch="*") == (412, "PreconditionFailed")


def test_head_of_a_part_returns_the_objects_etag_and_part_count(watched: Make) -> None:
    w = watched()
    etag = w.s3.complete_multipart_upload(**upload(w))["ETag"]
    head = w.s3.head_object(Bucket=w.bucket, Key="a", PartNumber=1, IfMatch=etag)
    assert (head["ETag"], head["ContentLength"], head["PartsCount"]) == (etag, 3, 1)
    assert refused(w.s3.head_object, Bucket=w.bucket, Key="a", PartNumber=1, IfMatch=ABSENT)[0] == 412


def test_completing_an_aborted_upload_returns_no_such_upload(watched: Make) -> None:
    w = watched()
    arguments = upload(w)
    w.s3.abort_multipart_upload(Bucket=w.bucket, Key="a", UploadId=arguments["UploadId"])
    assert refused(w.s3.complete_multipart_upload, **arguments) == (404, "NoSuchUpload")


@pytest.mark.parametrize("versioned", [False, True])
def test_a_deletion_with_if_match_needs_the_objects_etag(watched: Make, versioned: bool) -> None:
    w = watched(versioned=versioned)
    etag = w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"old")["ETag"]
    assert refused(w.s3.delete_object, Bucket=w.bucket, Key="a", IfMatch=ABSENT) == (412, "PreconditionFailed")
    w.s3.delete_object(Bucket=w.bucket, Key="a", IfMatch=etag)
    assert refused(w.s3.head_object, Bucket=w.bucket, Key="a")[0] == 404


def test_only_one_of_several_concurrent_conditional_writes_succeeds(watched: Make) -> None:
    w = watched()

    def put(n: int) -> bool:
        try:
            w.s3.put_object(Bucket=w.bucket, Key="a", Body=b"%d" % n, IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(24))) == 1
    assert len(w.events()) == 1
