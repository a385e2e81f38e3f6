"""Parse a message's body: S3 event records (also wrapped by SNS), test events, and messages of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.authenticator import Authenticator
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.field_reader import (
    MAX_BYTES,
    MAX_ETAG_CHARACTERS,
    MAX_KEY_BYTES,
    MAX_TEXT_CHARACTERS,
    is_encodable,
    parse_json,
    shorten,
)
from dualsync.runtime.model.sequencer import normalise

MAX_WRAPPERS = 8
"""SNS notifications inside each other that are unwrapped; a topic makes one."""
MAX_CLOCK_SKEW_SECONDS = 5.0
"""Seconds by which the clocks of S3 and SQS may differ."""


class UnreadableMessageError(ValueError):
    """The body is no message that this program reads; the text says why."""


@dataclass(frozen=True, slots=True)
class Principals:
    """Who is who in a bucket's events."""

    dedicated: frozenset[str]
    """Ids of this side's dedicated user (AIDA…) or role (AROA…), present and former."""
    own_role: str = ""
    """Id (AROA…) of the worker's role, empty when not known."""

    def actor(self, principal: str) -> Actor:
        """Classify `userIdentity.principalId`: `AWS:AIDA…`, `AIDA…`, `AWS:AROA…:session` and the like."""
        bare = principal.removeprefix("AWS:").split(":", 1)[0]
        if bare in self.dedicated:
            return Actor.ECHO
        if self.own_role and bare == self.own_role:
            return Actor.OWN_ROLE
        return Actor.USER


def parse_message(
    body: str,
    principals: Principals,
    relative: Callable[[str], str | None],
    sent: float,
    *,
    authenticator: Authenticator | None = None,
    bucket: str = "",
    skip: Callable[[str], None] | None = None,
    note_length: Callable[[int], None] | None = None,
) -> list[SyncRequest]:
    """Return all sync requests of a message; none for a test event and for keys outside the prefix.

    `relative` returns a bucket's key below the prefix, None if outside. `sent` is when the message was sent (seconds
    since the epoch). A message of our own is believed if `authenticator` verifies it, else only its key is (design:
    docs/security.md). Records of another bucket than `bucket` are dropped, and their bucket is passed to `skip`.
    `note_length` gets the number of digits of each sequencer. Raises `UnreadableMessageError`.

    Source: "Event message structure", Amazon S3 User Guide.
    """
    for _ in range(MAX_WRAPPERS):
        document = _parse(body)
        if isinstance(document.get("redrive"), str):
            # A dead letter that an operator sends again: the state now counts, not what the message said then.
            requests = parse_message(
                document["redrive"],
                principals,
                relative,
                sent,
                authenticator=authenticator,
                bucket=bucket,
                skip=skip,
                note_length=note_length,
            )
            return [
                replace(request, full_check=True, attempt=0, first_sent=sent, denied_since=0.0, reason="redriven")
                for request in requests
            ]
        if document.get("Type") != "Notification" or not isinstance(document.get("Message"), str):
            break
        body = document["Message"]
    else:
        raise UnreadableMessageError(f"more than {MAX_WRAPPERS} notifications inside each other")
    try:
        if part_request_codec.MEMBER in document:
            # The worker copies the parts of an authenticated part request itself. For any other reader, and for a dead
            # letter that is sent again, the key is checked: a check sends what is missing by then.
            part = part_request_codec.decode_fields(document[part_request_codec.MEMBER])
            return [SyncRequest(part.key, Cause.FINDER, full_check=True, first_sent=sent, may_have_written=True)]
        if sync_request_codec.MEMBER in document:
            sync_request_codec.check_format(document)
            own = sync_request_codec.decode_fields(document[sync_request_codec.MEMBER])
            verified = authenticator is not None and authenticator.verify(body)
            return [own if verified else own.as_unauthenticated(sent)]
    except ValueError as e:
        raise UnreadableMessageError(str(e)) from None
    if document.get("Event") == "s3:TestEvent":
        return []
    records = document.get("Records")
    if not isinstance(records, list):
        if "detail-type" in document:
            raise UnreadableMessageError(
                "an event of EventBridge: S3's own notifications are read; remove the rule that sends to this queue"
            )
        raise UnreadableMessageError("neither S3 event records nor a message of this program")
    found = []
    for record in records:
        try:
            if bucket and (name := record["s3"]["bucket"]["name"]) != bucket:
                if skip is not None:
                    skip(shorten(name))
                continue
            request = _from_record(record, principals, relative, sent)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
            raise UnreadableMessageError(f"a record without {e}") from None
        if request is not None:
            found.append(request)
            if note_length is not None and request.sequencer:
                note_length(len(record["s3"]["object"]["sequencer"].strip()))
    return found


def parse_part_request(body: str, authenticator: Authenticator) -> PartRequest | None:
    """Return the part request of a message; None for any other message and for one that is not authenticated.

    Raises `UnreadableMessageError`.
    """
    if not body.startswith(part_request_codec.START) or not authenticator.verify(body):
        return None
    try:
        document = parse_json(body)
        sync_request_codec.check_format(document)
        return part_request_codec.decode_fields(document[part_request_codec.MEMBER])
    except (ValueError, KeyError) as e:
        raise UnreadableMessageError(str(e)) from None


def _parse(body: str) -> dict[str, Any]:
    try:
        document = parse_json(body)
        if "\\u" in body:
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as e:
        raise UnreadableMessageError(f"not JSON: {e}") from None
    if not isinstance(document, dict):
        raise UnreadableMessageError("not a JSON object")
    return document


def _from_record(
    record: Any, principals: Principals, relative: Callable[[str], str | None], sent: float
) -> SyncRequest | None:
    cause = _cause(_required_text(record, "eventName", MAX_TEXT_CHARACTERS))
    if cause is None:
        return None
    s3_object = record["s3"]["object"]
    key = relative(unquote_plus(_required_text(s3_object, "key", 9 * MAX_KEY_BYTES), errors="strict"))
    if key is None:
        return None
    if len(key.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"a key of at most {MAX_KEY_BYTES} bytes")
    happened = datetime.fromisoformat(record["eventTime"]).timestamp()
    version_id = _text(s3_object, "versionId", MAX_TEXT_CHARACTERS)
    size = s3_object.get("size") or 0
    if type(size) is not int or not 0 <= size <= MAX_BYTES:
        raise ValueError(f"a size from 0 to {MAX_BYTES}")
    return SyncRequest(
        key=key,
        cause=cause,
        actor=principals.actor(_text(record.get("userIdentity") or {}, "principalId", MAX_TEXT_CHARACTERS)),
        sequencer=normalise(_text(s3_object, "sequencer", MAX_TEXT_CHARACTERS)),
        etag=_text(s3_object, "eTag", MAX_ETAG_CHARACTERS).strip('"'),
        version_id=version_id,
        version_removed=_is_permanent(record["eventName"], version_id),
        size=size,
        # No event happens after its message was sent; a forged later time would win over times to come.
        event_time=min(max(happened, 0.0), sent + MAX_CLOCK_SKEW_SECONDS),
        first_sent=sent,
    )


def _required_text(record: Any, name: str, longest: int) -> str:
    """Return a text of the record that may not be absent, null or empty."""
    text = _text(record, name, longest)
    if not text:
        raise ValueError(f"a value of {name}")
    return text


def _text(record: Any, name: str, longest: int) -> str:
    """Return a text of the record, empty if absent or null."""
    value = record.get(name)
    if value is None:
        return ""
    if type(value) is not str or len(value) > longest or not is_encodable(value):
        raise ValueError(f"{name} as a text of at most {longest} characters")
    return value


def _is_permanent(event_name: str, version_id: str | None) -> bool:
    """Return True if a version was removed by its id. The id `null` may be all that an unversioned object had."""
    return event_name.endswith(":Delete") and version_id not in (None, "", "null")


def _cause(event_name: str) -> Cause | None:
    name = event_name.removeprefix("s3:")
    if name.startswith(("ObjectCreated:", "ObjectTagging:", "ObjectAcl:", "ObjectRestore:Completed")):
        return Cause.CREATED
    if name.startswith("ObjectRemoved:"):
        return Cause.REMOVED
    if name.startswith("LifecycleExpiration:"):
        return Cause.EXPIRED
    return None
