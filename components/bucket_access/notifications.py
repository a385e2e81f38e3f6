"""Add this program's entry to a bucket's event notifications, and remove it, without touching other entries.

S3 keeps one document per bucket and replaces it as a whole, without condition. Each change therefore reads the
document, changes the entry with this program's `Id`, writes the document, and reads it again. This module works on an
S3 client and does not use Pulumi.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from dualsync.components.config.prefixes import filter_value, prefix_of_filter

ATTEMPTS = 8
"""Tries per change. The pauses between them add up to about one minute, which is how long a queue's policy takes to
spread (SQS API Reference, SetQueueAttributes: "up to 60 seconds")."""

SETTLE_SECONDS = 3.0
"""Pause between a write and the read that confirms it. Another program that read the document before this write
replaces it within such a time; without the pause the loss of the entry would go unnoticed."""

_DESTINATIONS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}

Document = dict[str, Any]
Pause = Callable[[float], None]


class NotificationError(Exception):
    """The entry could not be written; one line with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """This program's entry in a bucket's notifications."""

    bucket: str
    """Name of the bucket."""
    owner: str
    """Account that must own the bucket."""
    id: str
    """Id of the entry, by which it is found again."""
    queue_arn: str
    """Queue that receives the events."""
    events: tuple[str, ...]
    """Event types, like `s3:ObjectCreated:*`."""
    prefix: str = ""
    """Only events of keys under this prefix are sent. Plain text, not URL-encoded."""
    stored_filter: str | None = field(default=None, compare=False)
    """Filter value as the bucket's document holds it; None for an entry that was not read from there."""

    @property
    def filter(self) -> str:
        """The filter's value: as it is stored, or as it is to be written."""
        return filter_value(self.prefix) if self.stored_filter is None else self.stored_filter

    def entry(self) -> Document:
        """Return the entry in S3's format."""
        rules = [{"Name": "prefix", "Value": filter_value(self.prefix)}] if self.prefix else []
        entry: Document = {"Id": self.id, "QueueArn": self.queue_arn, "Events": sorted(self.events)}
        return {**entry, "Filter": {"Key": {"FilterRules": rules}}} if rules else entry


def overlaps(s3: Any, subscription: Subscription) -> list[str]:
    """Return one line for each other entry because of which S3 would refuse this program's.

    S3 allows one destination per event type and key (User Guide, "Examples of valid and invalid event notification
    configurations with object key name filtering"). This program's filter has no suffix, so any suffix overlaps.
    """
    found = []
    for kind, entry in _entries(_read(s3, subscription)):
        if entry.get("Id") == subscription.id:
            continue
        both = [e for e in subscription.events if any(_same_event(e, other) for other in entry.get("Events", ()))]
        prefix = prefix_of_filter(_filter(entry))
        if both and (prefix.startswith(subscription.prefix) or subscription.prefix.startswith(prefix)):
            destination = str(entry.get(_DESTINATIONS[kind]))
            pair = _pair_of(str(entry.get("Id", "")), destination)
            found.append(
                f"bucket {subscription.bucket} already sends {', '.join(both)} under prefix {prefix!r} to {destination}"
                + (_OTHER_PAIR.format(pair=pair) if pair else _OTHER_CONSUMER.format(id=entry.get("Id", "")))
            )
    return found


_OTHER_CONSUMER = (
    " (notification {id!r}), and S3 allows one consumer; send the bucket's events to an SNS topic that serves both and"
    " give it as eventsTopicArn, or narrow either prefix"
)
_OTHER_PAIR = (
    ", the queue of pair {pair!r}, and S3 allows one consumer; a deployed pair can't be renamed: to keep it, set pair"
    " to {pair!r} again; to replace it, run `pulumi destroy` in its stacks first, which deletes its ledgers with the"
    " proof of earlier deletions"
)


def _pair_of(id: str, destination: str) -> str:
    """Return the pair that made an entry, by the names of entry and queue (`names.Names.of`), else nothing."""
    made = re.fullmatch(r"(?P<pair>.+)-(?P<side>cn|global)-events", id)
    if made is None or not destination.endswith(f":{made['pair']}-{made['side']}-queue"):
        return ""
    return made["pair"]


def belongs_to_another_state(s3: Any, subscription: Subscription) -> str:
    """Return why a new resource must not take over the entry under its own id, or nothing.

    A state without the entry is right to write it where its queue is the entry's: then an earlier `pulumi up` was
    interrupted after it had written the entry. Without that queue (`queue_arn` empty) another state deploys the pair.
    """
    present = get(s3, subscription)
    if present is None or present.queue_arn == subscription.queue_arn:
        return ""
    return (
        f"bucket {subscription.bucket} already has notification {subscription.id!r} to {present.queue_arn}, which this"
        " stack's state does not hold; another state deploys this pair: select its backend and stack"
        " (`pulumi login`, `pulumi stack select`), or set pair to another name"
    )


def put(s3: Any, subscription: Subscription, pause: Pause = time.sleep) -> None:
    """Add the entry or change it. Raises `NotificationError` if it does not stay."""
    _change(s3, subscription, subscription.entry(), pause)


def remove(s3: Any, subscription: Subscription, pause: Pause = time.sleep) -> None:
    """Remove the entry and leave the rest. Does nothing if the entry or the bucket is gone."""
    try:
        _change(s3, subscription, None, pause)
    except ClientError as e:
        if not is_gone(e):
            raise


def get(s3: Any, subscription: Subscription) -> Subscription | None:
    """Return the entry as the bucket holds it, or None if entry or bucket is gone."""
    try:
        entry = _own(_read(s3, subscription), subscription.id)
    except ClientError as e:
        if is_gone(e):
            return None
        raise
    if entry is None:
        return None
    return Subscription(
        bucket=subscription.bucket,
        owner=subscription.owner,
        id=subscription.id,
        queue_arn=entry.get("QueueArn", ""),
        events=tuple(sorted(entry.get("Events", ()))),
        prefix=prefix_of_filter(_filter(entry)),
        stored_filter=_filter(entry),
    )


def is_gone(error: ClientError) -> bool:
    """Return whether S3 answered that the bucket does not exist."""
    return error.response["Error"]["Code"] in ("NoSuchBucket", "404")


def _change(s3: Any, subscription: Subscription, wanted: Document | None, pause: Pause) -> None:
    problem = ""
    validate = True
    for attempt in range(ATTEMPTS):
        document = _read(s3, subscription)
        if attempt and _settled(document, subscription.id, wanted):
            return
        try:
            _write(s3, subscription, _with(document, subscription.id, wanted), validate)
        except ClientError as e:
            error = e.response["Error"]
            text = " ".join(str(v) for v in error.values())
            problem = f"{error['Code']}: {error['Message']}"
            if error["Code"] == "InvalidArgument" and "validate" in text:
                # S3 checks every destination in the document. A dead destination of another consumer must not keep
                # this entry out. The own destination is waited for, since its queue's policy may still be spreading.
                validate = wanted is not None and (subscription.queue_arn in text or "arn:" not in text)
            elif error["Code"] not in ("OperationAborted", "SlowDown", "InternalError"):
                raise
            if validate:
                pause(min(2.0**attempt, 15))
            continue
        if _settled(_read(s3, subscription), subscription.id, wanted):
            # What another program read before this write may still be on its way back.
            pause(SETTLE_SECONDS)
            if _settled(_read(s3, subscription), subscription.id, wanted):
                return
        problem = "another program changed the bucket's notifications at the same time"
        pause(min(0.5 * 2**attempt, 15))
    raise NotificationError(
        f"notifications of bucket {subscription.bucket}: {problem};"
        " check that the queue's policy lets S3 send, and run again"
    )


def _write(s3: Any, subscription: Subscription, document: Document, validate: bool) -> None:
    more: Mapping[str, Any] = {} if validate else {"SkipDestinationValidation": True}
    s3.put_bucket_notification_configuration(
        Bucket=subscription.bucket,
        ExpectedBucketOwner=subscription.owner,
        NotificationConfiguration=document,
        **more,
    )


def _read(s3: Any, subscription: Subscription) -> Document:
    document = s3.get_bucket_notification_configuration(
        Bucket=subscription.bucket, ExpectedBucketOwner=subscription.owner
    )
    return {k: v for k, v in document.items() if k != "ResponseMetadata"}


def _entries(document: Document) -> Iterator[tuple[str, Document]]:
    for kind in _DESTINATIONS:
        for entry in document.get(kind, ()):
            yield kind, entry


def _own(document: Document, id: str) -> Document | None:
    return next((e for e in document.get("QueueConfigurations", ()) if e.get("Id") == id), None)


def _settled(document: Document, id: str, wanted: Document | None) -> bool:
    own = _own(document, id)
    if own is None or wanted is None:
        return own is wanted
    # Filters are compared as they are stored: a raw one means the same text, and S3 matches nothing with it.
    return (own["QueueArn"], sorted(own["Events"]), _filter(own)) == (
        wanted["QueueArn"],
        wanted["Events"],
        _filter(wanted),
    )


def _with(document: Document, id: str, wanted: Document | None) -> Document:
    """Return the document with the own entry as wanted; all others, and EventBridge's switch, stay as they are."""
    queues = [e for e in document.get("QueueConfigurations", ()) if e.get("Id") != id]
    if wanted is not None:
        queues.append(wanted)
    return {**{k: v for k, v in document.items() if k != "QueueConfigurations"}, "QueueConfigurations": queues}


def _filter(entry: Document) -> str:
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    return next((r.get("Value", "") for r in rules if r.get("Name", "").lower() == "prefix"), "")


def _same_event(a: str, b: str) -> bool:
    """Return whether one event type includes the other: `s3:ObjectCreated:*` and `s3:ObjectCreated:Put`."""
    x, y = a.removesuffix("*"), b.removesuffix("*")
    return (a.endswith("*") and y.startswith(x)) or (b.endswith("*") and x.startswith(y)) or a == b
