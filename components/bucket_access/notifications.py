"""A bucket's event notifications: our entry added to and taken from a document that belongs to everybody.

S3 keeps one document a bucket and replaces it as a whole, without condition. So every change reads it, changes our own
entry (known by its `Id`), puts it back, and reads again. Works on an S3 client; knows nothing of Pulumi.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

ATTEMPTS = 8
"""How often a change is tried; with the pauses between, about a minute, as a queue's policy takes to spread (SQS,
SetQueueAttributes: "up to 60 seconds")."""

_DESTINATIONS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}

Document = dict[str, Any]
Pause = Callable[[float], None]


class NotificationError(Exception):
    """The entry could not be put; one line with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Our entry. `owner` is the account that must own the bucket; `events` like `s3:ObjectCreated:*`."""

    bucket: str
    owner: str
    id: str
    queue_arn: str
    events: tuple[str, ...]
    prefix: str = ""

    def entry(self) -> Document:
        """As S3 wants it."""
        rules = [{"Name": "prefix", "Value": self.prefix}] if self.prefix else []
        entry: Document = {"Id": self.id, "QueueArn": self.queue_arn, "Events": sorted(self.events)}
        return {**entry, "Filter": {"Key": {"FilterRules": rules}}} if rules else entry


def overlaps(s3: Any, subscription: Subscription) -> list[str]:
    """Why S3 would refuse our entry: other consumers of the same events under an overlapping prefix; one line each.

    S3 allows one destination for an event type and key (User Guide, "Examples of valid and invalid event notification
    configurations with object key name filtering"). Our filter has no suffix, so any suffix overlaps.
    """
    found = []
    for kind, entry in _entries(_read(s3, subscription)):
        if entry.get("Id") == subscription.id:
            continue
        both = [e for e in subscription.events if any(_same_event(e, other) for other in entry.get("Events", ()))]
        prefix = _prefix(entry)
        if both and (prefix.startswith(subscription.prefix) or subscription.prefix.startswith(prefix)):
            found.append(
                f"bucket {subscription.bucket} already sends {', '.join(both)} under prefix {prefix!r} to"
                f" {entry.get(_DESTINATIONS[kind])} (notification {entry.get('Id', '')!r}), and S3 allows one consumer:"
                " send the bucket's events to an SNS topic that serves both and give it as eventsTopicArn, or narrow"
                " either prefix"
            )
    return found


def put(s3: Any, subscription: Subscription, pause: Pause = time.sleep) -> None:
    """Add our entry, or change it. Raises `NotificationError` when it can't be made to stay."""
    _change(s3, subscription, subscription.entry(), pause)


def remove(s3: Any, subscription: Subscription, pause: Pause = time.sleep) -> None:
    """Take our entry out and leave the rest. Harmless when entry or bucket are gone."""
    try:
        _change(s3, subscription, None, pause)
    except ClientError as e:
        if e.response["Error"]["Code"] not in ("NoSuchBucket", "404"):
            raise


def get(s3: Any, subscription: Subscription) -> Subscription | None:
    """Our entry as it is there now, or None."""
    entry = _own(_read(s3, subscription), subscription.id)
    if entry is None:
        return None
    return Subscription(
        bucket=subscription.bucket,
        owner=subscription.owner,
        id=subscription.id,
        queue_arn=entry.get("QueueArn", ""),
        events=tuple(sorted(entry.get("Events", ()))),
        prefix=_prefix(entry),
    )


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
                # S3 tries every destination in the document. Another's that is dead must not keep ours out; ours
                # is only waited for, as its queue's policy may still be spreading.
                validate = wanted is not None and (subscription.queue_arn in text or "arn:" not in text)
            elif error["Code"] not in ("OperationAborted", "SlowDown", "InternalError"):
                raise
            if validate:
                pause(min(2.0**attempt, 15))
            continue
        if _settled(_read(s3, subscription), subscription.id, wanted):
            return
        problem = "another program changed the bucket's notifications at the same time"
        pause(min(0.5 * 2**attempt, 15))
    raise NotificationError(
        f"notifications of bucket {subscription.bucket}: {problem};"
        " see that the queue's policy lets S3 send, and run again"
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
    return (own["QueueArn"], sorted(own["Events"]), _prefix(own)) == (
        wanted["QueueArn"],
        wanted["Events"],
        _prefix(wanted),
    )


def _with(document: Document, id: str, wanted: Document | None) -> Document:
    """The document with our entry as wanted, all others (and EventBridge's switch) as they are."""
    queues = [e for e in document.get("QueueConfigurations", ()) if e.get("Id") != id]
    if wanted is not None:
        queues.append(wanted)
    return {**{k: v for k, v in document.items() if k != "QueueConfigurations"}, "QueueConfigurations": queues}


def _prefix(entry: Document) -> str:
    rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    return next((r.get("Value", "") for r in rules if r.get("Name", "").lower() == "prefix"), "")


def _same_event(a: str, b: str) -> bool:
    """Whether one event type includes the other: `s3:ObjectCreated:*` and `s3:ObjectCreated:Put`."""
    x, y = a.removesuffix("*"), b.removesuffix("*")
    return (a.endswith("*") and y.startswith(x)) or (b.endswith("*") and x.startswith(y)) or a == b
