"""Copy an object by a multipart upload: start one, or resume that of another worker, and complete it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dualsync.runtime.errors import (
    ChecksumMismatchError,
    ChecksumUnsupportedError,
    ConcurrentWriteError,
    DualSyncError,
    PermanentError,
    PreconditionFailedError,
    UploadGoneError,
)
from dualsync.runtime.model.checksums import COMPUTABLE, composite_parts, kind
from dualsync.runtime.model.objects import Attributes, ObjectHead, Part, Precondition, PutResult
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.model.streamed_body import StreamedBody
from dualsync.runtime.ports import Bucket, Ledger, Parallel, Route
from dualsync.runtime.transfer import derived_checksum, upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord, record_id

T = TypeVar("T")

PARTS_AT_ONCE = 8
"""Parts of one upload that a process copies at a time."""
MAX_BUFFERED_PART_BYTES = 64 << 20
"""Bytes of a part. A longer one is sent while it is read."""
CORRUPT_ATTEMPTS = 8
"""Checks, uploads of one version, or tries of a part request after which content that arrives damaged is given up. Each
may have sent terabytes."""
CORRUPT_SECONDS = 3600
"""Seconds after which a version that was given up may be tried again: no check of that time is under way any more."""


class SourceChangedError(PreconditionFailedError):
    """The source was replaced while it was read; nothing was written."""


class UploadInProgressError(DualSyncError):
    """A giant object's upload lacks parts, which part requests in the queue copy."""

    def __init__(self, upload: UploadRecord, present: int, missing: Sequence[int]) -> None:
        super().__init__(f"{present} of {upload.part_count} parts are there")
        self.upload = upload
        self.present = present
        self.missing = missing


@dataclass(frozen=True, slots=True)
class MultipartCopier:
    """Copies parts on one route. At most `PARTS_AT_ONCE` are in memory, and of a long one only a piece.

    S3 alone lists the parts that are there (ListParts); the ledger only records which upload is for which version. The
    write's condition belongs to the completion, so the worker that completes passes the one of its own check.
    """

    route: Route
    """The direction of the copies."""
    ledger: Ledger
    """Where uploads under way are recorded."""
    parallel: Parallel
    """Bounds the parts that are copied at once."""

    async def copy(
        self,
        plan: UploadRecord,
        attributes: Attributes,
        stamp: Stamp,
        condition: Precondition,
        *,
        split: bool = False,
        record: bool = True,
        compare_etags: bool = False,
    ) -> PutResult:
        """Upload what `plan` (without id) describes. What fails for good is aborted; what may be resumed is left.

        Without `record` the ledger gets no record, and whatever fails is aborted. That is for an object that is small,
        and in parts only because its source is: to start again costs less than the requests of a record.

        A checksum of the plan that S3 cannot compute from parts is replaced with the CRC32 of the content that has it.
        The content is read for that once before an upload is started, and not when one is resumed.

        With `compare_etags` both ETags are MD5s of the parts' MD5s, and have to be the same for the same parts.

        Raises `SourceChangedError`, `PreconditionFailedError`, `ConcurrentWriteError`, `RetryableError` (of which
        `ChecksumMismatchError` is one), and with `split` `UploadInProgressError` as long as parts are missing.
        """
        try:
            return await self._copy(plan, attributes, stamp, condition, split, record, compare_etags)
        except ChecksumUnsupportedError:
            plain = replace(plan, checksum="")
            return await self._copy(plain, attributes, stamp, condition, split, record, compare_etags)

    async def _copy(
        self,
        plan: UploadRecord,
        attributes: Attributes,
        stamp: Stamp,
        condition: Precondition,
        split: bool,
        record: bool,
        compare_etags: bool,
    ) -> PutResult:
        if not record:
            return await self._at_once(plan, attributes, stamp, condition, compare_etags)
        upload, present = await self.open(plan, attributes, stamp)
        missing = upload.missing_numbers(present)
        if split and missing and await self._can_split(upload):
            raise UploadInProgressError(upload, len(present), missing)
        try:
            copied = await self.copy_parts(upload, missing)
            parts = sorted([*present.values(), *copied], key=lambda part: part.number)
            try:
                written = await self._complete(upload, parts, condition, attributes, compare_etags)
            except ChecksumMismatchError:  # the damaged part is not known: all are read again
                await self._abort_and_record(
                    upload, replace(upload, checksum_failures=upload.checksum_failures + 1, last_progress=plan.started)
                )
                raise
        except (SourceChangedError, UploadGoneError, ChecksumUnsupportedError, ConcurrentWriteError, PermanentError):
            await self.abandon(upload)
            raise
        with contextlib.suppress(DualSyncError):  # it is written; the finder removes the record
            await self.ledger.release(upload_record_codec.encode(upload))
        return written

    async def _at_once(
        self,
        plan: UploadRecord,
        attributes: Attributes,
        stamp: Stamp,
        condition: Precondition,
        compare_etags: bool,
    ) -> PutResult:
        upload = await self._begin(plan, attributes, stamp)
        try:
            parts = await self.copy_parts(upload, upload.missing_numbers({}))
            return await self._complete(upload, parts, condition, attributes, compare_etags)
        except DualSyncError:
            await self._abort(upload)
            raise

    async def _begin(self, plan: UploadRecord, attributes: Attributes, stamp: Stamp) -> UploadRecord:
        checksum = plan.checksum
        if derived_checksum.can_derive(checksum):
            checksum = await read_version(
                derived_checksum.derive(self.route.source, plan.key, plan.etag, plan.size, checksum)
            )
        opened = await self.route.target.create_upload(plan.target_key, attributes, stamp, checksum)
        return replace(plan, upload_id=opened.id, checksum=opened.checksum)

    async def _complete(
        self,
        upload: UploadRecord,
        parts: Sequence[Part],
        condition: Precondition,
        attributes: Attributes,
        compare_etags: bool,
    ) -> PutResult:
        target = self.route.target
        written = await target.complete_upload(
            upload.target_key, upload.upload_id, parts, condition, attributes.checksum, upload.checksum
        )
        if compare_etags and written.md5_etag and written.etag != upload.etag and await self._has_same_parts(upload):
            with contextlib.suppress(DualSyncError):
                await target.delete(upload.target_key, Precondition(written.etag))
            raise ChecksumMismatchError(f"{upload.target_key!r}: the ETag of the same parts is not the source's")
        await self._check_visible(upload, written)
        return written

    async def _check_visible(self, upload: UploadRecord, written: PutResult) -> None:
        """Raise `UploadGoneError` unless the target shows what was completed.

        A completion succeeds even if a request that was received after the start of the upload takes precedence, such
        as a deletion; the object is then never shown ("Concurrent multipart upload operations", Amazon S3 User Guide).
        Only an upload that is started later can replace what that request left.
        """
        shown = await self.route.target.head(upload.target_key)
        if shown is None or not _is_same_object(shown, written):
            raise UploadGoneError(f"{upload.target_key!r} shows what was written or deleted after its upload started")

    async def _has_same_parts(self, upload: UploadRecord) -> bool:
        """Return whether the source's parts are as long as the upload's, so that both ETags are comparable."""
        if upload.etag.rpartition("-")[2] != str(upload.part_count) or "-" not in upload.etag:
            return False

        async def same(number: int) -> bool:
            start, end = upload.part_range(number)
            part = await read_version(self.route.source.head_part(upload.key, number, upload.etag))
            return part.size == end - start

        return all(await self.parallel.map(same, range(1, upload.part_count + 1), PARTS_AT_ONCE))

    async def _abort(self, upload: UploadRecord) -> None:
        with contextlib.suppress(DualSyncError):
            await self.route.target.abort_upload(upload.target_key, upload.upload_id)

    async def _can_split(self, upload: UploadRecord) -> bool:
        """Return whether part requests may copy the parts: only a list of parts shows when the last one is there."""
        if upload.requests_sent:
            return True
        try:
            return await self.route.target.list_parts(upload.target_key, upload.upload_id, 1, 1) is not None
        except UploadGoneError:
            await self.abandon(upload)
            raise

    async def open(
        self, plan: UploadRecord, attributes: Attributes, stamp: Stamp
    ) -> tuple[UploadRecord, dict[int, Part]]:
        """Return the upload of `plan` with the parts that it has: the recorded one, or a new one, which is recorded.

        Raises `ConcurrentWriteError` when another worker has recorded one meanwhile.
        """
        recorded = await self.ledger.get_record(UPLOAD, record_id(plan.route, plan.target_key))
        # An unreadable record is replaced; the sweep aborts its upload.
        former = upload_record_codec.decode_or_none(recorded) if recorded is not None else None
        if former is not None:
            if former.is_same_copy(plan):
                plan = _plan_after(former, plan)
                with contextlib.suppress(UploadGoneError):
                    listed = await self.route.target.list_parts(former.target_key, former.upload_id)
                    if listed is not None:
                        return former, former.present_parts(listed)
            await self._abort(former)
        upload = await self._begin(plan, attributes, stamp)
        try:
            await self.ledger.claim(upload_record_codec.encode(upload), recorded)
        except DualSyncError as e:
            await self._abort(upload)
            raise (
                ConcurrentWriteError("another worker has just begun to write it")
                if isinstance(e, PreconditionFailedError)
                else e
            ) from None
        return upload, {}

    async def copy_parts(self, upload: UploadRecord, numbers: Sequence[int]) -> list[Part]:
        """Copy these parts of the upload's version.

        Raises `SourceChangedError`, `UploadGoneError`, `ChecksumUnsupportedError`, `ChecksumMismatchError`,
        `RetryableError`.
        """
        source, target = self.route.source, self.route.target
        of = kind(upload.checksum) if composite_parts(upload.checksum) else ""

        async def one(number: int) -> Part:
            start, end = upload.part_range(number)
            shown = ""
            body: bytes | StreamedBody
            if end - start > MAX_BUFFERED_PART_BYTES:
                if of:
                    part = await read_version(source.head_part(upload.key, number, upload.etag))
                    shown = part.checksum
                    if part.size != end - start:
                        raise ChecksumUnsupportedError(f"{part.size} bytes are part {number}, not {end - start}")
                body = stream_range(source, upload.key, upload.etag, start, end)
            elif of:
                body, shown = await read_version(source.read_part(upload.key, number, end - start, upload.etag))
            else:
                body = await read_version(source.read_range(upload.key, start, end, upload.etag))
            return await target.put_part(
                upload.target_key, upload.upload_id, number, body, _part_checksum(of, shown), upload.checksum
            )

        return await self.parallel.map(one, numbers, PARTS_AT_ONCE)

    async def abort_unsupported(self, upload: UploadRecord) -> None:
        """Abort a large object's upload whose checksums the store refuses; the next one is started without them.

        The record is read again first: while the part was read, it may have been changed. Raises `RetryableError`.
        """
        recorded = await self.ledger.get_record(UPLOAD, record_id(upload.route, upload.target_key))
        now = upload_record_codec.decode_or_none(recorded) if recorded is not None else None
        if now is not None and now.upload_id == upload.upload_id:
            upload = now
        await self._abort_and_record(upload, replace(upload, checksum=""))

    async def _abort_and_record(self, upload: UploadRecord, known: UploadRecord) -> None:
        """Abort an upload, and record what is `known` now for the next one of this version."""
        await self._abort(upload)
        with contextlib.suppress(DualSyncError):
            await self.ledger.claim(
                upload_record_codec.encode(replace(known, requests_sent=0, parts=0, stalls=0)),
                upload_record_codec.encode(upload),
            )

    async def abandon(self, upload: UploadRecord) -> None:
        """Abort an upload and remove its record. What fails here is left to the finder: the first error counts."""
        with contextlib.suppress(DualSyncError):
            await self.route.target.abort_upload(upload.target_key, upload.upload_id)
            await self.ledger.release(upload_record_codec.encode(upload))


def _is_same_object(shown: ObjectHead, written: PutResult) -> bool:
    """Compare ETags, and version ids where the store names both."""
    ids = {shown.version_id, written.version_id}
    return shown.etag == written.etag and (len(ids) == 1 or "" in ids)


def _plan_after(ended: UploadRecord, plan: UploadRecord) -> UploadRecord:
    """Return `plan` with what an earlier upload of the same version has shown.

    Raises `PermanentError` when its content was damaged repeatedly: each of a large object's checks would try as
    often.
    """
    if ended.checksum_failures >= CORRUPT_ATTEMPTS:
        if plan.started - ended.last_progress < CORRUPT_SECONDS:
            raise PermanentError("corrupt", f"{plan.key!r} did not arrive whole in {ended.checksum_failures} uploads")
        ended = replace(ended, checksum_failures=0)
    return replace(plan, checksum=plan.checksum if ended.checksum else "", checksum_failures=ended.checksum_failures)


async def read_version(reading: Awaitable[T]) -> T:
    """Return what is read of one version. Raises `SourceChangedError` when it has been replaced."""
    try:
        return await reading
    except ChecksumUnsupportedError:
        raise
    except PreconditionFailedError as e:
        raise SourceChangedError(str(e)) from e


def stream_range(source: Bucket, key: str, etag: str, start: int, end: int) -> StreamedBody:
    """Return these bytes of one version, read while they are sent. Reading raises `SourceChangedError`."""
    return StreamedBody(lambda at, to: read_version(source.read_range(key, at, to, etag)), start, end)


def _part_checksum(of: str, shown: str) -> str:
    """Return the checksum to send with a part of a composite one: the source's own, else one that the adapter computes.

    A checksum of the whole content, which some stores show instead (with a dash), proves nothing about the part.
    """
    if not of:
        return ""
    if kind(shown) == of and not composite_parts(shown):
        return shown
    if of not in COMPUTABLE:
        raise ChecksumUnsupportedError(f"the store shows no checksum of a part, and {of} can't be computed here")
    return f"{of}:"
