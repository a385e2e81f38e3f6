"""Test that copies keep everything S3 returns about an object: whole, in parts, or in parts by several workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dualsync.runtime.aws.s3.metadata import LIMIT_BYTES
from dualsync.runtime.aws.sqs import REASON_ATTRIBUTE
from dualsync.runtime.model.origin_version import STAMP_KEY
from dualsync.runtime.settings import SideName
from tests.integration.http.side import HttpSide
from tests.integration.http.stage import Perform

MIB = 1 << 20
PARTS = ("given settings multipart_threshold 5242880", "given settings part_size 5242880")
PARTS_BY_SEVERAL_WORKERS = (*PARTS, "given settings giant_threshold 5242880")
HEADERS: dict[str, Any] = {
    "ContentType": "text/css; charset=utf-8",
    "CacheControl": "max-age=60, no-transform",
    "ContentDisposition": "attachment; filename=\"a  b.css\"; filename*=UTF-8''voil%C3%A0",
    "ContentEncoding": "gzip",
    "ContentLanguage": "de, fr-CH",
    "Expires": "Wed, 21 Oct 2026 07:28:00 GMT",
    "WebsiteRedirectLocation": "/other/page.html?a=b&c=%20",
    "StorageClass": "STANDARD_IA",
    "Tagging": "project=a%2Bb&empty=&with+blank=1%3D2",
    "Metadata": {
        "colour": "green",
        "empty": "",
        "blanks": "a  b   c",
        "signs": '=,;:"<&>%20+',
        "name": "=?UTF-8?B?w6A=?=",
    },
}
FULL = {"Metadata": {"full": "x" * (LIMIT_BYTES - 4)}}
OBJECTS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "everything": (b"content", HEADERS),
    "without attributes": (b"\x00\xff" * 50_000, {}),
    "empty": (b"", HEADERS),
    "empty without attributes": (b"", {}),
    "folder/": (b"a folder with content", HEADERS),
    "a//b/../c +%20\u00fc\U0001f388?x=y#z": (b"odd", HEADERS),
    "full metadata": (b"2048 bytes of them", FULL),
    "almost full metadata": (b"too little room for the stamp", {"Metadata": {"almost": "x" * (LIMIT_BYTES - 60)}}),
    "with a checksum": (b"checked", {"ChecksumAlgorithm": "SHA256"}),
    "as large as the threshold": (b"t" * (5 * MIB), HEADERS),
    "one byte below": (b"t" * (5 * MIB - 1), HEADERS),
    "one byte above": (b"t" * (5 * MIB + 1), HEADERS),
}
OWN = (
    "LastModified",
    "ETag",
    "VersionId",
    "ResponseMetadata",
    "ServerSideEncryption",
    "SSEKMSKeyId",
    "BucketKeyEnabled",
)
"""Fields that belong to the bucket or the transfer. (An ETag depends on the number of parts.)"""


def described(side: HttpSide, key: str) -> dict[str, Any]:
    """Return everything that S3 returns about an object, with its content, without the stamp."""
    answer: dict[str, Any] = dict(side.s3.get_object(Bucket=side.bucket, Key=side.prefix + key, ChecksumMode="ENABLED"))
    answer["Body"] = answer["Body"].read()
    answer["Metadata"] = {name: value for name, value in answer["Metadata"].items() if name != STAMP_KEY}
    tagging = side.s3.get_object_tagging(Bucket=side.bucket, Key=side.prefix + key)
    answer["Tags"] = sorted((tag["Key"], tag["Value"]) for tag in tagging["TagSet"])
    # moto keeps only checksums whose kind the SDK names in a header of its own.
    return {name: value for name, value in answer.items() if name not in OWN and not name.startswith("Checksum")}


def differences(a: dict[str, dict[str, Any]], b: dict[str, dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return key, field and both values of every difference."""
    return [
        (key, name, repr(a[key].get(name))[:200], repr(b[key].get(name))[:200])
        for key in a
        for name in sorted({*a[key], *b[key]})
        if a[key].get(name) != b[key].get(name)
    ]


def raw(side: HttpSide, key: str) -> Mapping[str, str]:
    answer = side.s3.head_object(Bucket=side.bucket, Key=side.prefix + key)
    return dict(answer["ResponseMetadata"]["HTTPHeaders"])


@pytest.mark.parametrize(
    "lines", [(), PARTS, PARTS_BY_SEVERAL_WORKERS], ids=["whole", "parts", "parts by several workers"]
)
@pytest.mark.parametrize("origin", list(SideName))
def test_objects_arrive_unchanged_in_both_directions(
    perform: Perform, origin: SideName, lines: tuple[str, ...]
) -> None:
    http = perform(
        *lines,
        "given prefix cn=p/ 'global=q r/'",
        "given settings include_tags true",
        "given settings remote_storage_class SOURCE",
    )
    here, there = http.sides[origin], http.sides[origin.peer]
    for key, (body, given) in OBJECTS.items():
        here.s3.put_object(Bucket=here.bucket, Key=here.prefix + key, Body=body, **given)
    before = {key: described(here, key) for key in OBJECTS}
    http.perform("settle")
    assert differences({key: described(there, key) for key in OBJECTS}, before) == []
    for key in OBJECTS:
        assert (f"x-amz-meta-{STAMP_KEY}" in raw(there, key)) is ("full" not in key), key
    assert differences({key: described(here, key) for key in OBJECTS}, before) == [], "nothing came back"

    # And the other way: the copy is changed there, either its metadata or its content.
    for key in ("everything", "empty", "folder/", "full metadata"):
        there.s3.put_object(Bucket=there.bucket, Key=there.prefix + key, Body=b"second", Metadata={"colour": "red"})
    http.clock.forward(10)
    http.perform("settle")
    for key in OBJECTS:
        assert described(here, key) == described(there, key), key
    assert described(here, "everything")["Metadata"] == {"colour": "red"}
    assert described(here, "everything")["Tags"] == []


@pytest.mark.parametrize("lines", [(), PARTS], ids=["whole", "parts"])
def test_each_side_encrypts_with_its_own_key(perform: Perform, lines: tuple[str, ...]) -> None:
    kms = [
        f"given settings {side}.{name} {value}"
        for side in SideName
        for name, value in (("remote_encryption", "aws:kms"), ("remote_kms_key", f"arn:of:{side.peer}"))
    ]
    http = perform(*lines, *kms)
    for origin in SideName:
        here, there = http.sides[origin], http.sides[origin.peer]
        bodies = {"small": b"s", "large": b"l" * (6 * MIB)}
        for key, body in bodies.items():
            here.s3.put_object(Bucket=here.bucket, Key=f"{key} of {origin}", Body=body)
        http.perform("settle")
        for key, body in bodies.items():
            answer = there.s3.get_object(Bucket=there.bucket, Key=f"{key} of {origin}")
            assert answer["Body"].read() == body
            assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", f"arn:of:{origin.peer}")
            if not lines:  # moto does not keep it for multipart uploads
                assert answer["BucketKeyEnabled"] is True


def test_without_metadata_only_the_content_and_its_type_travel(perform: Perform) -> None:
    http = perform("given settings include_metadata false")
    here, there = http.sides[SideName.CN], http.sides[SideName.GLOBAL]
    here.s3.put_object(Bucket=here.bucket, Key="k", Body=b"content", **HEADERS)
    http.perform("settle")
    found = described(there, "k")
    assert (found["Body"], found["ContentType"]) == (b"content", HEADERS["ContentType"])
    assert not {*found} & {"CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "Expires"}
    assert (found["Metadata"], found["Tags"]) == ({}, [])


@pytest.mark.parametrize("body", [b"", b"content", b"p" * (6 * MIB)], ids=["empty", "small", "parts"])
def test_retention_is_kept_and_new_versions_arrive(perform: Perform, body: bytes) -> None:
    http = perform("given versioning cn=Enabled global=Enabled", "given beside False", *PARTS)
    here, there = http.sides[SideName.CN], http.sides[SideName.GLOBAL]
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    there.s3.put_object_lock_configuration(
        Bucket=there.bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    for content in (body, body + b"2"):
        here.s3.put_object(Bucket=here.bucket, Key="k", Body=content)
        http.perform("settle")
        assert dead(here) == []
        answer = there.s3.get_object(Bucket=there.bucket, Key="k")
        assert answer["Body"].read() == content
        if len(content) < 5 * MIB:  # moto does not keep it for multipart uploads
            assert answer["ObjectLockMode"] == "COMPLIANCE"
    here.delete("k")
    http.perform("settle")
    assert there.shown("k") == "nothing"
    kept = there.s3.list_object_versions(Bucket=there.bucket, Prefix="k")
    assert (len(kept["Versions"]), len(kept["DeleteMarkers"])) == (2, 1), "what is retained is still there"
    assert dead(here) == []


def dead(side: HttpSide) -> list[str]:
    found = side.sqs.receive_message(
        QueueUrl=side.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return [message["MessageAttributes"][REASON_ATTRIBUTE]["StringValue"] for message in found.get("Messages", ())]


def test_an_archived_object_becomes_a_dead_letter_with_the_reason(perform: Perform) -> None:
    http = perform("given versioning cn=Enabled")
    here, there = http.sides[SideName.CN], http.sides[SideName.GLOBAL]
    here.s3.put_object(Bucket=here.bucket, Key="k", Body=b"asleep", StorageClass="DEEP_ARCHIVE")
    http.perform("settle")
    assert there.shown("k") == "nothing"
    (reason,) = dead(here)
    assert reason.startswith("archived: ")
    assert "DEEP_ARCHIVE" in reason
