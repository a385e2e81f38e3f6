"""Test messages that S3 does not document: each is refused as unreadable or parsed into a valid sync request."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.messages.parser import UnreadableMessageError
from dualsync.runtime.messages.sync_request import SyncRequest
from tests.unit.runtime.messages.test_parser import RECORD, parse, parse_records, record


def without(path: str) -> dict[str, Any]:
    made = copy.deepcopy(RECORD)
    *way, last = path.split(".")
    inner = made
    for name in way:
        inner = inner[name]
    del inner[last]
    return made


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "null",
        "[]",
        "7",
        '"text"',
        "{}",
        '{"Records": {}}',
        '{"Records": null}',
        '{"Records": [null]}',
        '{"Records": ["x"]}',
        '{"Records": [{}]}',
        '{"Type": "Notification", "Message": "no json"}',
        '{"Type": "Notification", "Message": {}}',
        '{"detail-type": "Object Created", "source": "aws.s3", "detail": {}}',
        '{"dualsync": null}',
        '{"dualsync": []}',
        '{"dualsync": {"key": "k"}}',
        '{"dualsync": {"key": "k", "cause": "created", "since": 1' + "0" * 400 + "}}",
        '{"dualsync": {"key": "\\ud800", "cause": "created"}}',
        "[" * 100_000,
        *(
            json.dumps({"Records": [made]})
            for made in (
                without("eventName"),
                without("eventTime"),
                without("s3"),
                without("s3.object"),
                without("s3.object.key"),
                record(key="%ff"),
                record(key=7),
                record(key="\ud800"),
                record(size="big"),
                record(size=float("inf")),
                record(eTag=5),
                record(sequencer=5),
                {**RECORD, "eventTime": "yesterday"},
                {**RECORD, "eventName": 5},
                {**RECORD, "userIdentity": "me"},
            )
        ),
    ],
    ids=lambda body: body[-60:],
)
def test_malformed_message_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableMessageError, match=r"."):
        parse(body)


def test_eventbridge_event_is_refused_with_a_remedy() -> None:
    """Only notifications that S3 itself sends, to the queue or through SNS, are supported."""
    body = json.dumps({"detail-type": "Object Created", "source": "aws.s3", "detail": {"object": {"key": "k"}}})
    with pytest.raises(UnreadableMessageError, match=r"an event of EventBridge.*remove the rule"):
        parse(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELD = st.sampled_from(["eventName", "eventTime", "userIdentity", "s3", "object", "key", "size", "eTag", "versionId"])


@given(FIELD, JSON)
def test_broken_record_gives_sync_requests_or_is_unreadable(name: str, value: Any) -> None:
    made = record()
    target = made if name in made else made["s3"] if name in made["s3"] else made["s3"]["object"]
    target[name] = value
    try:
        found = parse_records(made)
    except UnreadableMessageError:
        return
    assert all(isinstance(request, SyncRequest) for request in found)
