"""`dualsync.runtime.operations.verify.bucket_lister.BucketLister` over boto3, another client than the worker's."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from dualsync.runtime.aws.boto3_bridge import Threads
from dualsync.runtime.aws.errors import translate
from dualsync.runtime.operations.verify.bucket_lister import Item, ObjectFacts

PREFETCHED_PAGES = 4
"""Pages that are fetched before they are asked for."""
CHUNK_BYTES = 1 << 20
STAMP = "dualsync-origin"

http.client._MAXHEADERS = 4096  # type: ignore[attr-defined]
"""The default of 100 headers refuses objects with many entries of user metadata. S3 allows 2 KB of it, which is up to
about 1,000 entries (Amazon S3 User Guide, "Working with object metadata")."""

_HEADERS = (
    "ContentType",
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ExpiresString",
    "WebsiteRedirectLocation",
)
_GONE = ("404", "NoSuchKey", "412", "PreconditionFailed")


class S3BucketLister:
    """One bucket as a comparison sees it."""

    def __init__(self, client: Callable[[str], Any], bucket: str, prefix: str, *, threads: Threads) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._threads = threads

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[Item]]:
        queue: asyncio.Queue[Sequence[Item] | Exception | None] = asyncio.Queue(PREFETCHED_PAGES)

        async def fetch() -> None:
            try:
                position: dict[str, str] = {}
                while True:
                    listing = self._client("s3").list_objects_v2
                    answer = await self._ask(listing, Prefix=self._prefix + prefix, EncodingType="url", **position)
                    await queue.put([item for raw in answer.get("Contents", ()) if (item := self._item(raw)).key])
                    if not answer["IsTruncated"]:
                        break
                    position = {"ContinuationToken": answer["NextContinuationToken"]}
            except Exception as error:  # raised where the pages are read
                await queue.put(error)
            await queue.put(None)

        fetching = asyncio.create_task(fetch())
        try:
            while (page := await queue.get()) is not None:
                if isinstance(page, Exception):
                    raise page
                yield page
        finally:
            fetching.cancel()

    def _item(self, raw: Mapping[str, Any]) -> Item:
        return Item(
            unquote_plus(raw["Key"])[len(self._prefix) :],
            raw["Size"],
            raw["ETag"].strip('"'),
            int(raw["LastModified"].timestamp()),
            raw.get("StorageClass", ""),
        )

    async def facts(self, key: str) -> ObjectFacts | None:
        try:
            head = self._client("s3").head_object
            answer = await self._threads.call_service_raw(
                "s3", key, head, Bucket=self._bucket, Key=self._prefix + key, ChecksumMode="ENABLED"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise translate(error, "s3", f"{self._bucket}/{key}") from None
        users = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        stamped = users.pop(STAMP, None) is not None
        headers = {name: str(answer[name]) for name in _HEADERS if answer.get(name)}
        whole = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        return ObjectFacts(
            answer["ETag"].strip('"'),
            answer["ContentLength"],
            headers | {f"x-amz-meta-{name}": value for name, value in users.items()},
            {n: v for n, v in answer.items() if n.startswith("Checksum") and n != "ChecksumType"} if whole else {},
            stamped,
        )

    async def tags(self, key: str) -> Mapping[str, str]:
        answer = await self._ask(self._client("s3").get_object_tagging, Key=self._prefix + key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    async def digest(self, key: str, etag: str) -> str | None:
        client = self._client("s3")

        def read() -> str:
            answer = client.get_object(Bucket=self._bucket, Key=self._prefix + key, IfMatch=f'"{etag}"')
            digest = hashlib.sha256()
            for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
                digest.update(chunk)
            return digest.hexdigest()

        try:
            return await self._threads.call_service_raw("s3", key, read)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise translate(error, "s3", f"{self._bucket}/{key}") from None

    async def _ask(self, function: Any, **given: Any) -> Any:
        return await self._threads.call_service("s3", self._bucket, function, Bucket=self._bucket, **given)
