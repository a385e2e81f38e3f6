"""Uploads in parts: events, times and initiators of uploads, and the parts of a completed object.

moto sends ObjectCreated:Put besides ObjectCreated:CompleteMultipartUpload, and dates the object by its completion. In
its answer to ListMultipartUploads all uploads are of one user, and of 2010. moto finds a part by the
number under which it was uploaded, and a read of a part that does not exist ends in a KeyError.
Sources: Amazon S3 User Guide, "Supported event types", "Working with object metadata" (Last-Modified of a multipart
upload is the date of its initiation); API Reference, "Initiator" (for an IAM user the user's ARN; for roles it
has no rule, here it is the session's ARN as STS returns it), "GetObject" (partNumber; 416).
The parts of a completed object count from 1 without gaps here; no AWS page defines their numbers when the
uploaded ones have gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.utils import utcnow
from moto.s3 import models, notifications, responses
from moto.s3.exceptions import RangeNotSatisfiable

from sandbox.cloud.callers import CALLER, arn
from sandbox.cloud.patches.replace import replace
from sandbox.cloud.patches.s3_events import muted

_EVENT = notifications.S3NotificationEvent.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT


def part_of(key: Any, number: int) -> Any:
    """Return a part of a completed object by its position from 1. Raises moto's error for 416."""
    numbers = key.multipart.partlist
    if not 1 <= number <= len(numbers):
        raise RangeNotSatisfiable
    return key.multipart.parts[numbers[number - 1]]


def _get_object(
    self: Any,
    bucket_name: str,
    key_name: str,
    version_id: str | None = None,
    part_number: int | None = None,
    return_delete_marker: bool = False,
) -> Any:
    key: Any = _whole_object(self, bucket_name, key_name, version_id, None, return_delete_marker)
    if part_number and key is not None and getattr(key, "multipart", None):
        return part_of(key, int(part_number))
    return key


_whole_object = models.S3Backend.get_object


def apply() -> None:
    replace(models.S3Backend, "get_object", _get_object)
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

        def with_times_and_initiators(answer: Any) -> Any:
            for shown in answer.result["Uploads"]:
                upload = known[shown["UploadId"]]
                shown["Initiator"] = {"ID": upload.initiator, "DisplayName": upload.initiator.rpartition("/")[2]}
                shown["Initiated"] = upload.initiated.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            return serialized(answer)

        self.serialized = with_times_and_initiators
        return listed(self)

    replace(responses.S3Response, "list_multipart_uploads", list_multipart_uploads)
    replace(models.FakeMultipart, "__init__", initialise)
    replace(models.S3Backend, "complete_multipart_upload", complete_multipart_upload)
