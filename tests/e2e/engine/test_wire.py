"""Test that secrets, unknowns, assets and numbers are unchanged after decoding and encoding."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from sandbox.environment.processes import ROOT
from sandbox.provider.drift import adopted
from sandbox.provider.wire import UNKNOWN, File, contains_unknown, decode, encode
from tests.e2e.pulumi_lifecycle.transcript import clean, essence

ASSET = {rpc._special_sig_key: rpc._special_asset_sig, "path": "a.tar", "hash": "abc"}
SECRET = {rpc._special_sig_key: rpc._special_secret_sig, "value": "s3cret"}


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


def plain(message: struct_pb2.Struct) -> dict[str, Any]:
    values: dict[str, Any] = json_format.MessageToDict(message)
    return values


values = st.recursive(
    st.booleans() | st.integers(-(2**50), 2**50) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text("xyz", min_size=1), values, max_size=4))
def test_plain_values_are_unchanged(properties: dict[str, Any]) -> None:
    assert decode(encode(properties)).plain == properties


def test_wrapped_values_are_encoded_unchanged() -> None:
    given = {"deep": {"list": [SECRET, 1]}, "plain": "x"}
    message = decode(struct(given))
    assert message.plain == {"deep": {"list": ["s3cret", 1]}, "plain": "x"}
    assert message.secret == {"deep"}
    assert plain(encode(message.plain, (), message)) == plain(struct(given))
    assert "s3cret" not in repr(message)


def test_a_changed_value_of_a_secret_property_stays_secret() -> None:
    message = decode(struct({"text": SECRET}))
    assert decode(encode({"text": "other"}, (), message)).secret == {"text"}


def test_decoding_does_not_change_the_message() -> None:
    message = struct({"source": ASSET, "secret": SECRET})
    before = message.SerializeToString(deterministic=True)
    decode(message)
    assert message.SerializeToString(deterministic=True) == before


def test_assets_are_compared_by_content() -> None:
    one, other = decode(struct({"source": ASSET})), decode(struct({"source": {**ASSET, "path": ""}}))
    assert one.plain == other.plain
    assert isinstance(one.plain["source"], pulumi.FileAsset)
    assert File("a", "1") != File("a", "2")


def test_the_engines_own_properties_are_left_out() -> None:
    assert decode(struct({"__defaults": [], "a": 1})).plain == {"a": 1}


def test_unknowns_are_found_in_nested_values() -> None:
    assert contains_unknown({"a": [{"b": UNKNOWN}]})
    assert not contains_unknown({"a": [{"b": "known"}]})


@pytest.mark.parametrize(
    ("given", "live", "now"),
    [
        ("1", 1, "1"),
        (True, "true", True),
        (["b", "a"], ["a", "b"], ["b", "a"]),
        (["a"], ["b"], ["b"]),
        ({"a": 1}, {"a": 1, "added": 2}, {"a": 1}),
        ({"a": 1}, {"a": 3}, {"a": 3}),
        ({"a": 1, "write-only": 2}, {"a": 1}, {"a": 1, "write-only": 2}),
    ],
)
def test_live_values_are_returned_in_the_form_of_the_given_ones(given: Any, live: Any, now: Any) -> None:
    assert adopted(given, live) == now


def test_a_transcript_keeps_changes_errors_and_counts() -> None:
    text = (
        "Updating (cn):\n +  pulumi:pulumi:Stack x creating (0s) \n +  aws:sqs:Queue a creating (0s) \n"
        " +  aws:sqs:Queue a created (0.1s) \n ~  aws:sqs:Queue b updated (0.1s) \n"
        "Diagnostics:\n  pulumi:pulumi:Stack (x):\n    error: failed\n    Traceback (most recent call last):\n"
        '      File "/somewhere/run.py", line 1, in f\n        f()\n    KeyboardInterrupt\n'
        "  aws:sqs:Queue (c):\n    error: no\n\nOutputs:\n    x: 1\n\n"
        "Resources:\n    + 1 created\n    ~ 1 updated\n\nDuration: 1s\n"
    )
    assert essence(text, 1) == [
        " +  aws:sqs:Queue                      a created",
        "   … and 1 more",
        "  pulumi:pulumi:Stack (x):",
        "    error: failed",
        "  aws:sqs:Queue (c):",
        "    error: no",
        "   + 1 created",
        "   ~ 1 updated",
    ]
    assert clean(f"at {ROOT}/.sandbox/engine-x1/project/policy of http://127.0.0.1:4242/q") == (
        "at ./policy of http://127.0.0.1:PORT/q"
    )
