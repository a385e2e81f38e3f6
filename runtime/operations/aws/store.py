"""The side's bucket as a user works with it: versions, and writing an object again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from dualsync.runtime.aws.boto3_bridge import Threads, arguments
from dualsync.runtime.aws.errors import error_of, refusal_of
from dualsync.runtime.aws.s3 import metadata
from dualsync.runtime.errors import PreconditionFailedError
from dualsync.runtime.operations.context import DeletedObject, Version

COPY_LIMIT = 5 << 30
"""Bytes that one CopyObject takes (Amazon S3 API reference, CopyObject); more goes in parts."""
PART_BYTES = 1 << 30
VERSIONS_AT_ONCE = 1000
"""Versions and delete markers of one page of a listing (Amazon S3 API Reference, ListObjectVersions: at most)."""

_HEADERS = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage")


class S3Store:
    """`dualsync.runtime.operations.context.Store` over boto3."""

    def __init__(self, client: Callable[[str], Any], bucket: str, prefix: str, *, threads: Threads) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._threads = threads

    async def versioned(self) -> bool:
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

    async def gone(self, prefix: str, since: float, until: float) -> AsyncIterator[Sequence[DeletedObject]]:
        position: dict[str, str] = {}
        rest: dict[str, list[Any]] = {}
        while True:
            answer = await self._ask(
                "list_object_versions", prefix, Prefix=self._prefix + prefix, MaxKeys=VERSIONS_AT_ONCE, **position
            )
            keys = rest
            for item in [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]:
                keys.setdefault(item["Key"], []).append(item)
            # The last key may go on in the next page.
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
        """What a delete marker of that time covers, of all versions of one key."""
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

    async def write_again(self, source: str, etag: str, target: str, *, version_id: str = "", over: str = "") -> str:
        version = arguments(VersionId=version_id)
        seen = await self._ask("head_object", source, Key=self._prefix + source, **version)
        if str(seen["ETag"]).strip('"') != etag:
            raise PreconditionFailedError(f"{source!r} is another version by now")
        users, _ = metadata.incoming(seen.get("Metadata", {}))
        given = arguments(
            Metadata=metadata.outgoing(users, None),
            StorageClass=seen.get("StorageClass", ""),
            WebsiteRedirectLocation=seen.get("WebsiteRedirectLocation", ""),
            **{name: seen.get(name, "") for name in _HEADERS},
        )
        origin = {"Bucket": self._bucket, "Key": self._prefix + source, **version}
        condition = {"IfMatch": f'"{over}"'} if over else {"IfNoneMatch": "*"}
        if seen["ContentLength"] > COPY_LIMIT:
            return await self._in_parts(origin, etag, seen["ContentLength"], target, given, condition)
        answer = await self._ask(
            "copy_object",
            target,
            Key=self._prefix + target,
            CopySource=origin,
            CopySourceIfMatch=etag,
            MetadataDirective="REPLACE",
            **given,
            **condition,
        )
        return str(answer["CopyObjectResult"]["ETag"]).strip('"')

    async def _in_parts(
        self,
        origin: dict[str, str],
        etag: str,
        size: int,
        target: str,
        given: dict[str, Any],
        condition: dict[str, str],
    ) -> str:
        key = self._prefix + target
        upload = (await self._ask("create_multipart_upload", target, Key=key, **given))["UploadId"]
        try:
            parts = []
            for number, start in enumerate(range(0, size, PART_BYTES), 1):
                answer = await self._ask(
                    "upload_part_copy",
                    target,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource=origin,
                    CopySourceIfMatch=etag,
                    CopySourceRange=f"bytes={start}-{min(start + PART_BYTES, size) - 1}",
                )
                parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
            answer = await self._ask(
                "complete_multipart_upload",
                target,
                Key=key,
                UploadId=upload,
                MultipartUpload={"Parts": parts},
                **condition,
            )
        except BaseException:
            await self._ask("abort_multipart_upload", target, Key=key, UploadId=upload)
            raise
        return str(answer["ETag"]).strip('"')

    async def _ask(self, method: str, key: str, **given: Any) -> Any:
        target = f"{self._bucket}/{self._prefix}{key}"
        try:
            return await self._threads.ask_raw(
                "s3", target, getattr(self._client("s3"), method), Bucket=self._bucket, **given
            )
        except ClientError as error:
            refusal = refusal_of(error, "s3", target)
            if refusal.status in (404, 412):
                raise PreconditionFailedError(str(refusal)) from None
            raise error_of(refusal) from None
