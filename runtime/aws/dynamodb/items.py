"""The ledger's entries and records as DynamoDB items.

A synced version is one short JSON text, not a map, because items are billed per KiB, including attribute names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from dualsync.runtime.model import announced_write_codec, synced_version_codec
from dualsync.runtime.model.field_reader import MAX_COUNT, MAX_SECONDS, FieldError, parse_json, shorten
from dualsync.runtime.model.ledger_entry import MAX_DELETED_VERSIONS, NEWER_FORMAT, LedgerEntry, UnreadableEntryError
from dualsync.runtime.model.records import Record
from dualsync.runtime.model.sequencer import normalise

KEY = "ObjectKey"
REVISION = "Revision"
EXPIRES = "ExpiresAt"
RECORD_KIND = "RecordKind"
RECORD_TIME = "RecordTime"
RECORDS_INDEX = "records"
FORMAT_NAME = "Format"
FORMAT = 1
"""Format of an item; without the attribute it is 1, as version 0.1 wrote it. Version 0.1 ignores the attribute. A new
attribute does not change the format; a changed meaning does, and then older versions must refuse the item."""

_ESCAPE = "//dualsync/"
_OBJECT = _ESCAPE + "object/"
_RECORD = _ESCAPE + "record/"
_LONGEST_ID = 900

_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)

Value = Mapping[str, Any]
Item = dict[str, Value]


def table_key(key: str) -> str:
    """Return the table's key for an object's key. A key that resembles a record's is escaped, so that none is one."""
    return _OBJECT + key if key.startswith(_ESCAPE) else key


def object_key(stored: str) -> str:
    """Return the object's key for the table's key: the reverse of `table_key`."""
    return stored[len(_OBJECT) :] if stored.startswith(_OBJECT) else stored


def record_key(kind: str, id: str) -> str:
    """Return a record's key in the table; long ids are hashed (a table's key has at most 2,048 bytes)."""
    if len(id.encode()) > _LONGEST_ID:
        id = "sha256-" + hashlib.sha256(id.encode()).hexdigest()
    return f"{_RECORD}{kind}/{id}"


def encode_entry(entry: LedgerEntry, tombstone_seconds: int) -> Item:
    """Return the whole item of an entry.

    If no side holds the object, it expires `tombstone_seconds` after its last update.
    """
    item: Item = {
        KEY: {"S": table_key(entry.key)},
        REVISION: {"N": str(entry.revision)},
        FORMAT_NAME: {"N": str(FORMAT)},
        "Updated": {"N": str(entry.updated)},
    }
    texts = {
        "Sequencer": entry.sequencer,
        "Arrived": entry.first_event,
        "Landed": entry.last_event,
        "Left": entry.previous_last_event,
        "Until": entry.interval_end,
        "Former": _dump(synced_version_codec.encode(entry.previous)) if entry.previous else "",
        "Deleted": entry.last_deletion,
        # Version 0.1 drops it, and `Overwrote`: then nothing is known of such a write.
        "Pending": _dump(announced_write_codec.encode(entry.pending)) if entry.pending else "",
        "Overwrote": _dump(announced_write_codec.encode(entry.overwrite)) if entry.overwrite else "",
        "Alone": entry.unmatched,
        # Version 0.1 drops it: then a forged event of a user's write of what is here is believed after some checks.
        "Echoed": entry.echoed,
        "Attributes": entry.attributes,
        "Agreed": _dump(synced_version_codec.encode(entry.synced)) if entry.synced else "",
        "Expired": _dump(synced_version_codec.encode(entry.expired)) if entry.expired else "",
        "Dead": _dump([synced_version_codec.encode(dead) for dead in entry.deleted_versions])
        if entry.deleted_versions
        else "",
    }
    item.update({name: {"S": text} for name, text in texts.items() if text})
    if entry.first_modified is not None:
        # Version 0.1 drops it, and `SecondCopy`: then nothing proves that a version was here twice, nor deletes it.
        item["FirstModified"] = {"N": str(entry.first_modified)}
    if entry.second_copy:
        item["SecondCopy"] = {"N": "1"}
    if entry.deleted_at:
        item["Died"] = {"N": str(entry.deleted_at)}
    if entry.synced is None and entry.expired is None:
        item[EXPIRES] = {"N": str(entry.updated + tombstone_seconds)}
    return item


def decode_entry(item: Mapping[str, Any]) -> LedgerEntry:
    """Return the entry of an item that `encode_entry` made. Raises `UnreadableEntryError` for any other item."""
    key = object_key(_lenient(item, KEY, "S"))
    try:
        _check_format(item)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        raise UnreadableEntryError(key, NEWER_FORMAT, f"{type(e).__name__}: {e}"[:200]) from None
    try:
        return _entry_of_fields(key, item)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        revision = _lenient(item, REVISION, "N")
        known = int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 16 else 0
        raise UnreadableEntryError(key, known, f"{type(e).__name__}: {e}"[:200]) from None


def entry_or_unreadable(item: Mapping[str, Any]) -> LedgerEntry:
    """Return the entry of an item, or for an unreadable one an entry that says so, so that other keys are not held."""
    try:
        return decode_entry(item)
    except UnreadableEntryError as e:
        return e.entry()


def _lenient(item: Mapping[str, Any], name: str, kind: str) -> str:
    value = item.get(name)
    text = value.get(kind) if isinstance(value, Mapping) else None
    return text if isinstance(text, str) else ""


def _entry_of_fields(key: str, item: Mapping[str, Any]) -> LedgerEntry:
    agreed = _text(item, "Agreed")
    expired = _text(item, "Expired")
    former = _text(item, "Former")
    pending = _text(item, "Pending")
    overwrite = _text(item, "Overwrote")
    dead = parse_json(_text(item, "Dead") or "[]")
    if not isinstance(dead, list):
        raise FieldError("ledger entry: 'Dead' is not a list")
    return LedgerEntry(
        key=key,
        revision=_count(item, REVISION),
        synced=synced_version_codec.decode(parse_json(agreed)) if agreed else None,
        expired=synced_version_codec.decode(parse_json(expired)) if expired else None,
        deleted_versions=tuple(synced_version_codec.decode(row) for row in dead[-MAX_DELETED_VERSIONS:]),
        sequencer=_sequencer(item, "Sequencer"),
        first_event=_sequencer(item, "Arrived"),
        last_event=_sequencer(item, "Landed"),
        previous_last_event=_sequencer(item, "Left"),
        first_modified=_count(item, "FirstModified", MAX_SECONDS) if "FirstModified" in item else None,
        second_copy=_count(item, "SecondCopy", 1) == 1,
        interval_end=_sequencer(item, "Until"),
        previous=synced_version_codec.decode(parse_json(former)) if former else None,
        last_deletion=_sequencer(item, "Deleted"),
        deleted_at=_count(item, "Died", MAX_SECONDS),
        attributes=_text(item, "Attributes"),
        pending=announced_write_codec.decode(parse_json(pending)) if pending else None,
        overwrite=announced_write_codec.decode(parse_json(overwrite)) if overwrite else None,
        unmatched=_text(item, "Alone"),
        echoed=_text(item, "Echoed"),
        updated=_count(item, "Updated", MAX_SECONDS),
    )


def _sequencer(item: Mapping[str, Any], name: str) -> str:
    text = _text(item, name)
    normalised = normalise(text)
    if text and not normalised:
        raise FieldError(f"ledger entry: {name!r} is {shorten(text)}, not a sequencer")
    return normalised


def _count(item: Mapping[str, Any], name: str, high: int = MAX_COUNT) -> int:
    number = _number(item, name)
    if not 0 <= number <= high:
        raise FieldError(f"ledger entry: {name!r} is {shorten(number)}, not an integer from 0 to {high}")
    return number


def encode_record(record: Record) -> Item:
    """Return the item of a record. Only records have the index's attributes, so the index holds nothing else."""
    item: Item = {
        KEY: {"S": record_key(record.kind, record.id)},
        FORMAT_NAME: {"N": str(FORMAT)},
        RECORD_KIND: {"S": record.kind},
        RECORD_TIME: {"N": str(record.time)},
        "RecordId": {"S": record.id},
        "RecordData": {"S": _dump(dict(record.data))},
    }
    if record.key:
        item["RecordKey"] = {"S": record.key}
    if record.expires:
        item[EXPIRES] = {"N": str(record.expires)}
    return item


def decode_record(item: Mapping[str, Any]) -> Record:
    """Return the record of an item that `encode_record` made. Raises `FieldError` for any other item."""
    _check_format(item)
    data = parse_json(_text(item, "RecordData") or "{}")
    if not isinstance(data, dict):
        raise FieldError(f"ledger item: attribute 'RecordData' is {shorten(data)}, not an object")
    return Record(
        kind=_text(item, RECORD_KIND),
        id=_text(item, "RecordId"),
        time=_number(item, RECORD_TIME),
        key=_text(item, "RecordKey"),
        data=data,
        expires=_number(item, EXPIRES),
    )


def record_or_none(item: Mapping[str, Any], kind: str) -> Record | None:
    """Return the record of an item; None for an unreadable one of this kind, so that a list shows the others.

    Raises `ValueError` for an item of another kind, and what an item that is no map raises.
    """
    if _text(item, RECORD_KIND) != kind:
        raise FieldError(f"ledger item: of kind {shorten(item.get(RECORD_KIND))}, not {kind!r}")
    try:
        return decode_record(item)
    except (AttributeError, LookupError, TypeError, ValueError):
        return None


def _dump(value: Any) -> str:
    return _ENCODER.encode(value)


def _check_format(item: Mapping[str, Any]) -> None:
    number = _number(item, FORMAT_NAME) or FORMAT
    if number != FORMAT:
        raise FieldError(f"ledger item: format {number} is not known to this version; update the runtime")


def _text(item: Mapping[str, Any], name: str) -> str:
    if name not in item:
        return ""
    value = item[name].get("S") if isinstance(item[name], Mapping) else None
    if not isinstance(value, str):
        raise FieldError(f"ledger item: attribute {name!r} is {shorten(item[name])}, not a text")
    return value


def _number(item: Mapping[str, Any], name: str) -> int:
    if name not in item:
        return 0
    value = item[name].get("N") if isinstance(item[name], Mapping) else None
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise FieldError(f"ledger item: attribute {name!r} is {shorten(item[name])}, not an integer")
    return int(value)
