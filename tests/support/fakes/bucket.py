"""Provide `dualsync.runtime.ports.Bucket` over a `Store`: one credential, one prefix, and two steps per call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from dualsync.runtime.errors import (
    ChecksumMismatchError,
    ChecksumUnsupportedError,
    ConcurrentWriteError,
    PermanentError,
    PreconditionFailedError,
    UnavailableError,
    UploadGoneError,
)
from dualsync.runtime.model.checksums import CONTENT_MD5, composite_parts, is_linear, kind, value
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
from tests.support.fakes.gate import Gate, Pair, open_gate
from tests.support.fakes.store import Store, checksum_of
from tests.support.fakes.upload import Upload
from tests.support.fakes.version import Version

PAGE = 1000
"""Keys per page of a listing ("ListObjectsV2", API Reference)."""


class FakeObjectReader:
    """A reader of the version that was current at the GET, whatever happens to the key later."""

    __slots__ = ("_body", "_step", "head")

    def __init__(self, version: Version, step: Pair) -> None:
        self.head = version.seen
        self._body = version.body
        self._step = step

    async def read_whole(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the content in two pieces, if it has at least two bytes."""
        half = (len(self._body) + 1) // 2
        await self._step[0]
        if half:
            yield self._body[:half]
        await self._step[1]
        if half < len(self._body):
            yield self._body[half:]

    async def close(self) -> None:
        pass


class FakeBucket:
    """A bucket whose calls are named after `name` (`local`, `remote`) and whose writes are by `principal`."""

    def __init__(
        self,
        store: Store,
        principal: str,
        *,
        prefix: str = "",
        name: str = "local",
        gate: Gate = open_gate,
        page: int = PAGE,
    ) -> None:
        self.store = store
        self.principal = principal
        self._prefix = prefix
        self._page = page
        self._head, self._get, self._body, self._range, self._put, self._create = (
            gate(f"{name}.{call}") for call in ("head", "get", "body", "get_range", "put", "create_upload")
        )
        self._uploads = gate(f"{name}.list_uploads")
        self._part, self._complete, self._abort, self._delete, self._list, self._parts = (
            gate(f"{name}.{call}") for call in ("put_part", "complete", "abort", "delete", "list", "list_parts")
        )

    async def head(self, key: str, version_id: str = "", *, checksum: bool = False) -> ObjectHead | None:
        await self._head[0]
        full = self._prefix + key
        version = self.store.version(full, version_id) if version_id else self.store.current(full)
        await self._head[1]
        if version is None:
            return None
        attributes = version.seen.attributes
        return replace(version.seen, attributes=replace(attributes, checksum=attributes.checksum if checksum else ""))

    async def read(self, key: str) -> FakeObjectReader | None:
        await self._get[0]
        version = self.store.current(self._prefix + key)
        await self._get[1]
        return FakeObjectReader(version, self._body) if version else None

    async def read_range(self, key: str, start: int, end: int, etag: str) -> bytes:
        await self._range[0]
        version = self.store.current(self._prefix + key)
        await self._range[1]
        if version is None or version.seen.etag != etag:
            raise PreconditionFailedError(f"GET {key}: not the version with ETag {etag}")
        return version.body[start:end]

    async def read_part(self, key: str, number: int, length: int, etag: str) -> tuple[bytes, str]:
        body, checksum = await self._part_of(self._range, key, number, etag)
        if len(body) != length:
            raise ChecksumUnsupportedError(f"GET {key}: part {number} has another length")
        return body, checksum

    async def head_part(self, key: str, number: int, etag: str) -> Part:
        body, checksum = await self._part_of(self._head, key, number, etag)
        return Part(number, "", len(body), checksum)

    async def _part_of(self, step: Pair, key: str, number: int, etag: str) -> tuple[bytes, str]:
        await step[0]
        version = self.store.current(self._prefix + key)
        await step[1]
        if version is None or version.seen.etag != etag:
            raise PreconditionFailedError(f"{key}: not the version with ETag {etag}")
        body, checksum = version.part(number)
        return body, checksum if self.store.shows_parts else ""

    async def put(
        self, key: str, body: bytes | StreamedBody, attributes: Attributes, stamp: Stamp | None, condition: Precondition
    ) -> PutResult:
        content = await _content(body)
        await self._put[0]
        full = self._prefix + key
        self._check("PUT", full, condition)
        checksum = attributes.checksum
        if composite_parts(checksum) or kind(checksum) in self.store.unsupported_checksums:
            attributes = replace(attributes, checksum="")
        elif checksum and checksum != checksum_of(kind(checksum), content):
            raise ChecksumMismatchError(f"PUT {key}: BadDigest")
        if kind(checksum) == CONTENT_MD5:  # compared, not stored
            attributes = replace(attributes, checksum="")
        written = self.store.put(full, content, self.principal, attributes, stamp)
        await self._put[1]
        return written

    async def create_upload(
        self, key: str, attributes: Attributes, stamp: Stamp | None, checksum: str = ""
    ) -> StartedUpload:
        await self._create[0]
        declared = "" if self.store.own_checksum or kind(checksum) in self.store.unsupported_checksums else checksum
        wanted = self.store.own_checksum or kind(declared) + ("-" if composite_parts(declared) else "")
        if declared and not composite_parts(declared) and not is_linear(declared):
            raise PermanentError("InvalidRequest", f"The FULL_OBJECT checksum type can't be used with {kind(declared)}")
        upload_id = self.store.create_upload(self._prefix + key, attributes, stamp, self.principal, wanted)
        await self._create[1]
        return StartedUpload(upload_id, declared)

    async def put_part(
        self, key: str, upload_id: str, number: int, body: bytes | StreamedBody, checksum: str = "", declared: str = ""
    ) -> Part:
        content = await _content(body)
        await self._part[0]
        wanted, dash, _ = self._upload(key, upload_id).checksum.partition("-")
        if wanted and self.store.refuses_declared_checksums:
            raise ChecksumUnsupportedError(f"{upload_id}: InvalidArgument")
        if dash and kind(checksum) != wanted:
            raise PermanentError(
                "InvalidRequest", f"expected checksum Type: {wanted}, actual checksum Type: {checksum}"
            )
        if value(checksum) and checksum != checksum_of(kind(checksum), content):
            raise ChecksumMismatchError(f"{upload_id}: BadDigest of part {number}")
        part = self.store.put_part(upload_id, number, content)
        await self._part[1]
        return part

    async def list_parts(self, key: str, upload_id: str, first: int = 1, last: int = 10_000) -> Sequence[Part] | None:
        await self._parts[0]
        parts = self._upload(key, upload_id).parts
        sums = self._upload(key, upload_id).checksums
        listed = [Part(n, parts[n][0], len(parts[n][1]), sums[n]) for n in sorted(parts) if first <= n <= last]
        await self._parts[1]
        return listed

    def _upload(self, key: str, upload_id: str) -> Upload:
        upload = self.store.uploads.get(upload_id)
        if upload is None or upload.key != self._prefix + key or upload.spent:
            raise UploadGoneError(f"{upload_id}: NoSuchUpload")
        return upload

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[Part],
        condition: Precondition,
        checksum: str = "",
        declared: str = "",
    ) -> PutResult:
        full = self._prefix + key
        try:
            await self._complete[0]
        except ConcurrentWriteError:  # a driver's 409: this upload is spent ("CompleteMultipartUpload", API Reference)
            self.store.uploads.pop(upload_id, None)
            raise
        upload = self._upload(key, upload_id)
        numbers = [p.number for p in parts]
        if numbers != sorted(set(numbers)):
            raise PermanentError("InvalidPartOrder", upload_id)
        if not parts or any(upload.parts.get(p.number, ("",))[0] != p.etag for p in parts):
            raise UnavailableError(f"{upload_id}: InvalidPart")
        if any(upload.checksums[p.number] != p.checksum for p in parts):
            raise PermanentError("InvalidRequest", "The complete request must include the checksum for each part.")
        try:
            self._check("CompleteMultipartUpload", full, condition)
        except ConcurrentWriteError:
            upload.spent = True
            raise
        except PreconditionFailedError:
            upload.spent = self.store.spent_by_412  # the documentation does not say whether a 412 may be repeated
            raise
        upload.parts = {n: upload.parts[n] for n in numbers}
        if declared and declared != self.store.checksum(upload):
            raise ChecksumMismatchError(f"{upload_id}: BadDigest")
        made = self.store.checksum(upload)
        written = self.store.complete_upload(upload_id, self.principal)
        await self._complete[1]
        if kind(made) == kind(checksum) and composite_parts(made) == composite_parts(checksum) and made != checksum:
            self.store.delete(full, self.principal)
            raise ChecksumMismatchError(f"{upload_id}: the checksum is not the source's")
        return written

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self._abort[0]
        self.store.uploads.pop(upload_id, None)
        await self._abort[1]

    async def list_uploads(self) -> Sequence[ListedUpload]:
        await self._uploads[0]
        cut, found = len(self._prefix), self.store.uploads.items()
        listed = [
            ListedUpload(u.key[cut:], id, u.initiated, u.initiator) for id, u in found if u.key.startswith(self._prefix)
        ]
        await self._uploads[1]
        return listed

    async def delete(self, key: str, condition: Precondition) -> None:
        await self._delete[0]
        full = self._prefix + key
        if condition.etag is not None:
            if self.store.current(full) is not None or self.store.absent_delete_is_404:
                self._check("DELETE", full, condition)
            self.store.delete(full, self.principal)
        await self._delete[1]

    async def list(self, after: str = "", until: str = "", prefix: str = "") -> AsyncIterator[Sequence[ListedObject]]:
        edge = self._prefix + after if after else ""
        cut = len(self._prefix)
        while True:
            await self._list[0]
            rows = self.store.rows(self._prefix + prefix, edge, self._page)
            await self._list[1]
            if rows:
                edge = rows[-1].key
                wanted = [r for r in rows if r.key <= self._prefix + until] if until else rows
                yield [r._replace(key=r.key[cut:]) for r in wanted] if cut else wanted
                if until and edge >= self._prefix + until:
                    return
            if len(rows) < self._page:
                return

    def _check(self, call: str, key: str, condition: Precondition) -> None:
        """Raise 412, 404 for If-Match on a missing key, or 409 ("Add preconditions to S3 operations")."""
        if self.store.busy and self.store.busy(key):
            raise ConcurrentWriteError(f"{call} {key}: 409 ConditionalRequestConflict")
        version = self.store.current(key)
        if condition.etag is None:
            if version is not None:
                raise PreconditionFailedError(f"{call} {key}: 412, there is an object")
        elif version is None:
            raise PreconditionFailedError(f"{call} {key}: 404, no object to match")
        elif version.seen.etag != condition.etag:
            raise PreconditionFailedError(f"{call} {key}: 412, another ETag")


async def _content(body: bytes | StreamedBody) -> bytes:
    return b"".join([piece async for piece in body]) if isinstance(body, StreamedBody) else bytes(body)
