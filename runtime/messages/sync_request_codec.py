"""Encode and decode a sync request as the body of a queue message: `{"dualsync": {fields}, "format": 2}`.

Format 1, written by version 0.1, is the same without the member `format`. Version 0.1 ignores members beside `dualsync`
and refuses unknown fields inside it, so a new field needs a place beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model import synced_version_codec
from dualsync.runtime.model.field_reader import MAX_BYTES, MAX_ETAG_CHARACTERS, FieldError, FieldReader

MEMBER = "dualsync"
"""Member of the body that holds the fields."""
FORMAT = 2
MAX_REASON_CHARACTERS = 1024
"""Characters of a reason that are kept; the rest is cut off, since a reason is only for the log."""


def encode(request: SyncRequest) -> str:
    """Return the message body."""
    return message_body({MEMBER: encode_fields(request), "format": FORMAT})


def message_body(document: Mapping[str, object]) -> str:
    """Return a document as a message body: JSON without the characters that SQS refuses.

    JSON escapes control characters itself. U+FFFE and U+FFFF are escaped here, since SQS takes `#x9 | #xA | #xD |
    #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF` only (source: "SendMessage", Amazon SQS API Reference).
    """
    text = json.dumps(document, ensure_ascii=False)
    return text.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def encode_fields(request: SyncRequest) -> dict[str, Any]:
    """Return the fields as JSON values; empty ones are left out."""
    fields: dict[str, Any] = {
        "key": request.key,
        "cause": str(request.cause),
        "actor": str(request.actor),
        "sequencer": request.sequencer,
        "etag": request.etag,
        "version_id": request.version_id,
        "permanent": request.version_removed,
        "size": request.size,
        "time": request.event_time,
        "since": request.first_sent,
        "denied": request.denied_since,
        "attempt": request.attempt,
        "careful": request.full_check,
        "unsure": request.may_have_written,
        "deletion": request.may_delete,
        "reason": request.reason[:MAX_REASON_CHARACTERS],
        "wrote": [] if request.unrecorded is None else synced_version_codec.encode(request.unrecorded),
    }
    return {name: value for name, value in fields.items() if value}


def decode_fields(document: object) -> SyncRequest:
    """Return the sync request of the fields that `encode_fields` made. Raises `FieldError` for anything else."""
    fields = FieldReader(document, "sync request")
    reason = document.get("reason", "") if isinstance(document, Mapping) else ""
    if type(reason) is not str:
        raise FieldError("sync request: field 'reason' is not a text")
    wrote = fields.sequence("wrote", (), longest=synced_version_codec.LENGTH)
    return SyncRequest(
        key=fields.key("key"),
        cause=fields.member("cause", Cause),
        actor=fields.member("actor", Actor, Actor.USER),
        sequencer=fields.sequencer("sequencer"),
        etag=fields.text("etag", "", longest=MAX_ETAG_CHARACTERS),
        version_id=fields.text("version_id", ""),
        version_removed=fields.flag("permanent", False),
        size=fields.integer("size", 0, high=MAX_BYTES),
        event_time=fields.seconds("time", 0.0),
        first_sent=fields.seconds("since", 0.0),
        denied_since=fields.seconds("denied", 0.0),
        attempt=fields.integer("attempt", 0),
        full_check=fields.flag("careful", False),
        may_have_written=fields.flag("unsure", False),
        may_delete=fields.flag("deletion", False),
        reason=reason[:MAX_REASON_CHARACTERS].encode(errors="replace").decode(),
        unrecorded=synced_version_codec.decode(wrote) if wrote else None,
    )


def check_format(document: Mapping[str, Any]) -> None:
    """Refuse a message of a format that this version does not know. Raises `FieldError`."""
    FieldReader(document, "message").integer("format", 1, low=1, high=FORMAT)
