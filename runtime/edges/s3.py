"""An S3 bucket under one prefix."""

from __future__ import annotations

import asyncio
import contextlib
import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import cast
from urllib.parse import quote

from runtime.edges import headers as wire
from runtime.edges import listing, uploads
from runtime.edges.body import Admission, Body
from runtime.edges.caller import Caller, Refused
from runtime.edges.connection import Answer, Connection
from runtime.edges.credentials import Credentials
from runtime.edges.options import Options, tags
from runtime.edges.translate import MISSING_OBJECT, Refusal, error_of
from runtime.errors import Changed, DualSyncError, GiveUp, Unavailable
from runtime.objects import Attributes, Begun, Condition, Part, Row, Seen, Written
from runtime.pieces import Pieces, digest
from runtime.version import Stamp

WHOLE_BYTES = 32 << 20
"""Content of up to this many bytes is read in one request; larger content in ranges of one version."""

RANGE_BYTES = 8 << 20

_KEY = attrgetter("key")


class S3Reading:
    """An object being read (`runtime.ports.Reading`). What is large is received when it is asked for."""

    def __init__(
        self, bucket: S3Bucket, key: str, seen: Seen, content: bytes | bytearray | None, connection: Connection | None
    ) -> None:
        self._bucket = bucket
        self._key = key
        self.seen = seen
        self._content = content
        self._connection = connection

    async def chunks(self) -> AsyncIterator[bytes]:
        """The content, once. Raises `Retry`, and `Changed` when it was replaced meanwhile and is too large for one
        request."""
        size = self.seen.size
        if self._content is not None:
            content, self._content = self._content, b""
            yield _bytes(content)
        elif size <= WHOLE_BYTES and self._connection is not None:
            body = await self._bucket.admission.body(size)
            connection, self._connection = self._connection, None
            yield _bytes(await self._bucket.receive(self._key, connection, body))
        else:
            await self.close()
            for start in range(0, size, RANGE_BYTES):
                yield await self._bucket.read_range(self._key, start, min(size, start + RANGE_BYTES), self.seen.etag)

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            self._bucket.caller.pool.give(connection)


class S3Bucket:
    """`runtime.ports.Bucket` over S3's REST API.

    `path_style` puts the bucket's name into the path, not into the host. An object whose whole key is the prefix (a
    console's folder marker) has no relative key and is not seen.
    """

    def __init__(
        self,
        caller: Caller,
        bucket: str,
        prefix: str = "",
        *,
        path_style: bool,
        admission: Admission | None = None,
        options: Options | None = None,
    ) -> None:
        self.caller = caller
        self.admission = admission or Admission()
        self._bucket = bucket
        self._prefix = prefix
        self._base = f"/{bucket}" if path_style else ""
        self._options = options or Options()
        self._asking = self._options.asking()
        self._digests = False
        self.unconditional = False
        """Whether the store has said that it knows no conditional writes: they are approached by looking first."""

    def use(self, credentials: Credentials) -> None:
        """Go on with another credential; calls under way end with the old one."""
        self.caller.use(credentials)

    async def head(self, key: str, version_id: str = "") -> Seen | None:
        query = f"versionId={quote(version_id, safe='')}" if version_id else ""
        for _ in range(3):
            try:
                answer = await self._call("HeadObject", "HEAD", key, query)
            except Refused as refused:
                if refused.headers.get("x-amz-delete-marker") == "true":
                    return None
                refusal = await self._spoken(refused.refusal, key, query)
                if refusal is None:
                    continue
                if refusal.code in MISSING_OBJECT:
                    return None
                raise error_of(refusal) from None
            return wire.seen(answer.headers, answer.length or 0)
        raise Unavailable(f"s3 HeadObject {self._target(key)}: HEAD and GET disagree again and again")

    async def read(self, key: str) -> S3Reading | None:
        headers = {"x-amz-checksum-mode": "ENABLED"} | self._asking
        try:
            answer, connection = await self.caller.open("GetObject", self._target(key), "GET", self._path(key), headers)
        except Refused as refused:
            if refused.refusal.code in MISSING_OBJECT:
                return None
            raise error_of(refused.refusal) from None
        seen = wire.seen(answer.headers, answer.length or 0)
        if answer.body is None:
            reading = S3Reading(self, key, seen, None, connection)
        else:
            self.caller.pool.give(connection)
            reading = S3Reading(self, key, seen, answer.body, None)
        if self._options.tagged(answer.headers):
            try:
                reading.seen = await self._with_tags(key, seen)
            except BaseException:
                await reading.close()
                raise
        return reading

    async def _with_tags(self, key: str, seen: Seen) -> Seen:
        """Of the same version, where the bucket keeps versions."""
        version = seen.version_id
        query = f"tagging=&versionId={quote(version, safe='')}" if version else "tagging="
        answer = await self._ask("GetObjectTagging", "GET", key, query)
        return replace(seen, attributes=replace(seen.attributes, tags=tags(answer.body or b"")))

    async def receive(self, key: str, connection: Connection, memory: Body) -> Body:
        """The content of an object whose head has come."""
        return await self.caller.rest("GetObject", self._target(key), connection, memory)

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        headers = {"range": f"bytes={start}-{end - 1}", "if-match": f'"{etag}"'} | self._asking

        async def memory(length: int) -> Body:
            if length != end - start:
                raise Unavailable(f"{length} bytes came for {start} to {end}")
            return await self.admission.body(length)

        try:
            answer = await self.caller.call(
                "GetObject", self._target(key), "GET", self._path(key), "", headers, memory=memory
            )
        except Refused as refused:
            raise error_of(refused.refusal) from None
        if answer.length != end - start:
            raise Unavailable(f"s3 GetObject {self._target(key)}: {answer.length} bytes came for {start} to {end}")
        return _bytes(answer.body or b"")

    async def part_size(self, key: str, etag: str) -> int:
        answer = await self._ask("HeadObject", "HEAD", key, "partNumber=1", {"if-match": f'"{etag}"'})
        return answer.length or 0

    async def put(
        self, key: str, body: bytes, attributes: Attributes, stamp: Stamp | None, condition: Condition
    ) -> Written:
        headers = self._given(attributes, stamp)
        headers |= wire.of_checksum(attributes)
        answer = await self._write("PutObject", "PUT", key, "", headers, body, condition)
        return Written(wire.etag(answer.headers), answer.headers.get("x-amz-version-id", ""))

    async def create_upload(self, key: str, attributes: Attributes, stamp: Stamp | None) -> str:
        answer = await self._ask("CreateMultipartUpload", "POST", key, "uploads=", self._given(attributes, stamp))
        upload_id = uploads.text(answer.body or b"", "UploadId")
        if not upload_id:
            raise Unavailable(f"s3 CreateMultipartUpload {self._target(key)}: the answer names no upload")
        return upload_id

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> Sequence[Part] | None:
        found: list[Part] = []
        marker = str(first - 1)
        while True:
            most = min(1000, last - int(marker))
            query = f"max-parts={most}&part-number-marker={marker}&uploadId={quote(upload_id, safe='')}"
            try:
                answer = await self._ask("ListParts", "GET", key, query)
            except GiveUp as error:
                if error.reason in uploads.UNKNOWN:
                    return None
                raise
            page = uploads.parts(bytes(answer.body or b""))
            found += [part for part in page.parts if first <= part.number <= last]
            marker = page.marker
            if not marker or int(marker) >= last:
                return found

    async def list_uploads(self) -> Sequence[Begun]:
        found: list[Begun] = []
        position: dict[str, str] = {}
        while True:
            answer = await self._listed("ListMultipartUploads", {"prefix": self._prefix, "uploads": ""} | position)
            page, position = uploads.begun(answer, self._prefix)
            found += page
            if not position:
                return found

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes | Pieces) -> Part:
        query = f"partNumber={number}&uploadId={quote(upload_id, safe='')}"
        answer = await self._write("UploadPart", "PUT", key, query, {}, body)
        return Part(number, wire.etag(answer.headers))

    async def complete_upload(
        self, key: str, upload_id: str, parts: Sequence[Part], condition: Condition, checksum: str = ""
    ) -> Written:
        listed = "".join(
            f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{part.etag}&quot;</ETag></Part>" for part in parts
        )
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        headers = {"content-type": "application/xml"}
        query = f"uploadId={quote(upload_id, safe='')}"
        try:
            answer = await self._write("CompleteMultipartUpload", "POST", key, query, headers, body, condition)
        except GiveUp as error:
            if error.reason != "InvalidPart":
                raise
            raise Unavailable(str(error)) from None  # another worker put a part again: listed anew, it can be
        said = answer.body or b""
        etag = uploads.text(said, "ETag").strip('"') or wire.etag(answer.headers)
        if not uploads.agree(checksum, said):
            with contextlib.suppress(DualSyncError):
                await self.delete(key, Condition(etag))
            raise Unavailable(f"s3 CompleteMultipartUpload {self._target(key)}: the checksum is not the source's")
        return Written(etag, answer.headers.get("x-amz-version-id", ""))

    async def abort_upload(self, key: str, upload_id: str) -> None:
        with contextlib.suppress(Changed):
            await self._ask("AbortMultipartUpload", "DELETE", key, f"uploadId={quote(upload_id, safe='')}")

    async def delete(self, key: str, condition: Condition) -> None:
        if condition.etag is None:
            raise ValueError("a deletion needs the ETag of what it deletes")
        await self._write("DeleteObject", "DELETE", key, "", {}, b"", condition)

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[Row]]:
        below = {"prefix": self._prefix + prefix}
        start = {"start-after": self._prefix + after} if after else {}
        asked = asyncio.create_task(self._page(below | start))
        try:
            while True:
                page = await asked
                rows, more = page.rows, page.token
                if until and rows and rows[-1].key >= until:
                    rows, more = rows[: bisect_right(rows, until, key=_KEY)], ""
                if more:
                    # The next one travels while this one is looked at.
                    asked = asyncio.create_task(self._page(below | {"continuation-token": more}))
                if rows:
                    yield rows
                if not more:
                    return
        finally:
            if not asked.done():
                asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def _page(self, position: dict[str, str]) -> listing.Page:
        return listing.parse(await self._listed("ListObjectsV2", {"list-type": "2"} | position), self._prefix)

    async def _listed(self, operation: str, given: dict[str, str]) -> bytes:
        # Without the encoding, control characters in keys make the answer no XML.
        given = {"encoding-type": "url"} | given
        query = "&".join(f"{name}={quote(given[name], safe='')}" for name in sorted(given))
        try:
            answer = await self.caller.call(operation, self._target(""), "GET", self._base or "/", query, self._asking)
        except Refused as refused:
            raise error_of(refused.refusal) from None
        return bytes(answer.body or b"")

    def _given(self, attributes: Attributes, stamp: Stamp | None) -> dict[str, str]:
        return wire.of_attributes(attributes, stamp) | self._options.writing(attributes)

    async def _write(
        self,
        operation: str,
        method: str,
        key: str,
        query: str,
        headers: dict[str, str],
        body: bytes | Pieces,
        condition: Condition | None = None,
    ) -> Answer:
        """A write that learns what the bucket wants: a digest of the content (Object Lock does), or no conditions
        (S3-compatible stores may know none)."""
        while True:
            given = dict(headers)
            if self._digests and body:
                given["content-md5"] = await digest(body)
            if condition is not None and self.unconditional:
                await self._look(key, condition)
            elif condition is not None:
                given |= wire.of_condition(condition)
            try:
                return await self._ask(operation, method, key, query, given, body)
            except GiveUp as error:
                if not self._learn(error, condition):
                    raise

    def _learn(self, error: GiveUp, condition: Condition | None) -> bool:
        """Whether a refusal taught something that makes the next try another one."""
        if error.reason == "InvalidRequest" and "Content-MD5" in str(error) and not self._digests:
            self._digests = True
            return True
        if error.reason == "NotImplemented" and condition is not None and not self.unconditional:
            self.unconditional = True
            return True
        return False

    async def _look(self, key: str, condition: Condition) -> None:
        """What a condition would have checked, a moment before the write: not safe against one in between."""
        seen = await self.head(key)
        if (seen.etag if seen else None) != condition.etag:
            raise Changed(f"s3 {self._target(key)}: not what was expected")

    async def _spoken(self, refusal: Refusal, key: str, query: str) -> Refusal | None:
        """The refusal with a code. A HEAD's answer has no body, so the same is asked as a GET of one byte; None when
        that finds the object after all."""
        if not refusal.code.isdigit() or refusal.status >= 500:
            return refusal
        try:
            await self._call("GetObject", "GET", key, query, {"range": "bytes=0-0"})
        except Refused as refused:
            return None if refused.refusal.code == "InvalidRange" else refused.refusal
        return None

    async def _call(
        self,
        operation: str,
        method: str,
        key: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes | Pieces = b"",
    ) -> Answer:
        given = self._asking | headers if headers else self._asking
        return await self.caller.call(operation, self._target(key), method, self._path(key), query, given, body)

    async def _ask(
        self,
        operation: str,
        method: str,
        key: str,
        query: str = "",
        headers: dict[str, str] | None = None,
        body: bytes | Pieces = b"",
    ) -> Answer:
        """`_call` with every refusal translated, also one that comes after a hopeful 200 (long completions)."""
        try:
            answer = await self._call(operation, method, key, query, headers, body)
        except Refused as refused:
            raise error_of(refused.refusal) from None
        if answer.body and b"<Error>" in answer.body:
            code = re.search(rb"<Code>([^<]*)</Code>", answer.body)
            raise error_of(
                Refusal("s3", operation, self._target(key), code[1].decode() if code else "InternalError", 500)
            )
        return answer

    def _path(self, key: str) -> str:
        return f"{self._base}/{quote(self._prefix + key, safe='/-._~')}"

    def _target(self, key: str) -> str:
        return f"{self._bucket}/{self._prefix}{key}"


def _bytes(content: bytes | bytearray) -> bytes:
    """Nobody changes it any more; a copy would only cost."""
    return cast(bytes, content)
