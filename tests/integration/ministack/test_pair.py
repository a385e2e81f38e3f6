"""Test a pair under its own policies: changes reach the peer, echoes cause no copy, the finder repairs lost events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from dualsync.runtime.log import Outcome
from dualsync.runtime.settings import SideName
from sandbox.demo.comparison import wait_for
from tests.integration.ministack.pair import BUCKETS, PREFIX, Pair

SECONDS = 60
"""Time in which a change arrives, on a busy machine too."""
PART = 5 << 20
"""Bytes of a part, S3's least ("Amazon S3 multipart upload limits", User Guide)."""


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    assert wait_for(condition, SECONDS)


def arrives(pair: Pair, side: SideName, key: str, content: bytes | None) -> None:
    """Wait until a side holds this content."""
    eventually(lambda: pair.read(side, key) == content)


def settle(pair: Pair) -> None:
    """Wait until no message is left, and check that none is a dead letter."""
    eventually(lambda: not any(pair.messages(side, "queueUrl") for side in SideName))
    assert [pair.messages(side, "deadLetterQueueUrl") for side in SideName] == [0, 0]


def transfers(pair: Pair, key: str) -> Counter[tuple[str, str]]:
    """Count the outcomes of a key that changed a bucket or were an echo, with the side that had them."""
    kinds = (Outcome.COPIED, Outcome.DELETED, Outcome.PULLED, Outcome.REMOVED, Outcome.CANCELLED)
    return Counter((line["side"], line["outcome"]) for line in pair.outcomes(*kinds) if line.get("key") == key)


def upload(pair: Pair, side: SideName, key: str, content: bytes) -> None:
    """Upload an object in parts, as a user does."""
    s3, place = pair.s3(side), {"Bucket": BUCKETS[side], "Key": PREFIX + key}
    upload_id = s3.create_multipart_upload(**place)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(content), PART), 1):
        body = content[start : start + PART]
        part = s3.upload_part(**place, UploadId=upload_id, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(**place, UploadId=upload_id, MultipartUpload={"Parts": parts})


@pytest.mark.parametrize("side", SideName)
def test_each_change_reaches_the_peer_once(pair: Pair, side: SideName) -> None:
    peer, key, large = side.peer, f"{side}/änd +ü.txt", f"{side}/large"
    s3, bucket = pair.s3(side), BUCKETS[side]
    for content in (b"first", b"second"):
        s3.put_object(Bucket=bucket, Key=PREFIX + key, Body=content, ContentType="text/x-test")
        arrives(pair, peer, key, content)
    assert pair.s3(peer).head_object(Bucket=BUCKETS[peer], Key=PREFIX + key)["ContentType"] == "text/x-test"
    parts = bytes(range(256)) * (PART // 256) + b"the end"
    upload(pair, side, large, parts)
    arrives(pair, peer, large, parts)
    s3.delete_object(Bucket=bucket, Key=PREFIX + key)
    arrives(pair, peer, key, None)
    settle(pair)
    assert transfers(pair, key) == {
        (side, Outcome.COPIED): 2,
        (side, Outcome.DELETED): 1,
        (peer, Outcome.CANCELLED): 3,
    }
    assert transfers(pair, large) == {(side, Outcome.COPIED): 1, (peer, Outcome.CANCELLED): 1}


def test_a_key_outside_the_prefix_stays(pair: Pair) -> None:
    for side in SideName:
        pair.s3(side).put_object(Bucket=BUCKETS[side], Key="elsewhere", Body=str(side).encode())
        pair.s3(side).put_object(Bucket=BUCKETS[side], Key=f"{PREFIX}after-{side}", Body=b"later")
        arrives(pair, side.peer, f"after-{side}", b"later")
    settle(pair)
    for side in SideName:
        body = pair.s3(side).get_object(Bucket=BUCKETS[side], Key="elsewhere")["Body"].read()
        assert body == str(side).encode()


@pytest.mark.parametrize("side", SideName)
def test_the_finder_copies_changes_whose_events_were_lost(pair: Pair, side: SideName) -> None:
    s3, bucket = pair.s3(side), BUCKETS[side]
    gone, new = f"{side}-gone", f"{side}-new"
    s3.put_object(Bucket=bucket, Key=PREFIX + gone, Body=b"gone")
    arrives(pair, side.peer, gone, b"gone")
    settle(pair)
    entries = s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    s3.delete_object(Bucket=bucket, Key=PREFIX + gone)
    s3.put_object(Bucket=bucket, Key=PREFIX + new, Body=b"new")
    configuration = {"QueueConfigurations": entries["QueueConfigurations"]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    settle(pair)
    assert (pair.read(side.peer, gone), pair.read(side.peer, new)) == (b"gone", None)

    report = pair.processes.find(side, {})

    assert (report["state"], report["queued"]) == ("finished", 2), report
    arrives(pair, side.peer, gone, None)
    arrives(pair, side.peer, new, b"new")
    settle(pair)
