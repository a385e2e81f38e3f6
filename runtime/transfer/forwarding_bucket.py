"""A bucket that passes every call on to another one: the base of those that do something beside some of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from dualsync.runtime.model.objects import (
    Attributes,
    ListedObject,
    ListedUpload,
    ObjectHead,
    Part,
    Precondition,
    PutResult,
    StartedUpload,
)
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.streamed_body import StreamedBody
from dualsync.runtime.ports import Bucket, ObjectReader


class ForwardingBucket:
    """Implement `dualsync.runtime.ports.Bucket` by another bucket."""

    __slots__ = ("_bucket",)

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        return await self._bucket.head(key, version_id, checksum=checksum)

    async def read(self, key: str) -> ObjectReader | None:
        return await self._bucket.read(key)

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        return await self._bucket.read_range(key, start, end, etag)

    async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        return await self._bucket.read_part(key, number, length, etag)

    async def head_part(self, key: str, number: int, etag: str) -> Part:
        return await self._bucket.head_part(key, number, etag)

    async def put(
        self, key: str, body: bytes | StreamedBody, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        return await self._bucket.put(key, body, attributes, stamp, condition)

    async def create_upload(
        self, key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = ""
    ) -> StartedUpload:
        return await self._bucket.create_upload(key, attributes, stamp, checksum)

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> Sequence[Part] | None:
        return await self._bucket.list_parts(key, upload_id, first, last)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, checksum: str = "", declared: str = ""
    ) -> Part:
        return await self._bucket.put_part(key, upload_id, number, body, checksum, declared)

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        return await self._bucket.complete_upload(key, upload_id, parts, condition, checksum, declared)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self._bucket.abort_upload(key, upload_id)

    async def list_uploads(self) -> Sequence[ListedUpload]:
        return await self._bucket.list_uploads()

    async def delete(self, key: str, condition: Precondition) -> None:
        await self._bucket.delete(key, condition)

    def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        return self._bucket.list(after, until, prefix)
