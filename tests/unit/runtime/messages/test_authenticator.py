"""Test the authenticator of the messages that a side sends to itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Cause, SyncRequest

KEYED = Authenticator("https://queue", "secret")
BODY = sync_request_codec.encode(SyncRequest("k", Cause.FINDER, may_delete=True))
PART = part_request_codec.encode(PartRequest("k", "local>remote", "k", "u", 1, 2))


@pytest.mark.parametrize("body", [BODY, PART, '{"a": "\u2028\\ufffe\U0001f600"}'])
def test_signed_message_verifies_and_keeps_its_content(body: str) -> None:
    signed = KEYED.sign(body)
    assert KEYED.verify(signed)
    assert {k: v for k, v in json.loads(signed).items() if k != "authenticator"} == json.loads(body)


def test_signed_part_request_keeps_the_start_that_version_0_1_recognises() -> None:
    assert KEYED.sign(PART).startswith(part_request_codec.START)


@given(st.integers(0, len(KEYED.sign(BODY)) - 1), st.characters())
def test_changed_message_does_not_verify(at: int, character: str) -> None:
    signed = KEYED.sign(BODY)
    changed = signed[:at] + character + signed[at + 1 :]
    assert KEYED.verify(changed) == (changed == signed)


@pytest.mark.parametrize("body", ["", "{}", BODY, PART, "null", KEYED.sign(BODY) + " ", " " + KEYED.sign(BODY)])
def test_unsigned_message_does_not_verify(body: str) -> None:
    assert not KEYED.verify(body)


def test_message_of_another_queue_or_key_does_not_verify() -> None:
    assert not Authenticator("https://another", "secret").verify(KEYED.sign(BODY))
    assert not Authenticator("https://queue", "another").verify(KEYED.sign(BODY))


def test_authenticator_without_a_key_signs_and_verifies_nothing() -> None:
    keyless = Authenticator("https://queue")
    assert keyless.sign(BODY) == BODY
    assert not keyless.verify(BODY)
    assert not keyless.verify(KEYED.sign(BODY))


def test_only_the_previous_key_is_accepted_after_a_rotation() -> None:
    keyed = Authenticator("https://queue", "first")
    first = keyed.sign(BODY)
    keyed.use("second")
    keyed.use("second")
    assert keyed.verify(first)
    assert keyed.verify(keyed.sign(BODY))
    assert keyed.sign(BODY) == Authenticator("https://queue", "second").sign(BODY)
    keyed.use("third")
    assert not keyed.verify(first)
