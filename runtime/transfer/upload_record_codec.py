"""Encode and decode the ledger's record of a multipart upload, one per route and target key.

Version 0.1 compares the whole text of the data when it replaces or removes a record, and drops fields that it does not
know. So the fields are exactly those of version 0.1, all of them written each time.
"""

from __future__ import annotations

import hashlib

from dualsync.runtime.model.field_reader import MAX_BYTES, MAX_ETAG_CHARACTERS, MAX_SECONDS, FieldError, FieldReader
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.records import UPLOAD, Record
from dualsync.runtime.transfer.upload_record import UploadRecord, record_id


def encode(upload: UploadRecord) -> Record:
    """Return the record."""
    data: dict[str, object] = {
        "route": upload.route,
        "to": upload.target_key,
        "etag": upload.etag,
        "size": upload.size,
        "length": upload.part_length,
        "stamp": upload.stamp,
        "attributes": upload.attributes,
        "id": upload.upload_id,
        "checksum": upload.checksum,
        "corrupt": upload.checksum_failures,
        "sent": upload.requests_sent,
        "parts": upload.parts,
        "moved": upload.last_progress,
        "stalls": upload.stalls,
        "look": upload.request,
    }
    return Record(UPLOAD, id=record_id(upload.route, upload.target_key), time=upload.started, key=upload.key, data=data)


def decode(record: Record) -> UploadRecord:
    """Return the upload of a record that `encode` made. Raises `FieldError` for wrong types and ranges."""
    data = FieldReader(record.data, "upload record")
    return UploadRecord(
        route=data.text("route", ""),
        key=record.key,
        target_key=data.text("to", ""),
        etag=data.text("etag", "", longest=MAX_ETAG_CHARACTERS),
        size=data.integer("size", 0, high=MAX_BYTES),
        part_length=data.integer("length", 1, low=1, high=MAX_BYTES),
        stamp=data.text("stamp", ""),
        attributes=data.text("attributes", ""),
        upload_id=data.text("id", ""),
        started=record.time,
        checksum=data.text("checksum", ""),
        checksum_failures=data.integer("corrupt", 0),
        requests_sent=data.integer("sent", 0, high=MAX_SECONDS),
        parts=data.integer("parts", 0),
        last_progress=data.integer("moved", 0, high=MAX_SECONDS),
        stalls=data.integer("stalls", 0, high=63),
        request=data.mapping("look", {}),
    )


def decode_or_none(record: Record) -> UploadRecord | None:
    """Return the upload of a record; None for an unreadable one, so that a list shows the others."""
    try:
        return decode(record)
    except FieldError:
        return None


def digest_attributes(attributes: Attributes) -> str:
    """Return 16 hexadecimal digits that tell sets of attributes apart, as an upload gets them when it starts.

    The text that is hashed is version 0.1's, so that uploads under way are continued across an update.
    """
    fields: tuple[tuple[str, object], ...] = (
        ("content_type", attributes.content_type),
        ("cache_control", attributes.cache_control),
        ("content_disposition", attributes.content_disposition),
        ("content_encoding", attributes.content_encoding),
        ("content_language", attributes.content_language),
        ("expires", attributes.expires),
        ("website_redirect", attributes.website_redirect),
        ("storage_class", attributes.storage_class),
        ("metadata", attributes.metadata),
        ("checksum", attributes.checksum),
        ("tags", attributes.tags),
    )
    text = f"Attributes({', '.join(f'{name}={value!r}' for name, value in fields)})"
    return hashlib.sha256(text.encode()).hexdigest()[:16]
