"""A completed upload: one event, and the time of its initiation. One under way: who began it, and when.

moto sends ObjectCreated:Put besides ObjectCreated:CompleteMultipartUpload, and dates the object by its completion. In
its answer to ListMultipartUploads all uploads are of one user, and of 2010.
Sources: Amazon S3 User Guide, "Supported event types", "Working with object metadata" (Last-Modified of a multipart
upload is the date of its initiation); API Reference, "Initiator" (for an IAM user the user's ARN; of roles it says
nothing: here their sessions' ARN, as STS gives it).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.utils import utcnow
from moto.s3 import models, notifications, responses

from sandbox.cloud.callers import CALLER, arn
from sandbox.cloud.patches.replace import replace
from sandbox.cloud.patches.s3_events import muted

_EVENT = notifications.S3NotificationEvent.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT


def apply() -> None:
    create: Any = models.FakeMultipart.__init__
    complete = models.S3Backend.complete_multipart_upload

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        self.initiated = utcnow()
        caller = CALLER.get()
        self.initiator = arn(caller) if caller else ""

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

    listed = responses.S3Response.list_multipart_uploads

    def list_multipart_uploads(self: Any) -> Any:
        known = self.backend.list_multipart_uploads(self.bucket_name)
        serialized = self.serialized

        def truthfully(answer: Any) -> Any:
            for shown in answer.result["Uploads"]:
                upload = known[shown["UploadId"]]
                shown["Initiator"] = {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]}
                shown["Initiated"] = upload.initiated.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            return serialized(answer)

        self.serialized = truthfully
        return listed(self)

    replace(responses.S3Response, "list_multipart_uploads", list_multipart_uploads)
    replace(models.FakeMultipart, "__init__", initialise)
    replace(models.S3Backend, "complete_multipart_upload", complete_multipart_upload)
