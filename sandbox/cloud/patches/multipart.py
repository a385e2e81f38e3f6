"""A completed upload: one event, and the time of its initiation.

moto sends ObjectCreated:Put besides ObjectCreated:CompleteMultipartUpload, and dates the object by its completion.
Sources: Amazon S3 User Guide, "Supported event types", "Working with object metadata" (Last-Modified of a multipart
upload is the date of its initiation).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.utils import utcnow
from moto.s3 import models, notifications

from sandbox.cloud.patches.events import muted
from sandbox.cloud.patches.replace import replace

_EVENT = notifications.S3NotificationEvent.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT


def apply() -> None:
    create: Any = models.FakeMultipart.__init__
    complete = models.S3Backend.complete_multipart_upload

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        self.initiated = utcnow()

    def complete_multipart_upload(
        self: Any, bucket_name: str, multipart_id: str, body: Iterator[tuple[int, str]]
    ) -> Any:
        with muted():
            key: Any = complete(self, bucket_name, multipart_id, body)
        if key is not None:
            key.last_modified = key.multipart.initiated
            bucket = self.get_bucket(bucket_name)
            notifications.send_event(bucket.account_id, _EVENT, bucket, key)
        return key

    replace(models.FakeMultipart, "__init__", initialise)
    replace(models.S3Backend, "complete_multipart_upload", complete_multipart_upload)
