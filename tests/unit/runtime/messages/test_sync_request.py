"""Looks of our own, as messages."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualsync.runtime.messages.sync_request import Actor, Cause, Look, from_body
from dualsync.runtime.model.origin_version import Identity
from tests.support.builders import CN, agreement

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
TIME = st.floats(0, 1e11)
ROW = tuple(agreement(Identity(CN, 5, "e"), remote="f").row())
BY_TYPE: dict[type, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(0, 50 << 40),
    float: TIME,
    bool: st.booleans(),
    tuple: st.just(()) | st.just(ROW),
    Actor: st.sampled_from(Actor),
}
OPTIONAL = {f.name: type(f.default) for f in fields(Look) if f.default is not MISSING}
LOOK = st.builds(
    Look,
    key=TEXT.filter(bool),
    cause=st.sampled_from(Cause),
    **{name: BY_TYPE[kind] for name, kind in OPTIONAL.items()},
)


def read(body: str) -> Look:
    return from_body(json.loads(body)["dualsync"])


@given(LOOK)
def test_a_look_survives_the_queue(look: Look) -> None:
    assert read(look.body()) == look


def test_every_field_travels_and_only_what_says_something() -> None:
    full = {str: "x", int: 2, float: 3.5, bool: True, tuple: ROW, Actor: Actor.OWN}
    look = Look("k", Cause.FINDING, **{name: full[kind] for name, kind in OPTIONAL.items()})  # type: ignore[arg-type]
    assert set(json.loads(look.body())["dualsync"]) == {f.name for f in fields(Look)}
    assert set(json.loads(Look("k", Cause.FINDING).body())["dualsync"]) == {"key", "cause", "actor"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "5"}, "field 'size' of a look is '5'"),
        ({"size": True}, "field 'size' of a look is True"),
        ({"key": 7}, "field 'key' of a look is 7"),
        ({"careful": 1}, "field 'careful' of a look is 1"),
        ({"since": "now"}, "field 'since' of a look is 'now'"),
        ({"attempt": 1.5}, "field 'attempt' of a look is 1.5"),
        ({"colour": "red"}, "unknown field 'colour' in a look"),
        ({"cause": "whim"}, "whim"),
        ({"cause": ["created"]}, "created"),
        ({"actor": "god"}, "god"),
        ({"wrote": ["moon", 5, "e", "e", 5, "f", None]}, "moon"),
        ({"wrote": ["cn"]}, "not enough values"),
        ({"key": ""}, "without key or cause"),
    ],
)
def test_what_is_no_look_is_refused_by_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_body({"key": "k", "cause": "created"} | change)


@pytest.mark.parametrize("fields", [{}, {"key": "k"}, {"cause": "finding"}])
def test_key_and_cause_are_needed(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="without key or cause"):
        from_body(fields)


def test_whole_seconds_are_times_too() -> None:
    assert from_body({"key": "k", "cause": "finding", "since": 5}).since == 5.0


def test_contention_counts_an_attempt_and_silence_of_a_service_does_not() -> None:
    look = Look("k", Cause.CREATED, since=7.0)
    again, later = look.again("412").again("409"), look.later("503").later("503")
    assert (again.attempt, again.careful, again.reason, again.since) == (2, True, "409", 7.0)
    assert (later.attempt, later.careful, later.reason) == (0, True, "503")
    assert look.as_removal().cause is Cause.REMOVED


def test_all_lines_of_a_look_share_its_correlation() -> None:
    event = Look("k", Cause.CREATED, sequencer="00ab", since=5.0)
    assert event.correlation == event.again("changed").later("503").correlation == "00ab"
    finding = Look("k", Cause.FINDING, since=1_790_000_000.0)
    assert finding.correlation == finding.again("changed").correlation == "finding-1790000000"
    assert Look("k", Cause.CREATED).correlation == ""
