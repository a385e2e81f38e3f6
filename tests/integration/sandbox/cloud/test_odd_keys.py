"""Test keys with line breaks and control characters, part numbers with gaps, and errors inside the emulator."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.cloud.wire import Server
from tests.integration.sandbox.conftest import Watched

Make = Callable[..., Watched]
KEYS = ["a\nb", "\n", "x/\n/y\n", "a\x01b", "u\ufffe", "tab\t", "cr\r", "\x7f"]


@pytest.mark.parametrize("key", KEYS)
def test_odd_keys_are_kept_and_listed(watched: Make, key: str) -> None:
    w = watched(versioned=True)
    w.s3.put_object(Bucket=w.bucket, Key=key, Body=b"x")
    assert w.s3.get_object(Bucket=w.bucket, Key=key)["Body"].read() == b"x"
    assert [o["Key"] for o in w.s3.list_objects_v2(Bucket=w.bucket)["Contents"]] == [key]
    assert [o["Key"] for o in w.s3.list_object_versions(Bucket=w.bucket)["Versions"]] == [key]
    w.s3.delete_object(Bucket=w.bucket, Key=key)
    assert [o["Key"] for o in w.s3.list_object_versions(Bucket=w.bucket)["DeleteMarkers"]] == [key]
    assert len(w.events()) == 2


def test_uploads_are_listed_with_encoded_keys(watched: Make) -> None:
    w = watched()
    w.s3.create_multipart_upload(Bucket=w.bucket, Key="a b+ü")
    listed = w.s3.list_multipart_uploads(Bucket=w.bucket, EncodingType="url")
    assert [upload["Key"] for upload in listed["Uploads"]] == ["a%20b%2B%C3%BC"]
    assert [upload["Key"] for upload in w.s3.list_multipart_uploads(Bucket=w.bucket)["Uploads"]] == ["a b+ü"]


@pytest.fixture
def with_gaps(watched: Make) -> Watched:
    """Make a bucket with the object `gaps`, uploaded as the parts 2 and 5."""
    w = watched()
    upload = w.s3.create_multipart_upload(Bucket=w.bucket, Key="gaps")["UploadId"]
    named: dict[str, Any] = {"Bucket": w.bucket, "Key": "gaps", "UploadId": upload}
    etags = {
        number: w.s3.upload_part(**named, PartNumber=number, Body=body)["ETag"]
        for number, body in ((2, b"2" * (5 << 20)), (5, b"5"))
    }
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in etags.items()]
    w.s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    return w


def test_parts_count_from_one(with_gaps: Watched) -> None:
    w = with_gaps
    for number, size, first in ((1, 5 << 20, b"2"), (2, 1, b"5")):
        head = w.s3.head_object(Bucket=w.bucket, Key="gaps", PartNumber=number)
        got = w.s3.get_object(Bucket=w.bucket, Key="gaps", PartNumber=number)
        assert (head["ContentLength"], head["PartsCount"]) == (got["ContentLength"], got["PartsCount"]) == (size, 2)
        assert got["Body"].read(1) == first


@pytest.mark.parametrize("call", ["head_object", "get_object"])
def test_a_part_that_does_not_exist_is_416(with_gaps: Watched, call: str) -> None:
    w = with_gaps
    with pytest.raises(ClientError) as caught:
        getattr(w.s3, call)(Bucket=w.bucket, Key="gaps", PartNumber=3)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416


def test_an_internal_error_is_500_and_keeps_the_connection_open(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise KeyError("inside")

    server = Server(0, fail)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        for _ in range(2):
            connection.request("GET", "/bucket/key")
            answer = connection.getresponse()
            assert (answer.status, b"InternalError" in answer.read()) == (500, True)
    finally:
        connection.close()
        server.shutdown()
        server.server_close()
        thread.join()
    assert "KeyError: 'inside'" in capsys.readouterr().err
