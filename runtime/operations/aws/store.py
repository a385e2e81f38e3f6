"""A side's bucket as a user works with it: versions, and writing an object again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from dualsync.runtime.aws.boto3_bridge import Threads, arguments
from dualsync.runtime.aws.errors import error_of, refusal_of
from dualsync.runtime.aws.s3 import multipart
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.errors import PreconditionFailedError, UnavailableError
from dualsync.runtime.model.objects import Attributes, Part, Precondition
from dualsync.runtime.operations.context import DeletedObject, Version

COPY_LIMIT = 5 << 30
"""Bytes that one CopyObject takes (Amazon S3 API reference, CopyObject); more goes in parts."""
PART_BYTES = 1 << 30
VERSIONS_AT_ONCE = 1000
"""Versions and delete markers of one page of a listing (Amazon S3 API Reference, ListObjectVersions: at most)."""


class CopyingBucket(S3Bucket):
    """An S3 bucket that copies within itself: all that the product carries is kept, the stamp is not.

    boto3 reads no object with more than 95 entries of user metadata (http.client takes 100 headers), and gives an
    unreadable `Expires` header another form. The product's own client does neither.
    """

    async def copy(
        self, source: str, version_id: str, etag: str, target: str, attributes: Attributes, condition: Precondition
    ) -> str:
        """Copy `source` if it has `etag`, with these attributes and its own tags; return the new ETag."""
        headers = self._given(attributes, None) | self._origin(source, version_id, etag)
        headers |= {"x-amz-metadata-directive": "REPLACE", "x-amz-tagging-directive": "COPY"}
        answer = await self._write("CopyObject", "PUT", target, "", headers, condition=condition)
        return _etag(answer.body)

    async def copy_part(
        self, source: str, version_id: str, etag: str, target: str, upload_id: str, number: int, start: int, end: int
    ) -> Part:
        """Copy bytes `start` to `end` (exclusive) of `source` as a part, if it has `etag`."""
        headers = self._origin(source, version_id, etag) | {"x-amz-copy-source-range": f"bytes={start}-{end - 1}"}
        query = f"partNumber={number}&uploadId={quote(upload_id, safe='')}"
        answer = await self._write("UploadPartCopy", "PUT", target, query, headers)
        return Part(number, _etag(answer.body), end - start)

    def _origin(self, source: str, version_id: str, etag: str) -> dict[str, str]:
        version = f"?versionId={quote(version_id, safe='')}" if version_id else ""
        return {
            "x-amz-copy-source": f"/{self._bucket}/{quote(self._prefix + source, safe='/-._~')}{version}",
            "x-amz-copy-source-if-match": f'"{etag}"',
        }


def _etag(body: bytes | bytearray | None) -> str:
    found = unescape(multipart.element_text(body or b"", "ETag")).strip('"')
    if not found:
        raise UnavailableError("s3: a copy was answered without an ETag")
    return found


def _ranges(size: int) -> list[tuple[int, int, int]]:
    """Return the parts of a copy: number, first byte, end."""
    starts = range(0, size, PART_BYTES)
    return [(number, start, min(start + PART_BYTES, size)) for number, start in enumerate(starts, 1)]


class S3Store:
    """`dualsync.runtime.operations.context.Store`: versions over boto3, writes over the product's own client."""

    def __init__(
        self,
        client: Callable[[str], Any],
        objects: CopyingBucket,
        bucket: str,
        prefix: str,
        *,
        threads: Threads,
        carries_tags: bool = False,
    ) -> None:
        self._client = client
        self._objects = objects
        self._carries_tags = carries_tags
        self._bucket = bucket
        self._prefix = prefix
        self._threads = threads

    async def keeps_versions(self) -> bool:
        answer = await self._ask("get_bucket_versioning", "")
        return bool(answer.get("Status") == "Enabled")

    async def versions(self, key: str, limit: int = 20) -> Sequence[Version]:
        full = self._prefix + key
        answer = await self._ask("list_object_versions", key, Prefix=full, MaxKeys=limit)
        found = [
            Version(
                version_id=item.get("VersionId", ""),
                modified=int(item["LastModified"].timestamp()),
                etag=str(item.get("ETag", "")).strip('"'),
                size=item.get("Size", 0),
                latest=item.get("IsLatest", False),
                marker="ETag" not in item,
            )
            for item in [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
            if item["Key"] == full
        ]
        return sorted(found, key=lambda v: (v.latest, v.modified), reverse=True)[:limit]

    async def deleted_objects(self, prefix: str, since: float, until: float) -> AsyncIterator[Sequence[DeletedObject]]:
        position: dict[str, str] = {}
        rest: dict[str, list[Any]] = {}
        while True:
            answer = await self._ask(
                "list_object_versions", prefix, Prefix=self._prefix + prefix, MaxKeys=VERSIONS_AT_ONCE, **position
            )
            keys = rest
            for item in [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]:
                keys.setdefault(item["Key"], []).append(item)
            # The last key may continue in the next page.
            last = max(keys, default="") if answer.get("IsTruncated") else ""
            rest = {last: keys.pop(last)} if last in keys else {}
            found = [self._covered(items, since, until) for _, items in sorted(keys.items())]
            yield [one for one in found if one is not None]
            if not answer.get("IsTruncated"):
                return
            position = {
                name: answer[f"Next{name}"] for name in ("KeyMarker", "VersionIdMarker") if answer.get(f"Next{name}")
            }

    def _covered(self, items: list[Any], since: float, until: float) -> DeletedObject | None:
        """Return what a delete marker of that time covers, of all versions of one key."""
        marker = next((item for item in items if "ETag" not in item and item.get("IsLatest")), None)
        versions = [item for item in items if "ETag" in item]
        if marker is None or not versions or not since <= marker["LastModified"].timestamp() < until:
            return None
        # Versions of one key come newest first (Amazon S3 API Reference, ListObjectVersions).
        newest = versions[0]
        return DeletedObject(
            key=newest["Key"][len(self._prefix) :],
            deleted=int(marker["LastModified"].timestamp()),
            version_id=newest["VersionId"],
            etag=str(newest["ETag"]).strip('"'),
            size=newest.get("Size", 0),
        )

    async def rewrite_as_user(
        self, source: str, etag: str, target: str, *, version_id: str = "", over: str = ""
    ) -> str:
        found = await self._objects.head(source, version_id)
        if found is None or found.etag != etag:
            raise PreconditionFailedError(f"{source!r} is another version by now")
        condition = Precondition(over or None)
        if found.size <= COPY_LIMIT:
            return await self._objects.copy(source, version_id, etag, target, found.attributes, condition)
        attributes = found.attributes
        if self._carries_tags:
            answer = await self._ask(
                "get_object_tagging", source, Key=self._prefix + source, **arguments(VersionId=version_id)
            )
            attributes = replace(attributes, tags=tuple((tag["Key"], tag["Value"]) for tag in answer["TagSet"]))
        upload = (await self._objects.create_upload(target, attributes, None)).id
        try:
            parts = [
                await self._objects.copy_part(source, version_id, etag, target, upload, number, start, end)
                for number, start, end in _ranges(found.size)
            ]
            return (await self._objects.complete_upload(target, upload, parts, condition)).etag
        except BaseException:
            await self._objects.abort_upload(target, upload)
            raise

    async def _ask(self, method: str, key: str, **given: Any) -> Any:
        target = f"{self._bucket}/{self._prefix}{key}"
        try:
            return await self._threads.call_service_raw(
                "s3", target, getattr(self._client("s3"), method), Bucket=self._bucket, **given
            )
        except ClientError as error:
            refusal = refusal_of(error, "s3", target)
            if refusal.status in (404, 412):
                raise PreconditionFailedError(str(refusal)) from None
            raise error_of(refusal) from None
