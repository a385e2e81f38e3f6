"""Test the benchmark's target that discards bodies: its answers to a multipart upload."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bench.harness.servers.sink import Sink
from bench.harness.servers.stub import KEY, SECRET
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.errors import UploadGoneError
from dualsync.runtime.model.objects import MUST_NOT_EXIST, Attributes


@pytest.fixture
def bucket() -> Iterator[S3Bucket]:
    sink = Sink(0)
    thread = threading.Thread(target=sink.serve_forever, args=(0.01,))
    thread.start()
    try:
        network = Network("us-east-1", FixedCredentials(Credential(KEY, SECRET)))
        caller, path_style = network.bucket_client("b", f"http://127.0.0.1:{sink.server_address[1]}")
        yield S3Bucket(caller, "b", path_style=path_style)
    finally:
        sink.shutdown()
        thread.join()
        sink.server_close()


async def test_a_multipart_upload_leaves_an_object_of_the_parts_size(bucket: S3Bucket) -> None:
    assert await bucket.head("a/k") is None
    assert list(await bucket.list_uploads()) == []
    upload = (await bucket.create_upload("a/k", Attributes(metadata=(("x", "y"),)), None)).id
    parts = [await bucket.put_part("a/k", upload, number, b"z" * size) for number, size in ((1, 9), (2, 5), (3, 1))]
    assert await bucket.list_parts("a/k", upload, 2) == parts[1:]
    written = await bucket.complete_upload("a/k", upload, parts, MUST_NOT_EXIST)
    seen = await bucket.head("a/k")
    assert seen is not None
    assert (seen.size, seen.etag, seen.attributes.metadata) == (15, written.etag, (("x", "y"),))
    with pytest.raises(UploadGoneError):
        await bucket.list_parts("a/k", upload)
