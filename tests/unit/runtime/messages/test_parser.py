"""Test the parser: from a message's body to sync requests.

The records are those of "Event message structure", Amazon S3 User Guide.
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import MAX_CLOCK_SKEW_SECONDS, Principals, parse_message
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.model.sequencer import normalise
from dualsync.runtime.settings import SideName
from tests.support.builders import DEDICATED, ROLE, USER, synced_version
from tests.support.fakes.notification import TEST_EVENT

RECORD: dict[str, Any] = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "us-west-2",
    "eventTime": "1970-01-01T00:00:00.000Z",
    "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": f"AWS:{USER}"},
    "requestParameters": {"sourceIPAddress": "127.0.0.1"},
    "responseElements": {
        "x-amz-request-id": "C3D13FE58DE4C810",
        "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD",
    },
    "s3": {
        "s3SchemaVersion": "1.0",
        "configurationId": "testConfigRule",
        "bucket": {
            "name": "amzn-s3-demo-bucket",
            "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
            "arn": "arn:aws:s3:::amzn-s3-demo-bucket",
        },
        "object": {
            "key": "HappyFace.jpg",
            "size": 1024,
            "eTag": "d41d8cd98f00b204e9800998ecf8427e",
            "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
            "sequencer": "0055AED6DCD90281E5",
        },
    },
}
EXPIRY: dict[str, Any] = {
    "eventVersion": "2.3",
    "eventSource": "aws:s3",
    "awsRegion": "us-west-2",
    "eventTime": "1970-01-01T00:00:00.000Z",
    "eventName": "LifecycleExpiration:Delete",
    "userIdentity": {"principalId": "s3.amazonaws.com"},
    "requestParameters": {"sourceIPAddress": "s3.amazonaws.com"},
    "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8"},
    "s3": {
        "s3SchemaVersion": "1.0",
        "configurationId": "testConfigRule",
        "bucket": {
            "name": "amzn-s3-demo-bucket",
            "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
            "arn": "arn:aws:s3:::amzn-s3-demo-bucket",
        },
        "object": {"key": "expiration/delete", "sequencer": "0059EA41DE6A9B1D7A"},
    },
}
SENT = 1_790_000_100.0
KEYED = Authenticator("https://queue", "secret")
PEER_ROLE = "AROAPEERROLE000000000"
PRINCIPALS = Principals(frozenset({DEDICATED, "AIDAFORMERUSER0000000", PEER_ROLE}), ROLE)


def parse(body: str, prefix: str = "") -> list[SyncRequest]:
    return parse_message(body, PRINCIPALS, lambda key: key[len(prefix) :] if key.startswith(prefix) else None, SENT)


def record(name: str = "ObjectCreated:Put", *, principal: str = f"AWS:{USER}", **changes: Any) -> dict[str, Any]:
    """Return a record; `changes` are of its object, None removes a field."""
    made = copy.deepcopy(RECORD)
    made["eventName"] = name
    made["userIdentity"]["principalId"] = principal
    fields = made["s3"]["object"] | changes
    made["s3"]["object"] = {k: v for k, v in fields.items() if v is not None}
    return made


def parse_records(*records: Any) -> list[SyncRequest]:
    return parse(json.dumps({"Records": records}))


def test_documented_event_is_parsed() -> None:
    assert parse_records(RECORD) == [
        SyncRequest(
            key="HappyFace.jpg",
            cause=Cause.CREATED,
            actor=Actor.USER,
            sequencer=normalise("0055AED6DCD90281E5"),
            etag="d41d8cd98f00b204e9800998ecf8427e",
            version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko",
            size=1024,
            event_time=0.0,
            first_sent=SENT,
        )
    ]


def test_documented_expiry_is_parsed() -> None:
    assert parse_records(EXPIRY) == [
        SyncRequest("expiration/delete", Cause.EXPIRED, sequencer=normalise("0059EA41DE6A9B1D7A"), first_sent=SENT)
    ]


def test_records_of_a_message_are_parsed_in_order() -> None:
    names = ["ObjectCreated:Put", "ObjectRemoved:Delete", "ObjectCreated:Copy"]
    found = parse_records(*(record(name, key=f"k{i}") for i, name in enumerate(names)))
    assert [(request.key, request.cause) for request in found] == [
        ("k0", Cause.CREATED),
        ("k1", Cause.REMOVED),
        ("k2", Cause.CREATED),
    ]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("ObjectCreated:Put", Cause.CREATED),
        ("ObjectCreated:Post", Cause.CREATED),
        ("ObjectCreated:Copy", Cause.CREATED),
        ("ObjectCreated:CompleteMultipartUpload", Cause.CREATED),
        ("s3:ObjectCreated:Put", Cause.CREATED),
        ("ObjectTagging:Put", Cause.CREATED),
        ("ObjectTagging:Delete", Cause.CREATED),
        ("ObjectAcl:Put", Cause.CREATED),
        ("ObjectRestore:Completed", Cause.CREATED),
        ("ObjectRemoved:Delete", Cause.REMOVED),
        ("ObjectRemoved:DeleteMarkerCreated", Cause.REMOVED),
        ("LifecycleExpiration:Delete", Cause.EXPIRED),
        ("LifecycleExpiration:DeleteMarkerCreated", Cause.EXPIRED),
    ],
)
def test_event_name_gives_the_cause(name: str, cause: Cause) -> None:
    assert [request.cause for request in parse_records(record(name))] == [cause]


@pytest.mark.parametrize(
    "name",
    [
        "ReducedRedundancyLostObject",
        "ObjectRestore:Post",
        "Replication:OperationMissedThreshold",
        "LifecycleTransition",
    ],
)
def test_events_that_change_no_object_are_ignored(name: str) -> None:
    assert parse_records(record(name), record(key="next")) == parse_records(record(key="next"))


def test_s3_test_event_gives_no_request() -> None:
    assert parse(TEST_EVENT) == []


@pytest.mark.parametrize("quoted", [quote_plus, lambda key: quote(key, safe="/")], ids=["plus", "percent"])
@pytest.mark.parametrize(
    "key",
    [
        "a key with  spaces ",
        "1+1=2",
        "100%",
        "%41",
        "dir/file name+plus%percent.txt",
        "报告/二〇二六.csv",
        "naïve/e\u0301.txt",
        "😀.png",
        "\x01\x1f\x7f",
        "line\nbreak\ttab",
        "a//b",
        "/a",
        "a/",
        "folder/",
        ".",
        "..",
        'quote"back\\slash',
        "é" * 512,
        "k" * 1024,
    ],
)
def test_keys_are_url_decoded(key: str, quoted: Any) -> None:
    assert [request.key for request in parse_records(record(key=quoted(key)))] == [key]


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200))
def test_any_url_encoded_key_is_decoded(key: str) -> None:
    assert [request.key for request in parse_records(record(key=quote_plus(key)))] == [key]


@pytest.mark.parametrize(
    ("principal", "actor"),
    [
        (f"AWS:{DEDICATED}", Actor.ECHO),
        (DEDICATED, Actor.ECHO),
        ("AWS:AIDAFORMERUSER0000000", Actor.ECHO),
        (f"AWS:{PEER_ROLE}:dth-dual-global", Actor.ECHO),
        (f"{PEER_ROLE}:any session", Actor.ECHO),
        (f"AWS:{ROLE}:i-0abc", Actor.OWN_ROLE),
        (f"{ROLE}:finder", Actor.OWN_ROLE),
        (f"AWS:{ROLE}", Actor.OWN_ROLE),
        (f"AWS:{USER}", Actor.USER),
        (USER, Actor.USER),
        (f"AWS:AROAOTHERROLE0000000:{DEDICATED}", Actor.USER),
        (f"AWS:{DEDICATED}0", Actor.USER),
        (f"AWS:AROAOTHERROLE0000000:{ROLE}", Actor.USER),
        (f"AWS:AROAOTHERROLE0000000:{PEER_ROLE}", Actor.USER),
        ("AWS:", Actor.USER),
        ("", Actor.USER),
        ("s3.amazonaws.com", Actor.USER),
    ],
)
def test_principal_gives_the_actor(principal: str, actor: Actor) -> None:
    assert [request.actor for request in parse_records(record(principal=principal))] == [actor]


def test_empty_principal_is_a_user_if_no_role_is_known() -> None:
    assert Principals(frozenset({DEDICATED})).actor("AWS:") is Actor.USER
    assert Principals(frozenset({DEDICATED})).actor(":session") is Actor.USER


def test_event_without_identity_is_by_a_user() -> None:
    bare = record()
    del bare["userIdentity"]
    assert [request.actor for request in parse_records(bare)] == [Actor.USER]


def test_missing_fields_of_a_deletion_are_empty() -> None:
    [request] = parse_records(record("ObjectRemoved:Delete", size=None, eTag=None, versionId=None, sequencer=None))
    assert (request.size, request.etag, request.version_id, request.sequencer) == (0, "", "", "")


def test_etag_quotes_and_a_null_version_id_are_removed() -> None:
    made = record(eTag='"abc"')
    made["s3"]["object"]["versionId"] = None
    [request] = parse_records(made)
    assert (request.etag, request.version_id) == ("abc", "")


@pytest.mark.parametrize(
    ("name", "version", "permanent"),
    [
        ("ObjectRemoved:Delete", "v1", True),
        ("LifecycleExpiration:Delete", "v1", True),
        ("ObjectRemoved:DeleteMarkerCreated", "v1", False),
        ("ObjectRemoved:Delete", "", False),
        ("ObjectRemoved:Delete", "null", False),
        ("ObjectCreated:Put", "v1", False),
    ],
)
def test_removal_of_a_version_by_its_id_is_no_deletion(name: str, version: str, permanent: bool) -> None:
    assert [request.version_removed for request in parse_records(record(name, versionId=version))] == [permanent]


def test_event_time_is_parsed() -> None:
    made = record()
    made["eventTime"] = "2026-09-21T14:13:20.250Z"
    assert [request.event_time for request in parse_records(made)] == [1_790_000_000.25]


def test_sns_envelope_is_unwrapped() -> None:
    inner = json.dumps({"Records": [record(key="a+b"), record(key="c")]})
    envelope = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
        "Subject": "Amazon S3 Notification",
        "Message": inner,
        "Timestamp": "2012-05-02T00:54:06.655Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
    }
    assert parse(json.dumps(envelope)) == parse(inner)
    assert [request.key for request in parse(inner)] == ["a b", "c"]
    assert parse(json.dumps(envelope | {"Message": TEST_EVENT})) == []


def test_keys_outside_the_prefix_are_ignored() -> None:
    body = json.dumps({"Records": [record(key="in/a"), record(key="out/b"), record(key="in/")]})
    assert [request.key for request in parse(body, "in/") if request.key] == ["a"]


def test_signed_sync_request_is_parsed() -> None:
    request = SyncRequest("k", Cause.FINDER, first_sent=5.0, full_check=True, may_delete=True, reason="deleted here")
    body = KEYED.sign(sync_request_codec.encode(request))
    assert parse_message(body, PRINCIPALS, str, SENT, authenticator=KEYED) == [request]


FORGED = SyncRequest(
    "k",
    Cause.CREATED,
    Actor.ECHO,
    sequencer="f" * 32,
    etag="e",
    version_id="v",
    event_time=5.0,
    attempt=99,
    may_delete=True,
    unrecorded=synced_version(OriginVersion(SideName.CN, 1, "e")),
)
CHECK = SyncRequest(
    "k", Cause.FINDER, first_sent=SENT, full_check=True, may_have_written=True, reason="not authenticated"
)


@pytest.mark.parametrize(
    "body",
    [
        sync_request_codec.encode(FORGED),
        Authenticator("https://queue", "a guess").sign(sync_request_codec.encode(FORGED)),
        Authenticator("https://another-queue", "secret").sign(sync_request_codec.encode(FORGED)),
        KEYED.sign(sync_request_codec.encode(FORGED)).replace('"attempt": 99', '"attempt": 98'),
        KEYED.sign(sync_request_codec.encode(FORGED)).replace('"}', '", "dualsync": {"key": "k", "cause": "created"}}'),
        KEYED.sign(sync_request_codec.encode(FORGED))[:-1] + ', "dualsync": {"key": "k", "cause": "created"}}',
    ],
)
def test_only_the_key_of_an_unverified_request_is_used(body: str) -> None:
    for sent in (body, json.dumps({"Type": "Notification", "Message": body})):
        assert parse_message(sent, PRINCIPALS, str, SENT, authenticator=KEYED) == [CHECK]
    (redriven,) = parse_message(json.dumps({"redrive": body}), PRINCIPALS, str, SENT, authenticator=KEYED)
    assert redriven == replace(CHECK, reason="redriven")


def test_unverified_deletion_request_is_used_like_an_event() -> None:
    body = sync_request_codec.encode(replace(FORGED, cause=Cause.REMOVED, actor=Actor.USER))
    assert parse_message(body, PRINCIPALS, str, SENT, authenticator=KEYED) == [replace(CHECK, cause=Cause.REMOVED)]
    body = sync_request_codec.encode(replace(FORGED, cause=Cause.REMOVED, actor=Actor.USER, version_removed=True))
    assert parse_message(body, PRINCIPALS, str, SENT, authenticator=KEYED) == [CHECK]


def test_records_of_another_bucket_are_skipped_and_reported() -> None:
    skipped: list[str] = []
    foreign = copy.deepcopy(RECORD)
    foreign["s3"]["bucket"]["name"] = "another"
    body = json.dumps({"Records": [foreign, RECORD]})
    found = parse_message(body, PRINCIPALS, str, SENT, bucket="amzn-s3-demo-bucket", skip=skipped.append)
    assert [request.key for request in found] == ["HappyFace.jpg"]
    assert skipped == ["'another'"]


def test_null_fields_count_as_missing() -> None:
    made = record()
    made["userIdentity"] = None
    made["s3"]["object"] |= {"size": None, "eTag": None, "sequencer": None, "versionId": None}
    (request,) = parse_records(made)
    assert (request.actor, request.size, request.etag, request.sequencer) == (Actor.USER, 0, "", "")


def test_event_time_is_limited_to_the_time_of_the_message() -> None:
    made = record()
    made["eventTime"] = "9999-12-31T23:59:59.999Z"
    assert [request.event_time for request in parse_records(made)] == [SENT + MAX_CLOCK_SKEW_SECONDS]
    made["eventTime"] = "1969-12-31T23:59:59.999Z"
    assert [request.event_time for request in parse_records(made)] == [0.0]
