"""Test hostile keys, metadata, stamps and messages with the real clients against the local cloud emulator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dualsync.runtime.aws.sqs import REASON_ATTRIBUTE
from dualsync.runtime.model.origin_version import STAMP_KEY, OriginVersion, Stamp, key_hash
from dualsync.runtime.settings import SideName
from tests.integration.http.side import HttpSide
from tests.integration.http.stage import BESIDE, Perform

CN, GLOBAL = SideName.CN, SideName.GLOBAL
KEYS = [
    "../x",
    "../../etc/passwd",
    "./y",
    "a/../../q2/z",
    "%2e%2e/x",
    "a?versionId=1",
    "a#b",
    "a\tb",
    "\x1b[31mred",
    "\u202egnp.exe",
    "\x9b31m",
    "a\\..\\b",
    "'\"`$(id)",
    "=cmd|'/c calc'!A1",
    "<script>alert(1)</script>",
    "//dualsync/record/control/pause",
    "k" * 1022,
    "\U0001f388" * 200,
    "a&b=c;d",
    " lead",
    "trail ",
    "a+b",
    "x" * 100 + "/",
    "\x7f",
]
OWN_MESSAGES: dict[str, dict[str, Any]] = {
    "a control character": {"key": "a\u0000b", "cause": "finding"},
    "CR and LF": {"key": "a\r\nHost: evil\r\n\r\n", "cause": "finding"},
    "no character": {"key": "\uffff", "cause": "finding"},
    "2,500 bytes": {"key": "k" * 2500, "cause": "finding"},
    "CR and LF in a version id": {"key": "k", "cause": "created", "actor": "echo", "etag": "z", "version_id": "a\r\nb"},
    "types of wrote": {"key": "k", "cause": "finding", "wrote": ["cn", "x", None, {}, [], None, True]},
    "no hexadecimal sequencer": {"key": "k", "cause": "created", "careful": True, "sequencer": "zzz", "etag": "e"},
    "200,000 characters": {"key": "k", "cause": "removed", "careful": True, "sequencer": "f" * 200_000},
    "a large attempt": {"key": "k", "cause": "finding", "attempt": 10**400},
    "a large time": {"key": "k", "cause": "removed", "sequencer": "1", "time": 1e300},
    "not a number": {"key": "k", "cause": "finding", "since": float("nan")},
    "infinite": {"key": "k", "cause": "removed", "time": float("inf")},
}


def put(side: HttpSide, key: str, body: bytes = b"x", **more: Any) -> None:
    side.s3.put_object(Bucket=side.bucket, Key=key, Body=body, **more)


def names(side: HttpSide) -> set[str]:
    """Return all keys of the bucket, under the prefix or not."""
    listed = side.s3.list_objects_v2(Bucket=side.bucket).get("Contents", ())
    return {row["Key"] for row in listed} - {side.prefix + BESIDE}


def content(side: HttpSide, key: str) -> bytes | None:
    if key not in names(side):
        return None
    return bytes(side.s3.get_object(Bucket=side.bucket, Key=key)["Body"].read())


def send(side: HttpSide, document: object) -> None:
    side.sqs.send_message(QueueUrl=side.queue_url, MessageBody=json.dumps(document))


def reasons(side: HttpSide) -> list[str]:
    """Return the reasons of the messages in the dead-letter queue."""
    found = side.sqs.receive_message(
        QueueUrl=side.dead_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
    )
    return [message["MessageAttributes"][REASON_ATTRIBUTE]["StringValue"] for message in found.get("Messages", ())]


def stamp_of(key: str, version: OriginVersion, size: int) -> dict[str, str]:
    return {STAMP_KEY: Stamp("p", key_hash(key), version, size).encode()}


def shown(side: HttpSide, key: str) -> OriginVersion:
    """Return the name of the version that this side holds."""
    head = side.s3.head_object(Bucket=side.bucket, Key=key)
    return OriginVersion(side.name, int(head["LastModified"].timestamp()), head["ETag"].strip('"'))


def test_hostile_keys_arrive_byte_for_byte_and_none_leaves_the_prefix(perform: Perform) -> None:
    http = perform("given prefix cn=p/ global=q/")
    here, there = http.sides[CN], http.sides[GLOBAL]
    put(there, "q2/z-outside")
    for key in KEYS:
        put(here, "p/" + key)
    http.perform("settle")
    assert names(there) == {"q2/z-outside", *(f"q/{key}" for key in KEYS)}
    assert reasons(here) == reasons(there) == []


def test_hostile_metadata_adds_no_header(perform: Perform) -> None:
    http = perform("given settings include_tags true")
    here, there = http.sides[CN], http.sides[GLOBAL]
    values = {
        "quoted": "=?UTF-8?Q?a=0D=0Ax-amz-acl:_public-read?=",
        "encoded": "=?UTF-8?B?YQ0KeC1hbXotYWNsOiBwdWJsaWMtcmVhZA==?=",
        "signs": 'a; b="c"',
        STAMP_KEY: "garbage; not a stamp",
    }
    put(here, "m", Metadata=values, Tagging="a=b%0D%0Ac")
    put(here, "plain")
    http.perform("settle")
    found = there.s3.head_object(Bucket=there.bucket, Key="m")["Metadata"]
    assert {name: found[name] for name in ("quoted", "encoded", "signs")} == {
        name: values[name] for name in ("quoted", "encoded", "signs")
    }
    grants = [there.s3.get_object_acl(Bucket=there.bucket, Key=key)["Grants"] for key in ("m", "plain")]
    assert grants[0] == grants[1]


def test_a_stamp_of_the_future_does_not_win_against_later_writes(perform: Perform) -> None:
    http = perform()
    here, there = http.sides[CN], http.sides[GLOBAL]
    future = OriginVersion(GLOBAL, 99_999_999_999, "0" * 32)
    put(there, "k", b"v1")
    http.perform("settle")
    put(here, "k", b"forged", Metadata=stamp_of("k", future, 6))
    http.perform("settle")
    http.perform("wait 5")
    put(there, "k", b"v2")
    http.perform("settle")
    assert content(here, "k") == content(there, "k") == b"v2"


def test_an_object_with_a_forged_stamp_is_copied_by_the_finder(perform: Perform) -> None:
    http = perform()
    here, there = http.sides[CN], http.sides[GLOBAL]
    put(here, "h", b"hidden", Metadata=stamp_of("h", OriginVersion(GLOBAL, 1, "0" * 32), 6))
    here.lose_events()
    for _ in range(4):
        http.perform("finders")
    assert content(here, "h") == content(there, "h") == b"hidden"


def test_a_stamp_of_a_deleted_version_deletes_no_newer_content(perform: Perform) -> None:
    """The event of the forged write is lost, and each finder finds the version."""
    http = perform()
    here, there = http.sides[CN], http.sides[GLOBAL]
    put(there, "d", b"old")
    http.perform("settle")
    deleted = shown(there, "d")
    http.perform("wait 20")
    there.delete("d")
    http.perform("settle")
    http.perform("wait 20")
    put(there, "d", b"newer")
    http.perform("settle")
    http.perform("wait 20")
    put(here, "d", b"old", Metadata=stamp_of("d", deleted, 3))
    here.lose_events()
    for _ in range(3):
        http.perform("finders")
    assert content(there, "d") is not None
    assert content(here, "d") == content(there, "d")


@pytest.mark.parametrize("side", [CN, GLOBAL])
@pytest.mark.parametrize("time", [0, 1, 1_000_000_000, 99_999_999_999])
def test_a_stamp_of_any_time_deletes_no_version_that_is_at_rest(perform: Perform, side: SideName, time: int) -> None:
    """The version of another user of the same side is overwritten with the stamp, and the event is lost."""
    http = perform()
    here, there = http.sides[side], http.sides[side.peer]
    put(here, "k", b"at rest")
    http.perform("settle")
    http.perform("wait 20")
    put(here, "k", b"forged", Metadata=stamp_of("k", OriginVersion(side.peer, time, "0" * 32), 6))
    here.lose_events()
    for _ in range(3):
        http.perform("finders")
    assert content(here, "k") in (b"at rest", b"forged")
    assert content(here, "k") == content(there, "k")


def test_events_of_another_bucket_are_dropped(perform: Perform) -> None:
    http = perform()
    here, there = http.sides[CN], http.sides[GLOBAL]
    put(here, "k", b"v1")
    http.perform("settle")
    event = {
        "eventSource": "aws:s3",
        "eventName": "ObjectRemoved:Delete",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "userIdentity": {"principalId": "AWS:X"},
        "s3": {"bucket": {"name": "some-other-bucket"}, "object": {"key": "k", "sequencer": "FFFFFFFFFFFF"}},
    }
    send(here, {"Records": [event]})
    http.perform("settle")
    put(here, "k", b"v2")
    http.perform("settle")
    assert content(here, "k") == content(there, "k") == b"v2"


def test_no_malformed_message_raises_or_changes_an_object(perform: Perform) -> None:
    http = perform()
    here, there = http.sides[CN], http.sides[GLOBAL]
    put(here, "k", b"v1")
    http.perform("settle")
    for name, fields in OWN_MESSAGES.items():
        send(here, {"dualsync": fields})
        http.perform("settle")
        assert names(here) == names(there) == {"k"}, name
    here.lose_events()
    put(here, "k", b"v2")
    http.perform("settle")
    assert content(there, "k") == b"v2"
    http.perform("wait 5")
    here.delete("k")
    http.perform("settle")
    assert names(here) == names(there) == set()


def test_a_forged_record_of_a_write_without_etags_does_not_spoil_a_later_deletion(perform: Perform) -> None:
    http = perform()
    here, there = http.sides[CN], http.sides[GLOBAL]
    put(here, "k", b"v1")
    here.lose_events()
    version = shown(here, "k")
    wrote = ["cn", version.modified, version.etag, None, None, None, None]
    send(
        here,
        {"dualsync": {"key": "k", "cause": "removed", "careful": True, "sequencer": "0" * 31 + "1", "wrote": wrote}},
    )
    http.perform("settle")
    http.perform("wait 30")
    http.perform("finders")
    here.delete("k")
    http.perform("settle")
    assert names(here) == names(there) == set()
