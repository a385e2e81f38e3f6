"""Test that bytes of version 0.1 are read, and that version 0.1 can read what this version writes.

`formats/v0_1` holds the bytes, made by version 0.1 itself; its README explains the files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dualsync.runtime.aws.dynamodb.items import decode_entry, decode_record, encode_entry, encode_record
from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.parser import Principals, UnreadableMessageError, parse_message, parse_part_request
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.field_reader import FieldError
from dualsync.runtime.model.ledger_entry import SyncedVersion
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.service.operator_controls import DirectionControls
from dualsync.runtime.transfer import upload_record_codec

FOLDER = Path(__file__).parent / "formats" / "v0_1"
TOMBSTONE_SECONDS = 60 * 86400
NO_PRINCIPALS = Principals(frozenset())
KEYED = Authenticator("https://queue", "secret")
"""Version 0.1 signs nothing. Its bytes are signed here, so that all fields are used and can be compared."""
GROWN = {"unknown field", "a version beside"}
"""Cases that version 0.1 refuses and this version reads: a decoder ignores fields that it does not know."""


def cases(name: str, part: str = "cases") -> list[Any]:
    """Return the cases of one fixture file as parameters named after them."""
    document = json.loads((FOLDER / f"{name}.json").read_text())
    assert document["cases"]
    return [pytest.param(case, id=case["name"]) for case in document.get(part, [])]


def without_format(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item without its format number, which version 0.1 neither writes nor reads."""
    assert item["Format"] == {"N": "1"}
    return {name: value for name, value in item.items() if name != "Format"}


@pytest.mark.parametrize("to_value", [decode_entry, decode_record])
@pytest.mark.parametrize("number", ["2", "-1", "x", ""])
def test_item_of_another_format_is_refused(to_value: Callable[[dict[str, Any]], object], number: str) -> None:
    with pytest.raises(FieldError, match=r"format|Format"):
        to_value({"ObjectKey": {"S": "k"}, "Format": {"N": number}})


def synced(version: SyncedVersion | None) -> dict[str, Any] | None:
    """Return a synced version in the words of the fixtures."""
    if version is None:
        return None
    origin, here, there = version.version, version.local, version.remote
    return {
        "written at side": str(origin.origin),
        "written at time": origin.modified,
        "etag where written": origin.etag,
        "here": {"etag": here.etag, "time": here.modified},
        "there": {"etag": there.etag, "time": there.modified},
    }


@pytest.mark.parametrize("case", cases("queue-look"))
def test_sync_request_of_version_0_1_is_decoded(case: dict[str, Any]) -> None:
    (request,) = parse_message(KEYED.sign(case["bytes"]), NO_PRINCIPALS, lambda key: key, 0.0, authenticator=KEYED)
    assert case["decoded"] == {
        "key": request.key,
        "why to look": str(request.cause),
        "who caused it": str(request.actor),
        "order of the event": request.sequencer,
        "etag": request.etag,
        "version": request.version_id,
        "one version removed by id": request.version_removed,
        "size": request.size,
        "time of the event": request.event_time,
        "first sent": request.first_sent,
        "refused since": request.denied_since,
        "tries": request.attempt,
        "see both sides first": request.full_check,
        "may have acted unknowingly": request.may_have_written,
        "may delete": request.may_delete,
        "reason": request.reason,
        "unrecorded agreement": synced(request.unrecorded),
    }


@pytest.mark.parametrize("case", cases("queue-look"))
def test_only_the_key_of_an_unsigned_sync_request_is_used(case: dict[str, Any]) -> None:
    (request,) = parse_message(case["bytes"], NO_PRINCIPALS, lambda key: key, 7.0, authenticator=KEYED)
    assert request == SyncRequest(
        case["decoded"]["key"],
        request.cause,
        first_sent=7.0,
        full_check=True,
        may_have_written=True,
        reason="not authenticated",
    )
    assert request.cause in (Cause.FINDER, Cause.REMOVED)


@pytest.mark.parametrize("case", cases("queue-look"))
def test_sync_request_is_encoded_as_by_version_0_1(case: dict[str, Any]) -> None:
    """Version 0.1 refuses unknown fields, and ignores members beside its own."""
    (request,) = parse_message(KEYED.sign(case["bytes"]), NO_PRINCIPALS, lambda key: key, 0.0, authenticator=KEYED)
    written = json.loads(sync_request_codec.encode(request))
    assert next(iter(written)) == sync_request_codec.MEMBER
    assert written[sync_request_codec.MEMBER] == json.loads(case["bytes"])[sync_request_codec.MEMBER]


@pytest.mark.parametrize("case", [c for c in cases("queue-look", "refused") if c.id not in GROWN])
def test_malformed_sync_request_is_refused(case: dict[str, Any]) -> None:
    if case["name"] == "an empty agreement":
        pytest.skip("an empty list is read like an absent one")
    with pytest.raises(UnreadableMessageError):
        parse_message(KEYED.sign(case["bytes"]), NO_PRINCIPALS, lambda key: key, 0.0, authenticator=KEYED)


@pytest.mark.parametrize("case", [c for c in cases("queue-look", "refused") if c.id in GROWN])
def test_unknown_fields_of_a_sync_request_are_ignored(case: dict[str, Any]) -> None:
    (request,) = parse_message(KEYED.sign(case["bytes"]), NO_PRINCIPALS, lambda key: key, 0.0, authenticator=KEYED)
    assert request.key == "k"


def test_message_of_a_later_format_is_refused() -> None:
    body = json.dumps({"dualsync": {"key": "k", "cause": "finding"}, "format": sync_request_codec.FORMAT + 1})
    with pytest.raises(UnreadableMessageError, match="format"):
        parse_message(body, NO_PRINCIPALS, lambda key: key, 0.0)


@pytest.mark.parametrize("case", [*cases("queue-parts"), *cases("queue-parts", "also_read")])
def test_part_request_of_version_0_1_is_decoded(case: dict[str, Any]) -> None:
    if not case["bytes"].startswith(part_request_codec.START):
        (request,) = parse_message(KEYED.sign(case["bytes"]), NO_PRINCIPALS, lambda key: key, 0.0, authenticator=KEYED)
        assert request.full_check
        return
    part = parse_part_request(KEYED.sign(case["bytes"]), KEYED)
    assert part is not None
    assert case["decoded"] == {
        "key": part.key,
        "way": part.route,
        "target key": part.target_key,
        "upload": part.upload_id,
        "first part": part.first,
        "last part": part.last,
        "tries": part.attempt,
        "first sent": part.first_sent,
        "refused since": part.denied_since,
    }
    written = json.loads(part_request_codec.encode(part))
    assert written[part_request_codec.MEMBER] == json.loads(case["bytes"])[part_request_codec.MEMBER]
    assert part_request_codec.encode(part).startswith(part_request_codec.START)


@pytest.mark.parametrize("case", [c for c in cases("queue-parts", "refused") if c.id not in GROWN])
def test_malformed_part_request_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(UnreadableMessageError):
        parse_part_request(KEYED.sign(case["bytes"]), KEYED)


@pytest.mark.parametrize("case", cases("ledger-entry"))
def test_ledger_entry_of_version_0_1_is_decoded(case: dict[str, Any]) -> None:
    entry = decode_entry(case["bytes"])
    read = {
        "key": entry.key,
        "revision": entry.revision,
        "both hold": synced(entry.synced),
        "expired here": synced(entry.expired),
        "held before": synced(entry.previous),
        "deleted versions": [synced(version) for version in entry.deleted_versions],
        "highest event acted on": entry.sequencer,
        "first arrival": entry.first_event,
        "last arrival": entry.last_event,
        "last arrival of the one before": entry.previous_last_event,
        "arrival of what came in between": entry.interval_end,
        "last deletion by a user here": entry.last_deletion,
        "time of the last death": entry.deleted_at,
        "stood alone": entry.unmatched,
    }
    assert {name: case["decoded"][name] for name in read} == read
    assert without_format(encode_entry(entry, TOMBSTONE_SECONDS)) == case["bytes"]


@pytest.mark.parametrize("case", cases("ledger-entry", "refused"))
def test_malformed_ledger_entry_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(FieldError):
        decode_entry(case["bytes"])


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("record-*.json")))
def test_records_of_version_0_1_are_encoded_byte_for_byte(name: str) -> None:
    """Version 0.1 compares the text of the data when it replaces or removes a record."""
    for parameter in cases(name):
        item = parameter.values[0]["bytes"]
        assert without_format(encode_record(decode_record(item))) == item, parameter.id


@pytest.mark.parametrize("case", cases("record-upload"))
def test_upload_record_of_version_0_1_is_decoded(case: dict[str, Any]) -> None:
    record = decode_record(case["bytes"])
    upload = upload_record_codec.decode(record)
    assert upload_record_codec.encode(upload) == record
    if upload.request:
        request = sync_request_codec.decode_fields(upload.request)
        assert sync_request_codec.encode_fields(request) == upload.request


@pytest.mark.parametrize("case", [*cases("record-control"), *cases("record-control", "also_read")])
def test_controls_of_version_0_1_are_decoded(case: dict[str, Any]) -> None:
    orders, wanted = DirectionControls.from_record(decode_record(case["bytes"])), case["decoded"]["data"]
    assert wanted == {
        "paused": orders.paused,
        "reason": orders.reason,
        "by whom": orders.by,
        "since": orders.since,
        "most bytes a second": orders.bytes_per_second,
        "most requests a second": orders.requests_per_second,
    }


@pytest.mark.parametrize("case", cases("record-finder-checkpoint"))
def test_checkpoint_of_version_0_1_is_decoded(case: dict[str, Any]) -> None:
    data: Any = decode_record(case["bytes"]).data
    for progress in data["legs"]:
        assert RangeProgress.from_data(progress).data() == {**progress, "waiting": 0}, (
            "version 0.1 ignores the new count"
        )


@pytest.mark.parametrize("case", [c for c in cases("stamp") if c.values[0]["bytes"]])
def test_stamp_of_version_0_1_is_decoded(case: dict[str, Any]) -> None:
    stamp = Stamp.decode(case["bytes"])
    assert stamp is not None
    assert stamp.encode() == case["bytes"]
    assert case["decoded"] == {
        "pair": stamp.pair,
        "hash of the key": stamp.key_hash,
        "written at side": str(stamp.version.origin),
        "written at time": stamp.version.modified,
        "etag where written": stamp.version.etag,
        "size": stamp.size,
    }


@pytest.mark.parametrize("case", cases("stamp", "refused"))
def test_text_that_version_0_1_refuses_is_no_stamp(case: dict[str, Any]) -> None:
    assert Stamp.decode(case["bytes"]) is None
