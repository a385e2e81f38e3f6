"""From a message's body to looks: S3 event records (also wrapped by SNS), test events and our own messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import Actor, Cause, SyncRequest
from dualsync.runtime.model.field_reader import parse_json
from dualsync.runtime.model.sequencer import normalise


class UnreadableMessageError(ValueError):
    """The body is nothing that this program knows; the text says why."""


@dataclass(frozen=True, slots=True)
class Principals:
    """Who is who in a bucket's events.

    `dedicated` are ids (AIDA…) of this side's dedicated user, present and former; `own_role` is the id (AROA…) of the
    worker's role, empty when not known.
    """

    dedicated: frozenset[str]
    own_role: str = ""

    def actor(self, principal: str) -> Actor:
        """Classify `userIdentity.principalId`: `AWS:AIDA…`, `AIDA…`, `AWS:AROA…:session` and the like."""
        bare = principal.removeprefix("AWS:")
        if bare in self.dedicated:
            return Actor.ECHO
        if self.own_role and bare.split(":", 1)[0] == self.own_role:
            return Actor.OWN_ROLE
        return Actor.USER


def parse_message(
    body: str, principals: Principals, relative: Callable[[str], str | None], sent: float
) -> list[SyncRequest]:
    """All looks a message asks for; empty for a test event and for keys outside the prefix.

    `relative` takes a bucket's key to the key below the prefix, None if outside. `sent` is when the message was sent,
    in seconds. Raises `UnreadableMessageError`. (Source: "Event message structure", Amazon S3 User Guide.)
    """
    try:
        document = parse_json(body)
        if "\\u" in body:
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except ValueError as e:
        raise UnreadableMessageError(f"not JSON: {e}") from None
    if not isinstance(document, dict):
        raise UnreadableMessageError("not a JSON object")
    if part_request_codec.MEMBER in document:
        # The worker carries such parts itself; this is for who only wants to know the key, and for a dead letter that
        # is sent again: a look sends whatever is missing by then.
        try:
            portion = part_request_codec.decode_fields(document[part_request_codec.MEMBER])
            return [SyncRequest(portion.key, Cause.FINDER, full_check=True, first_sent=sent)]
        except ValueError as e:
            raise UnreadableMessageError(str(e)) from None
    if sync_request_codec.MEMBER in document:
        try:
            sync_request_codec.check_format(document)
            return [sync_request_codec.decode_fields(document[sync_request_codec.MEMBER])]
        except ValueError as e:
            raise UnreadableMessageError(str(e)) from None
    if isinstance(document.get("redrive"), str):
        # A dead letter that an operator sends again: not what it said then counts, but what is there now.
        looks = parse_message(document["redrive"], principals, relative, sent)
        return [
            replace(look, full_check=True, attempt=0, first_sent=sent, denied_since=0.0, reason="redriven")
            for look in looks
        ]
    if document.get("Type") == "Notification" and isinstance(document.get("Message"), str):
        return parse_message(document["Message"], principals, relative, sent)
    if document.get("Event") == "s3:TestEvent":
        return []
    records = document.get("Records")
    if not isinstance(records, list):
        raise UnreadableMessageError("neither S3 event records nor a message of this program")
    looks = []
    for record in records:
        try:
            look = _from_record(record, principals, relative, sent)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
            raise UnreadableMessageError(f"a record without {e}") from None
        if look is not None:
            looks.append(look)
    return looks


def parse_part_request(body: str) -> PartRequest | None:
    """The parts that a message asks for; None for any other message. Raises `UnreadableMessageError`."""
    if not body.startswith(part_request_codec.START):
        return None
    try:
        document = parse_json(body)
        sync_request_codec.check_format(document)
        return part_request_codec.decode_fields(document[part_request_codec.MEMBER])
    except (ValueError, KeyError) as e:
        raise UnreadableMessageError(str(e)) from None


def _from_record(
    record: Any, principals: Principals, relative: Callable[[str], str | None], sent: float
) -> SyncRequest | None:
    cause = _cause(record["eventName"])
    if cause is None:
        return None
    s3_object = record["s3"]["object"]
    key = relative(unquote_plus(s3_object["key"], errors="strict"))
    if key is None:
        return None
    principal = record.get("userIdentity", {}).get("principalId", "")
    return SyncRequest(
        key=key,
        cause=cause,
        actor=principals.actor(principal),
        sequencer=normalise(s3_object.get("sequencer", "")),
        etag=s3_object.get("eTag", "").strip('"'),
        version_id=s3_object.get("versionId", "") or "",
        version_removed=_is_permanent(record["eventName"], s3_object.get("versionId", "")),
        size=int(s3_object.get("size", 0)),
        event_time=datetime.fromisoformat(record["eventTime"]).timestamp(),
        first_sent=sent,
    )


def _is_permanent(event_name: str, version_id: str | None) -> bool:
    """A version was removed by its id. The id `null` may be all that an unversioned object had."""
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
