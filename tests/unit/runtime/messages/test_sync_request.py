"""Test sync requests as messages: encoding, decoding and retries."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.origin_version import OriginVersion
from tests.support.builders import CN, synced_version

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
TIME = st.floats(0, 1e11)
WROTE = synced_version(OriginVersion(CN, 5, "e"), remote="f")
REQUESTS = st.builds(
    SyncRequest,
    key=TEXT.filter(bool),
    cause=st.sampled_from(Cause),
    actor=st.sampled_from(Actor),
    sequencer=st.just("") | st.text("0123456789abcdef", min_size=32, max_size=32),
    etag=TEXT,
    version_id=TEXT,
    version_removed=st.booleans(),
    size=st.integers(0, 50 << 40),
    event_time=TIME,
    first_sent=TIME,
    denied_since=TIME,
    attempt=st.integers(0, 1000),
    full_check=st.booleans(),
    may_have_written=st.booleans(),
    may_delete=st.booleans(),
    reason=TEXT,
    unrecorded=st.none() | st.just(WROTE),
)


def read(body: str) -> SyncRequest:
    return sync_request_codec.decode_fields(json.loads(body)["dualsync"])


@given(REQUESTS)
def test_sync_request_round_trips(request: SyncRequest) -> None:
    assert read(sync_request_codec.encode(request)) == request


def test_empty_fields_are_not_encoded() -> None:
    assert set(json.loads(sync_request_codec.encode(SyncRequest("k", Cause.FINDER)))["dualsync"]) == {
        "key",
        "cause",
        "actor",
    }


@given(REQUESTS)
def test_body_has_only_characters_that_sqs_accepts(request: SyncRequest) -> None:
    body = sync_request_codec.encode(request)
    assert not re.search("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", body)


@pytest.mark.parametrize("character", ["\ufffe", "\uffff"])
def test_characters_that_sqs_refuses_are_escaped(character: str) -> None:
    request = SyncRequest(f"a{character}b", Cause.FINDER, reason=character)
    body = sync_request_codec.encode(request)
    assert character not in body
    assert read(body) == request


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "5"}, "field 'size' is '5', not an integer"),
        ({"size": True}, "field 'size' is True"),
        ({"size": -1}, "field 'size' is -1"),
        ({"size": 10**30}, "field 'size' is a huge integer"),
        ({"key": 7}, "field 'key' is 7, not a key"),
        ({"key": "k" * 1025}, "not a key of 1 to 1024 bytes"),
        ({"careful": 1}, "field 'careful' is 1, not true or false"),
        ({"since": "now"}, "field 'since' is 'now'"),
        ({"since": math.nan}, "field 'since' is nan"),
        ({"since": math.inf}, "field 'since' is inf"),
        ({"since": -1}, "field 'since' is -1"),
        ({"denied": 1e300}, "field 'denied' is 1e[+]300"),
        ({"attempt": 1.5}, "field 'attempt' is 1.5"),
        ({"etag": None}, "field 'etag' is None"),
        ({"etag": "e" * 257}, "field 'etag'"),
        ({"sequencer": "zzz"}, "not hexadecimal digits"),
        ({"sequencer": "f" * 200_000}, "field 'sequencer'"),
        ({"reason": 1}, "field 'reason'"),
        ({"cause": "whim"}, "field 'cause' is 'whim', not one of created"),
        ({"cause": ["created"]}, "field 'cause'"),
        ({"actor": "god"}, "god"),
        ({"wrote": ["moon", 5, "e", "e", 5, "f", None]}, "moon"),
        ({"wrote": ["cn"]}, "not a list of 7"),
        ({"wrote": ["cn", "x", None, {}, [], None, True]}, "'x' is not a time"),
        ({"wrote": ["cn", 1, None, "e", 1, "e", 1]}, "None is not an ETag"),
        ({"wrote": ["cn", 1, "e", "e", True, "e", 1]}, "True is not a time"),
        ({"key": ""}, "not a key"),
    ],
)
def test_malformed_sync_request_is_refused_naming_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sync_request_codec.decode_fields({"key": "k", "cause": "created"} | change)


@pytest.mark.parametrize("fields", [{}, {"key": "k"}, {"cause": "finding"}])
def test_sync_request_without_key_or_cause_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is missing"):
        sync_request_codec.decode_fields(fields)


def test_integer_seconds_are_accepted_as_times() -> None:
    assert sync_request_codec.decode_fields({"key": "k", "cause": "finding", "since": 5}).first_sent == 5.0


def test_conflict_counts_an_attempt_and_a_service_error_does_not() -> None:
    request = SyncRequest("k", Cause.CREATED, first_sent=7.0)
    again, later = (
        request.retry_after_conflict("412").retry_after_conflict("409"),
        request.retry_after_error("503").retry_after_error("503"),
    )
    assert (again.attempt, again.full_check, again.reason, again.first_sent) == (2, True, "409", 7.0)
    assert (later.attempt, later.full_check, later.reason) == (0, True, "503")
    assert request.as_deletion().cause is Cause.REMOVED


def test_retries_keep_the_correlation_of_the_request() -> None:
    event = SyncRequest("k", Cause.CREATED, sequencer="00ab", first_sent=5.0)
    assert event.correlation == event.retry_after_conflict("changed").retry_after_error("503").correlation == "00ab"
    finding = SyncRequest("k", Cause.FINDER, first_sent=1_790_000_000.0)
    assert finding.correlation == finding.retry_after_conflict("changed").correlation == "finding-1790000000"
    assert SyncRequest("k", Cause.CREATED).correlation == ""
