"""Mutated messages through the real handler: no exception escapes, and no effect that the trust model does not allow.

Seeds are bodies that version 0.1 wrote, and S3's own records. Nothing is signed: no message here has the key.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualsync.runtime.aws.dynamodb.items import decode_entry
from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.model import synced_version_codec
from dualsync.runtime.model.field_reader import FieldError
from dualsync.runtime.model.ledger_entry import UnreadableEntryError
from dualsync.runtime.model.origin_version import OriginVersion, Stamp
from tests.support import builders
from tests.support.builders import DEDICATED, GLOBAL, ROLE, USER, Side, stamp
from tests.support.fakes.gate import run

FORMATS = Path(__file__).parents[3] / "contract" / "formats" / "v0_1"
PEERS_OWN_USER = "AIDAUSEROFGLOBAL00000"
EVENT = {
    "eventName": "ObjectCreated:Put",
    "eventTime": "2026-09-21T14:13:20.250Z",
    "userIdentity": {"principalId": f"AWS:{USER}"},
    "s3": {
        "bucket": {"name": "bucket-cn"},
        "object": {"key": "k", "size": 3, "eTag": "e", "versionId": "null", "sequencer": "0055AED6DCD90281E5"},
    },
}


def bytes_of(name: str) -> list[str]:
    """Return the bodies of one fixture file."""
    document = json.loads((FORMATS / f"{name}.json").read_text())
    return [case["bytes"] for part in ("cases", "also_read", "refused") for case in document.get(part, [])]


BODIES = [
    *bytes_of("queue-look"),
    *bytes_of("queue-parts"),
    *bytes_of("queue-redrive"),
    json.dumps({"Records": [EVENT]}),
    json.dumps({"Records": [EVENT, EVENT | {"eventName": "ObjectRemoved:Delete"}]}),
    json.dumps({"Type": "Notification", "Message": json.dumps({"Records": [EVENT]})}),
]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1 << 62,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "k",
    "f" * 32,
    "0",
    "zzz",
    "\ud800",
    "\x00\ufffe",
    "x" * 5000,
    f"AWS:{DEDICATED}",
    f"AWS:{ROLE}:i-0",
    "ObjectRemoved:Delete",
    "ObjectCreated:Put",
    "LifecycleExpiration:Delete",
    "2999-01-01T00:00:00.000Z",
    "0001-01-01T00:00:00",
    "created",
    "removed",
    "expired",
    "finding",
    "echo",
    "user",
    "local>remote",
    [],
    {},
    [None],
    ["cn", 1, "e", "e", 1, "e", 1],
    ["cn", "x", None, {}, [], None, True],
]


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths at which a JSON value can be changed."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for name, child in inner for path in paths(child, (*at, name)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return the value with something else at a path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@st.composite
def mutated(draw: st.DrawFn, seeds: list[str], values: list[Any]) -> str:
    """Draw a seed with up to four changes of its fields, or of its text."""
    text = draw(st.sampled_from(seeds))
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if document is not None and draw(st.integers(0, 9)):
        for _ in range(draw(st.integers(1, 4))):
            path = draw(st.sampled_from(paths(document)))
            document = put(document, path, draw(st.sampled_from(values)))
        return json.dumps(document, ensure_ascii=draw(st.booleans()))
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 3)) :]


class World(Side):
    """A side with keys in four states.

    `k` is synced from here, `r` from the peer; `mine` and `theirs` exist on one side only.
    """

    def __init__(self) -> None:
        super().__init__(builders.settings())
        self.work(self.put("k", b"abc"))
        self.time.now += 1
        there = self.there.put("r", b"abc", PEERS_OWN_USER)
        version = OriginVersion(GLOBAL, self.there.now(), there.etag)
        self.here.put("r", b"abc", DEDICATED, stamp=stamp(version, key="r"))
        self.work()
        self.time.now += 5
        self.there.put("theirs", b"new", PEERS_OWN_USER)
        self.here.put("mine", b"new", USER)
        self.etags = [v.seen.etag for s in (self.here, self.there) for key in s.keys.values() for v in key]

    def contents(self) -> dict[str, tuple[bytes | None, bytes | None]]:
        """Return what each side holds of each key."""
        found = {}
        for key in ("k", "r", "theirs", "mine"):
            here, there = self.here.current(key), self.there.current(key)
            found[key] = (here.body if here else None, there.body if there else None)
        return found


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_unsigned_messages_change_no_object_and_raise_nothing(data: st.DataObject) -> None:
    world = World()
    keys = st.sampled_from(["k", "r", "theirs", "mine"])
    for _ in range(data.draw(st.integers(1, 4))):
        values = [*VALUES, *world.etags, data.draw(keys), data.draw(keys)]
        text = data.draw(mutated(BODIES, values))
        run(world.worker.process(world.message(text)))
    for letter in list(world.broker.letters.values())[:4]:
        world.time.now = max(world.time.now, letter.visible)
        message = world.broker.take(letter)
        if message is not None:
            run(world.worker.process(message))
    held = world.contents()
    assert held["k"] == held["r"] == (b"abc", b"abc")
    assert held["theirs"][1] == held["mine"][0] == b"new"
    assert held["theirs"][0] in (None, b"new")
    assert held["mine"][1] in (None, b"new")
    allowed = {"k", "r", "theirs", "mine"}
    assert {*world.here.keys, *world.there.keys} <= allowed


@settings(max_examples=1000, deadline=None)
@given(mutated([*bytes_of("queue-look"), *bytes_of("queue-parts")], VALUES))
def test_message_decoders_raise_field_errors_only(text: str) -> None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    for codec in (sync_request_codec, part_request_codec):
        inner = document.get(codec.MEMBER) if isinstance(document, dict) else document
        try:
            request = codec.decode_fields(inner)
        except FieldError:
            continue
        assert json.loads(codec.encode(request))


ENTRIES = [json.dumps(item) for item in bytes_of("ledger-entry")]


@settings(max_examples=1000, deadline=None)
@given(mutated(ENTRIES, [*VALUES, {"S": "x"}, {"N": "1e5"}, {"N": "-1"}, {"N": "9" * 40}, {"S": "[[null]]"}]))
def test_ledger_item_decoder_raises_unreadable_entry_errors_only(text: str) -> None:
    try:
        item = json.loads(text)
    except ValueError:
        return
    if not isinstance(item, dict):
        return
    error = None
    try:
        decode_entry(item)
    except UnreadableEntryError as e:
        error = e
    if error is not None:
        assert error.entry().revision == error.revision >= 0
        assert "\n" not in str(error)


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=200) | st.sampled_from(["1;p;", "1;p;" + "A" * 22 + ";cn;1;e;3"]))
def test_stamp_decoder_returns_a_stamp_or_none_for_any_text(text: str) -> None:
    found = Stamp.decode(text)
    assert found is None or found.encode() == text


@settings(max_examples=500, deadline=None)
@given(st.recursive(st.sampled_from([v for v in VALUES if not isinstance(v, (list, dict))]), st.lists, max_leaves=9))
def test_synced_version_decoder_refuses_any_other_value(value: Any) -> None:
    with pytest.raises(FieldError):
        synced_version_codec.decode([value])
    try:
        version = synced_version_codec.decode(value)
    except FieldError:
        return
    assert synced_version_codec.encode(version) == list(value)
