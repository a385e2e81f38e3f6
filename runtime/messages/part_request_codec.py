"""Encode and decode a part request as the body of a queue message: `{"dualsync-parts": {fields}, "format": 2}`.

Format 1, written by version 0.1, is the same without the member `format`. Version 0.1 recognises such a message by the
first characters of its text.
"""

from __future__ import annotations

from typing import Any

from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request_codec import FORMAT, message_body
from dualsync.runtime.model.field_reader import FieldError, FieldReader

MEMBER = "dualsync-parts"
"""Member of the body that holds the fields; the first one in the text."""
START = '{"' + MEMBER
"""How the text of a part request begins."""
MAX_PARTS = 10_000
"""Parts of an upload (S3 User Guide, "Amazon S3 multipart upload limits")."""
ROUTES = frozenset(f"{source}>{target}" for source in ("local", "remote") for target in ("local", "remote"))


def encode(request: PartRequest) -> str:
    """Return the message body."""
    fields: dict[str, Any] = {
        "key": request.key,
        "route": request.route,
        "to": request.target_key,
        "upload": request.upload_id,
        "first": request.first,
        "last": request.last,
        "attempt": request.attempt,
        "since": request.first_sent,
        "denied": request.denied_since,
    }
    return message_body({MEMBER: {name: value for name, value in fields.items() if value}, "format": FORMAT})


def decode_fields(document: object) -> PartRequest:
    """Return the part request of the fields that `encode` made. Raises `FieldError` for anything else."""
    fields = FieldReader(document, "part request")
    route = fields.text("route")
    if route not in ROUTES:
        raise FieldError("part request: field 'route' is none of the four routes")
    upload = fields.text("upload")
    if not upload:
        raise FieldError("part request: field 'upload' is empty")
    first = fields.integer("first", low=1, high=MAX_PARTS)
    return PartRequest(
        key=fields.key("key"),
        route=route,
        target_key=fields.key("to"),
        upload_id=upload,
        first=first,
        last=fields.integer("last", low=first, high=MAX_PARTS),
        attempt=fields.integer("attempt", 0),
        first_sent=fields.seconds("since", 0.0),
        denied_since=fields.seconds("denied", 0.0),
    )
