"""Buckets whose versioning is suspended: earlier versions stay, the null version is overwritten.

moto treats such a bucket as one that never kept versions: a PUT or DELETE drops all versions of an object.
Source: Amazon S3 User Guide, "Working with objects in a versioning-suspended bucket": a PUT replaces the version whose
id is null, a DELETE replaces it by a delete marker with the id null.
"""

from __future__ import annotations

from typing import Any

from moto.s3 import models, notifications
from moto.s3.notifications import S3NotificationEvent

from sandbox.cloud.patches.replace import replace
from sandbox.cloud.patches.s3_events import muted

NULL = "null"


def only_null(bucket: Any, key_name: str, newest: Any) -> None:
    """Make `newest` the null version and remove any other null version."""
    newest._version_id = NULL
    kept = [v for v in bucket.keys.getlist(key_name, []) if v is not newest and str(v.version_id) != NULL]
    bucket.keys.setlist(key_name, [*kept, newest])


def apply() -> None:
    put = models.S3Backend.put_object
    mark = models.S3Backend._set_delete_marker

    def put_object(self: Any, bucket_name: str, key_name: str, *args: Any, **kwargs: Any) -> Any:
        bucket = self.get_bucket(bucket_name)
        if bucket.versioning_status != "Suspended":
            return put(self, bucket_name, key_name, *args, **kwargs)
        with muted():
            key = put(self, bucket_name, key_name, *args, **kwargs)
        only_null(bucket, key_name, key)
        if not kwargs.get("disable_notification"):
            post = kwargs.get("request_method") == "POST"
            events = S3NotificationEvent
            event = events.OBJECT_CREATED_POST_EVENT if post else events.OBJECT_CREATED_PUT_EVENT
            notifications.send_event(bucket.account_id, event, bucket, key)
        return key

    def set_delete_marker(self: Any, bucket_name: str, key_name: str) -> Any:
        bucket = self.get_bucket(bucket_name)
        marker = mark(self, bucket_name, key_name)
        if bucket.versioning_status == "Suspended":
            only_null(bucket, key_name, marker)
        return marker

    replace(models.S3Backend, "put_object", put_object)
    replace(models.S3Backend, "_set_delete_marker", set_delete_marker)
    is_versioned = property(lambda self: self.versioning_status in ("Enabled", "Suspended"))
    replace(models.FakeBucket, "is_versioned", is_versioned)
