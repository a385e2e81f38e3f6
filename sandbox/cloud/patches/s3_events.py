"""S3's event records: identity, order and version; and the deletions for which moto sends none.

moto's records lack `userIdentity`, `sequencer` and `versionId`, and encode `/` in keys. moto sends nothing for delete
markers and removed versions; a DELETE of an absent key in a versioned bucket creates no marker.
The removal of a delete marker is `ObjectRemoved:Delete` with the marker's version id, as for any other version.
Sources: Amazon S3 User Guide, "Event message structure", "Supported event types for SQS, SNS, and Lambda" (a version
that is deleted permanently), "Working with delete markers".
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

from moto.core.utils import iso_8601_datetime_with_milliseconds
from moto.s3 import models, notifications
from moto.s3.notifications import S3NotificationEvent

from sandbox.cloud.callers import CALLER
from sandbox.cloud.patches.replace import replace

_EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
_sequence = itertools.count(time.time_ns())
_muted = threading.local()


def sequencer() -> str:
    """Return 18 hexadecimal digits that are greater than any returned before."""
    return f"{next(_sequence):018X}"


@contextmanager
def muted() -> Iterator[None]:
    """Send no event during the block."""
    before, _muted.on = getattr(_muted, "on", False), True
    try:
        yield
    finally:
        _muted.on = before


def record(event_name: str, bucket: Any, key: Any, configuration_id: str) -> dict[str, Any]:
    """Return one record as S3 writes it, caused by the caller of the current request."""
    caller = CALLER.get()
    name = event_name.removeprefix("s3:")
    thing: dict[str, Any] = {"key": quote_plus(key.name, safe="/")}
    if name.startswith(("ObjectCreated:", "ObjectTagging:", "ObjectAcl:", "ObjectRestore:")):
        thing["size"] = key.size
    if not name.startswith("ObjectRemoved:Delete") or name.endswith("MarkerCreated"):
        thing["eTag"] = key.etag.strip('"') if hasattr(key, "etag") else _EMPTY_MD5
    if key.version_id != "null":
        thing["versionId"] = key.version_id
    if name.startswith(("ObjectCreated:", "ObjectRemoved:")):
        thing["sequencer"] = sequencer()
    return {
        "eventVersion": "2.3" if name.startswith(("ObjectTagging:", "ObjectAcl:", "LifecycleExpiration:")) else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region_name,
        "eventTime": iso_8601_datetime_with_milliseconds(),
        "eventName": name,
        "userIdentity": {"principalId": f"AWS:{caller.user_id}" if caller else "Anonymous"},
        "requestParameters": {"sourceIPAddress": caller.source_ip if caller else "127.0.0.1"},
        "responseElements": {
            "x-amz-request-id": secrets.token_hex(8).upper(),
            "x-amz-id-2": secrets.token_urlsafe(57),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": {"principalId": f"A{bucket.account_id}"},
                "arn": bucket.arn,
            },
            "object": thing,
        },
    }


def _body(event_name: str, bucket: Any, key: Any, configuration_id: str) -> dict[str, Any]:
    return {"Records": [record(event_name, bucket, key, configuration_id)]}


def _delete_object(
    self: Any, bucket_name: str, key_name: str, version_id: str | None = None, bypass: bool = False
) -> tuple[bool, dict[str, Any]]:
    bucket = self.get_bucket(bucket_name)
    versions = list(bucket.keys.getlist(key_name, []))
    if bucket.is_versioned and version_id is None and not versions:
        marker = _marker_of_absent_key(key_name)
        if bucket.versioning_status == "Suspended":
            marker._version_id = "null"
        bucket.keys.setlist(key_name, [marker])
        notifications.send_event(bucket.account_id, _MARKER_CREATED, bucket, marker)
        return True, {"version-id": marker.version_id, "delete-marker": "true"}
    with muted():
        done, answer = _original_delete(self, bucket_name, key_name, version_id=version_id, bypass=bypass)
    if not bucket.is_versioned:
        if done and versions:
            notifications.send_event(bucket.account_id, _DELETED, bucket, versions[-1])
    elif version_id is None:
        notifications.send_event(bucket.account_id, _MARKER_CREATED, bucket, bucket.keys[key_name])
    else:
        gone = [v for v in versions if str(v.version_id) == str(version_id)]
        if gone:
            notifications.send_event(bucket.account_id, _DELETED, bucket, gone[0])
    return done, answer


def _marker_of_absent_key(key_name: str) -> Any:
    key: Any = SimpleNamespace(name=key_name)
    return models.FakeDeleteMarker(key=key)


_DELETED = S3NotificationEvent.OBJECT_REMOVED_DELETE_EVENT
_MARKER_CREATED = S3NotificationEvent.OBJECT_REMOVED_DELETE_MARKER_CREATED_EVENT
_original_delete = models.S3Backend.delete_object
_original_send = notifications.send_event


def _send(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
    if not getattr(_muted, "on", False):
        _original_send(bucket.account_id, event_name.value, bucket, key)


def apply() -> None:
    replace(notifications, "_get_s3_event", _body)
    replace(notifications, "send_event", _send)
    replace(models.S3Backend, "delete_object", _delete_object)
