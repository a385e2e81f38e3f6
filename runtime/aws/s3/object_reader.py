"""An object of a bucket while it is read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from dualsync.runtime.aws.http.connection import Connection
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.objects import ObjectHead

if TYPE_CHECKING:
    from dualsync.runtime.aws.s3.bucket import S3Bucket

WHOLE_BYTES = 32 << 20
"""Content of up to this many bytes is read in one request; larger content in ranges of one version."""

RANGE_BYTES = 8 << 20

ARCHIVED = "InvalidObjectState"
"""S3's code for a GET of an object in an archive ("Error responses", API Reference)."""


class S3ObjectReader:
    """An object being read (`dualsync.runtime.ports.ObjectReader`). What is large is received when it is asked for."""

    def __init__(
        self,
        bucket: S3Bucket,
        key: str,
        head: ObjectHead,
        content: bytes | bytearray | None,
        connection: Connection | None,
    ) -> None:
        self._bucket = bucket
        self._key = key
        self.head = head
        self._content = content
        self._connection = connection

    async def read_whole(self) -> bytes | None:
        """Return the content once, if one request brings it. Raises `RetryableError`."""
        return await self._whole() if self._comes_whole() else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content once.

        Raises `RetryableError`, and `PreconditionFailedError` when the object was replaced meanwhile and is too large
        for one request.
        """
        if self._comes_whole():
            yield await self._whole()
        else:
            size = self.head.size
            await self.close()
            for start in range(0, size, RANGE_BYTES):
                yield await self._bucket.read_range(self._key, start, min(size, start + RANGE_BYTES), self.head.etag)

    def _comes_whole(self) -> bool:
        return self._content is not None or (self.head.size <= WHOLE_BYTES and self._connection is not None)

    async def _whole(self) -> bytes:
        """Return what came with the head, or read from its connection.

        If that was lost meanwhile, read the same version from another. Memory for the content may be admitted late on a
        slow connection.
        """
        if self._content is not None:
            content, self._content = self._content, b""
            return as_bytes(content)
        size = self.head.size
        body = await self._bucket.admission.body(size)
        connection, self._connection = self._connection, None
        with contextlib.suppress(UnavailableError):
            if connection is not None:
                return as_bytes(await self._bucket.receive(self._key, connection, body))
        del body  # its room is for the second try
        return await self._bucket.read_range(self._key, 0, size, self.head.etag)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            self._bucket.client.pool.release(connection)


async def open_archived(bucket: S3Bucket, key: str) -> S3ObjectReader | None:
    """Return a reader of an object whose content S3 refuses as archived: its head alone may be enough."""
    seen = await bucket.head(key)
    return S3ObjectReader(bucket, key, replace(seen, archived=True), None, None) if seen is not None else None


def as_bytes(content: bytes | bytearray) -> bytes:
    """Return the content as bytes without a copy, since it does not change any more."""
    return cast(bytes, content)
