"""Uploads in parts: events, times, order and initiators of uploads, and the parts of a completed object.

moto sends ObjectCreated:Put besides ObjectCreated:CompleteMultipartUpload, and dates the object by its completion. In
its answer to ListMultipartUploads all uploads are of one user, and of 2010. moto finds a part by the
number under which it was uploaded, and a read of a part that does not exist ends in a KeyError.
Sources: Amazon S3 User Guide, "Supported event types", "Working with object metadata" (Last-Modified of a multipart
upload is the date of its initiation); API Reference, "Initiator" (for an IAM user the user's ARN; for roles it
has no rule, here it is the session's ARN as STS returns it), "GetObject" (partNumber; 416).
moto makes an object current when its upload is completed. S3 orders uploads by their start, and answers a completion
with success even if its object is never shown. Source: Amazon S3 User Guide, "Concurrent multipart upload operations".
For buckets without versioning the guide says that a request during the upload "might take precedence"; here it does.
The parts of a completed object count from 1 without gaps here; no AWS page defines their numbers when the
uploaded ones have gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.utils import utcnow
from moto.s3 import models, notifications, responses
from moto.s3.exceptions import RangeNotSatisfiable

from sandbox.cloud.callers import CALLER, arn
from sandbox.cloud.patches.replace import replace
from sandbox.cloud.patches.s3_events import muted
from sandbox.cloud.patches.s3_versioning import NULL

_EVENT = notifications.S3NotificationEvent.OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT


_DELETIONS = "deletions_of_keys"
"""Attribute of a bucket: when each of its keys was last deleted without a marker."""


def _order(completed: Any, before: list[Any], later: list[Any], deleted: bool) -> list[Any]:
    """Return a key's versions with the `completed` one below the `later` ones of those that were there `before`."""
    earlier = [version for version in before if version not in later]
    if str(completed.version_id) != NULL:
        return [*earlier, completed, *later]
    if deleted or any(str(version.version_id) == NULL for version in later):
        return before
    return [*(version for version in earlier if str(version.version_id) != NULL), completed, *later]


@contextmanager
def _kept(versions: list[Any]) -> Iterator[None]:
    """Keep the content of versions that moto replaces during the block."""
    objects = [version for version in versions if hasattr(version, "dispose")]
    for version in objects:
        version.dispose = lambda *_, **__: None
    try:
        yield
    finally:
        for version in objects:
            del version.dispose


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
        bucket = self.get_bucket(bucket_name)
        upload = bucket.multiparts[multipart_id]
        before = list(bucket.keys.getlist(upload.key_name, []))
        later = [version for version in before if version.last_modified >= upload.initiated]
        deletion = getattr(bucket, _DELETIONS, {}).get(upload.key_name)
        deleted = deletion is not None and deletion >= upload.initiated
        with muted(), _kept(before if later or deleted else []):
            key: Any = complete(self, bucket_name, multipart_id, body)
        if key is not None:
            key.last_modified = upload.initiated
            if later or deleted:
                bucket.keys.setlist(key.name, _order(key, before, later, deleted))
                if not bucket.keys.getlist(key.name):
                    bucket.keys.pop(key.name)
            notifications.send_event(bucket.account_id, _EVENT, bucket, key)
        return key

    delete = models.S3Backend.delete_object

    def delete_object(self: Any, bucket_name: str, key_name: str, *args: Any, **named: Any) -> Any:
        bucket = self.get_bucket(bucket_name)
        if not bucket.is_versioned:
            bucket.__dict__.setdefault(_DELETIONS, {})[key_name] = utcnow()
        return delete(self, bucket_name, key_name, *args, **named)

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
    replace(models.S3Backend, "delete_object", delete_object)
