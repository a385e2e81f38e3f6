"""An S3 bucket under one prefix."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from operator import attrgetter
from urllib.parse import quote

from dualsync.runtime.aws.errors import MISSING_OBJECT, error_of
from dualsync.runtime.aws.http.answer import Answer
from dualsync.runtime.aws.http.body_memory import Admission, Body
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.aws.http.connection import Connection
from dualsync.runtime.aws.s3 import checksums, multipart
from dualsync.runtime.aws.s3 import headers as wire
from dualsync.runtime.aws.s3.checksums import ChecksumSupport
from dualsync.runtime.aws.s3.conditions import ConditionSupport
from dualsync.runtime.aws.s3.listing import PageReader
from dualsync.runtime.aws.s3.object_reader import ARCHIVED, S3ObjectReader, as_bytes, open_archived
from dualsync.runtime.aws.s3.options import Options, parse_tags
from dualsync.runtime.aws.s3.requests import BucketRequests
from dualsync.runtime.errors import (
    ChecksumMismatchError,
    ChecksumUnsupportedError,
    DualSyncError,
    PermanentError,
    PreconditionFailedError,
    ServiceBlockedError,
    UnavailableError,
)
from dualsync.runtime.model.checksums import kind, value
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

_KEY = attrgetter("key")


class S3Bucket(BucketRequests):
    """Implements `dualsync.runtime.ports.Bucket` with S3's REST API.

    `path_style` puts the bucket's name into the path, not into the host. An object whose whole key is the prefix (a
    console's folder marker) has no relative key and is ignored.
    """

    def __init__(
        self,
        client: ServiceClient,
        bucket: str,
        prefix: str = "",
        *,
        path_style: bool,
        admission: Admission | None = None,
        options: Options | None = None,
    ) -> None:
        self._options = options or Options()
        super().__init__(client, bucket, prefix, path_style=path_style, headers=self._options.request_headers())
        self.admission = admission or Admission()
        self.pages = PageReader(self._listed, prefix, restores=self._options.restores)
        self._digests = False
        self._checks = ChecksumSupport()
        self.refused_checksums = self._checks.refused_forms
        self._conditions = ConditionSupport()

    @property
    def lacks_conditions(self) -> bool:
        """Return whether some writes are preceded by a HEAD instead of carrying conditions, which the store refuses."""
        return bool(self._conditions.unsupported)

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        headers = checksums.ENABLED if checksum else None
        query = f"versionId={quote(version_id, safe='')}" if version_id else ""
        for _ in range(3):
            try:
                answer = await self._call("HeadObject", "HEAD", key, query, headers)
            except ServiceError as refused:
                if refused.headers.get("x-amz-delete-marker") == "true":
                    return None
                refusal = await self._spoken(refused.refusal, key, query)
                if refusal is None:
                    continue
                if refusal.code in MISSING_OBJECT:
                    return None
                raise error_of(refusal) from None
            return self._head_of(key, answer, is_s3=self._options.restores)
        raise UnavailableError(f"s3 HeadObject {self._target(key)}: HEAD and GET disagree again and again")

    async def read(self, key: str) -> S3ObjectReader | None:
        headers = checksums.ENABLED | self._request_headers
        try:
            answer, connection = await self.client.open("GetObject", self._target(key), "GET", self._path(key), headers)
        except ServiceError as refused:
            if refused.refusal.code in MISSING_OBJECT:
                return None
            if refused.refusal.code == ARCHIVED:
                return await open_archived(self, key)
            raise error_of(refused.refusal) from None
        if answer.body is not None:
            self.client.pool.release(connection)
        try:
            seen = self._head_of(key, answer, is_s3=self._options.restores)
        except DualSyncError:
            if answer.body is None:
                connection.abort()
                self.client.pool.release(connection)
            raise
        reading = S3ObjectReader(self, key, seen, answer.body, connection if answer.body is None else None)
        if self._options.has_tags(answer.headers):
            try:
                reading.head = await self._with_tags(key, seen)
            except BaseException:
                await reading.close()
                raise
        return reading

    async def _with_tags(self, key: str, seen: ObjectHead) -> ObjectHead:
        """Return the head with the tags of the same version, where the bucket keeps versions."""
        query = f"tagging=&versionId={quote(seen.version_id, safe='')}" if seen.version_id else "tagging="
        answer = await self._ask("GetObjectTagging", "GET", key, query)
        return replace(seen, attributes=replace(seen.attributes, tags=parse_tags(answer.body or b"")))

    async def receive(self, key: str, connection: Connection, memory: Body) -> Body:
        """Read the content of an object whose head has been received."""
        return await self.client.receive_rest("GetObject", self._target(key), connection, memory)

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        headers = {"range": f"bytes={start}-{end - 1}"}
        answer = await self._range(key, "", headers, etag, end - start, UnavailableError, f"came for {start} to {end}")
        shown = answer.headers.get("content-range", "")
        if shown and not shown.startswith(f"bytes {start}-{end - 1}/"):
            raise UnavailableError(f"s3 GetObject {self._target(key)}: {shown[:60]} came for {start} to {end}")
        return as_bytes(answer.body or b"")

    async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        query, what = f"partNumber={number}", f"are part {number}, not {length}"
        answer = await self._range(key, query, checksums.ENABLED, etag, length, ChecksumUnsupportedError, what)
        return as_bytes(answer.body or b""), checksums.from_headers(answer.headers)

    async def _range(
        self,
        key: str,
        query: str,
        headers: dict[str, str],
        etag: str,
        length: int,
        wrong: type[DualSyncError],
        what: str,
    ) -> Answer:
        """Read a range of bytes of one version.

        Raises `PreconditionFailedError` for another version, and `wrong` for another length.
        """

        def check(coming: int | None) -> None:
            if coming != length:
                raise wrong(f"s3 GetObject {self._target(key)}: {coming} bytes {what}")

        async def memory(coming: int) -> Body:
            check(coming)
            return await self.admission.body(coming)

        given = headers | {"if-match": f'"{etag}"'} | self._request_headers
        try:
            answer = await self.client.call(
                "GetObject", self._target(key), "GET", self._path(key), query, given, memory=memory
            )
        except ServiceError as refused:
            raise error_of(refused.refusal) from None
        check(answer.length)
        if wire.etag(answer.headers) not in ("", etag):  # the store heeds no If-Match, or shows a part's own ETag
            raise (ChecksumUnsupportedError if wrong is ChecksumUnsupportedError else PreconditionFailedError)(
                f"s3 GetObject {self._target(key)}: another ETag"
            )
        return answer

    async def head_part(self, key: str, number: int, etag: str) -> Part:
        headers = checksums.ENABLED | {"if-match": f'"{etag}"'}
        try:
            answer = await self._call("HeadObject", "HEAD", key, f"partNumber={number}", headers)
        except ServiceError as refused:
            said = refused.refusal
            if said.status in (404, 412):
                raise PreconditionFailedError(str(said)) from None
            spoken = None if said.status == 501 else await self._spoken(said, key, "")
            if spoken is not None:
                raise error_of(spoken) from None
            return Part(number, "")  # the object can be read: it is its parts that the store does not tell of
        return Part(number, "", answer.length or 0, checksums.from_headers(answer.headers))

    async def put(
        self, key: str, body: bytes | StreamedBody, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        checksum = wire.checksum_to_send(attributes)
        headers = self._given(attributes, stamp) | checksums.checksum_header(checksum)
        answer = await self._write("PutObject", "PUT", key, "", headers, body, condition, checksum)
        return wire.put_result(answer.headers, is_s3=self._options.restores)

    async def create_upload(
        self, key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = ""
    ) -> StartedUpload:
        while True:
            headers = self._given(attributes, stamp) | checksums.create_upload_headers(checksum)
            answer = await self._write("CreateMultipartUpload", "POST", key, "uploads=", headers, checksum=checksum)
            upload_id = multipart.element_text(answer.body or b"", "UploadId")
            if not upload_id:
                raise UnavailableError(f"s3 CreateMultipartUpload {self._target(key)}: the answer names no upload")
            declared = checksums.is_declaration_confirmed(checksum, answer.headers)
            if declared is not None:
                return StartedUpload(upload_id, checksum if declared else "")
            self._checks.record_unsupported("CreateMultipartUpload", checksum)
            checksum = ""
            await self.abort_upload(key, upload_id)

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> Sequence[Part] | None:
        found: list[Part] = []
        marker = first - 1
        while True:
            most = min(1000, last - marker)
            query = f"max-parts={most}&part-number-marker={marker}&uploadId={quote(upload_id, safe='')}"
            try:
                answer = await self._ask("ListParts", "GET", key, query)
            except PermanentError as error:
                if error.reason in multipart.UNKNOWN:
                    return None
                raise
            page = multipart.parse_parts(bytes(answer.body or b""))
            found += [part for part in page.parts if first <= part.number <= last]
            if not page.marker or page.marker >= last:
                return found
            if page.marker <= marker:
                raise UnavailableError(f"s3 ListParts {self._target(key)}: the same page again")
            marker = page.marker

    async def list_uploads(self) -> Sequence[ListedUpload]:
        found: list[ListedUpload] = []
        position: dict[str, str] = {}
        while True:
            answer = await self._listed("ListMultipartUploads", {"prefix": self._prefix, "uploads": ""} | position)
            page, following = multipart.parse_uploads(answer, self._prefix)
            found += page
            if not following:
                return found
            if following == position:
                raise UnavailableError(f"s3 ListMultipartUploads {self._target('')}: the same page again")
            position = following

    async def put_part(
        self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, checksum: str = "", declared: str = ""
    ) -> Part:
        if checksum and not value(checksum):
            checksum += await checksums.digest(body, kind(checksum))
        query = f"partNumber={number}&uploadId={quote(upload_id, safe='')}"
        headers = checksums.checksum_header(checksum)
        answer = await self._write("UploadPart", "PUT", key, query, headers, body, checksum=declared, bound=True)
        return Part(
            number, wire.put_result(answer.headers).etag, len(body), checksum or checksums.from_headers(answer.headers)
        )

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        body = multipart.completion_body(parts, checksums.part_elements(parts, declared))
        headers = {"content-type": "application/xml"} | checksums.complete_upload_headers(declared)
        query = f"uploadId={quote(upload_id, safe='')}"
        try:
            answer = await self._write(
                "CompleteMultipartUpload", "POST", key, query, headers, body, condition, declared, bound=True
            )
        except PermanentError as error:
            if error.reason != "InvalidPart":
                raise
            raise UnavailableError(str(error)) from None  # another worker put a part again: listed again, it succeeds
        said = answer.body or b""
        written = wire.put_result(answer.headers, multipart.element_text(said, "ETag"), is_s3=self._options.restores)
        if not multipart.is_checksum_equal(checksum, said):
            with contextlib.suppress(DualSyncError):
                await self.delete(key, Precondition(written.etag))
            raise ChecksumMismatchError(
                f"s3 CompleteMultipartUpload {self._target(key)}: the checksum is not the source's"
            )
        return written

    async def abort_upload(self, key: str, upload_id: str) -> None:
        with contextlib.suppress(PreconditionFailedError):
            await self._ask("AbortMultipartUpload", "DELETE", key, f"uploadId={quote(upload_id, safe='')}")

    async def delete(self, key: str, condition: Precondition) -> None:
        if condition.etag is None:
            raise ValueError("a deletion needs the ETag of what it deletes")
        await self._write("DeleteObject", "DELETE", key, "", {}, b"", condition)

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        below = {"prefix": self._prefix + prefix}
        start = {"start-after": self._prefix + after} if after else {}
        asked = asyncio.create_task(self.pages.get(below | start))
        token = ""
        try:
            while True:
                page = await asked
                rows, more = page.rows, page.token
                if more and more == token:
                    raise UnavailableError(f"s3 ListObjectsV2 {self._target('')}: the same page again")
                token = more
                if until and rows and rows[-1].key >= until:
                    rows, more = rows[: bisect_right(rows, until, key=_KEY)], ""
                if more:
                    # The next page is requested while this one is processed.
                    asked = asyncio.create_task(self.pages.get(below | {"continuation-token": more}))
                if rows:
                    yield rows
                if not more:
                    return
        finally:
            if not asked.done():
                asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    def _given(self, attributes: Attributes, stamp: Stamp | None) -> dict[str, str]:
        return wire.attribute_headers(attributes, stamp) | self._options.object_headers(attributes)

    async def _write(
        self,
        operation: str,
        method: str,
        key: str,
        query: str,
        headers: dict[str, str],
        body: bytes | StreamedBody = b"",
        condition: Precondition | None = None,
        checksum: str = "",
        bound: bool = False,
    ) -> Answer:
        """Send a write, and repeat it in the form that the bucket requires.

        That is with a digest of the content (Object Lock), without conditions, or without a kind of checksums
        (`ChecksumSupport`).

        Raises `ChecksumUnsupportedError` if the write is `bound` to its `checksum`.
        """
        plain = not bound and self._checks.is_refused(operation, checksum)
        conditional = condition is not None and operation not in self._conditions.unsupported
        while True:
            given = dict(headers)
            if plain:
                given = {name: text for name, text in headers.items() if not name.startswith(checksums.PREFIX)}
            if self._digests and operation in ("PutObject", "UploadPart") and "content-md5" not in given:
                given["content-md5"] = await checksums.digest(body, "md5")
            if condition is not None and conditional:
                given |= wire.condition_headers(condition)
            elif condition is not None:
                await self._check_condition(key, condition)
            try:
                answer = await self._ask(operation, method, key, query, given, body)
            except PreconditionFailedError:
                if conditional:
                    self._conditions.record_evaluated(operation)
                raise
            except PermanentError as error:
                if self._options.causes_refusal(error.reason):
                    raise ServiceBlockedError(str(error)) from None
                if "Content-MD5" in str(error) and not self._digests:
                    self._digests = True
                elif not plain and self._checks.record_refusal(error, operation, checksum, bound):
                    plain = True
                elif conditional and self._conditions.may_be_unsupported(operation, error):
                    conditional = False
                else:
                    raise
                continue
            if not plain:
                self._checks.record_accepted(operation, checksum)
            if condition is not None and not conditional:
                self._conditions.unsupported.add(operation)
            return answer

    async def _check_condition(self, key: str, condition: Precondition) -> None:
        """Check the condition just before the write. Another write in between is not noticed."""
        seen = await self.head(key)
        if (seen.etag if seen else None) != condition.etag:
            raise PreconditionFailedError(f"s3 {self._target(key)}: not what was expected")
