"""Copy giant objects by the whole fleet: their parts are messages.

The request that wants the object written begins the upload, sends one message per range of parts, and is repeated every
few minutes: it checks whether parts arrive and sends lost messages again. The worker that uploads the last part sends
that request at once. Nothing is decided here: each repetition decides again, and the one that finds all parts completes
the upload under its own condition. S3 completes an upload once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dualsync.runtime.errors import (
    ChecksumMismatchError,
    ChecksumUnsupportedError,
    PermanentError,
    PreconditionFailedError,
    UploadGoneError,
)
from dualsync.runtime.log import Outcome
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.part_request import PartRequest
from dualsync.runtime.messages.sync_request import SyncRequest
from dualsync.runtime.model.field_reader import FieldError
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.sync.context import SyncContext, SyncResult
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.multipart import (
    CORRUPT_ATTEMPTS,
    MultipartCopier,
    SourceChangedError,
    UploadInProgressError,
)
from dualsync.runtime.transfer.upload_record import UploadRecord, record_id

WATCH_SECONDS = 300
"""Seconds between two checks of an upload under way."""
STALL_SECONDS = 900
"""Seconds without progress after which messages for missing parts are sent again. The interval doubles each time, as
the queue may only be long."""
PART_REQUESTS_AT_ONCE = 4
"""Messages of parts that one process works on at a time: with the parts of each, 128 MiB are in memory."""
MAX_STALLS = 7
"""How often messages are sent again; then there was no progress for more than a day, and an operator must act."""


async def watch_upload(context: SyncContext, request: SyncRequest, under: UploadInProgressError) -> SyncResult:
    """Check that the missing parts of an upload are on their way, and repeat the request later.

    Raises `PermanentError` when nothing has moved for too long, and `RetryableError`.
    """
    upload, now = under.upload, context.now()
    if not upload.requests_sent:
        await _send_part_requests(context, request, under, now)
    elif under.present != upload.parts:
        await _replace_record(context, upload, replace(upload, parts=under.present, last_progress=now, stalls=0))
    elif now - upload.last_progress >= STALL_SECONDS << upload.stalls:
        if upload.stalls >= MAX_STALLS:
            await _replace_record(context, upload, replace(upload, requests_sent=0, stalls=0))
            raise PermanentError(
                "stuck",
                f"{under.present} of {upload.part_count} parts, and none more for {now - upload.last_progress} s",
            )
        context.log.line(
            "WARNING", "parts", key=request.key, present=under.present, of=upload.part_count, stalls=upload.stalls
        )
        await _replace_record(context, upload, replace(upload, stalls=upload.stalls + 1))
        await _queue_part_requests(context, under, now)
    reason = f"in parts: {under.present} of {upload.part_count} are there"
    return SyncResult(
        Outcome.POSTPONED,
        reason,
        follow_up=replace(request.retry_after_error(reason), first_sent=float(now)),
        delay=WATCH_SECONDS,
    )


async def _send_part_requests(
    context: SyncContext, request: SyncRequest, under: UploadInProgressError, now: int
) -> None:
    """Record the request to repeat at the end, send the messages, then record that they were sent.

    A worker that stops in between leaves a request that sends them again.
    """
    told = replace(
        under.upload, request=sync_request_codec.encode_fields(request), parts=under.present, last_progress=now
    )
    if await _replace_record(context, under.upload, told):
        await _queue_part_requests(context, under, now)
        await _replace_record(context, told, replace(told, requests_sent=now))


async def _replace_record(context: SyncContext, before: UploadRecord, after: UploadRecord) -> bool:
    """Replace the upload's record. Returns False if another request has replaced it, and continues the upload."""
    try:
        await context.ledger.claim(upload_record_codec.encode(after), upload_record_codec.encode(before))
    except PreconditionFailedError:
        return False
    return True


async def _queue_part_requests(context: SyncContext, under: UploadInProgressError, now: int) -> None:
    wanted = part_requests(under.upload, under.missing, context.copier.part_request_bytes, float(now))
    await context.send(wanted)


async def copy_requested_parts(context: SyncContext, part: PartRequest) -> SyncResult:
    """Put the parts that a message names, as far as they are missing. Raises `RetryableError`, `PermanentError`."""
    record = await context.ledger.get_record(UPLOAD, record_id(part.route, part.target_key))
    upload = None if record is None else upload_record_codec.decode_or_none(record)
    if record is not None and upload is None:
        return SyncResult(Outcome.SKIPPED, "the record of its upload cannot be read: the next full check begins again")
    if upload is None or upload.upload_id != part.upload_id:
        return SyncResult(Outcome.SKIPPED, "its upload has ended")
    route = context.route_named(upload.route)
    copier = MultipartCopier(route, context.ledger, context.copier.parallel)
    try:
        listed = await route.target.list_parts(upload.target_key, upload.upload_id, part.first, part.last) or ()
        there = upload.present_parts(listed)
        missing = [n for n in range(part.first, min(part.last, upload.part_count) + 1) if n not in there]
        await copier.copy_parts(upload, missing)
        present = upload.present_parts(await route.target.list_parts(upload.target_key, upload.upload_id) or ())
    except SourceChangedError:
        return SyncResult(Outcome.SKIPPED, "its source was replaced or deleted: that event is handled on its own")
    except UploadGoneError:
        return SyncResult(Outcome.SKIPPED, "its upload was ended meanwhile")
    except ChecksumUnsupportedError as e:
        await copier.abort_unsupported(upload)
        return SyncResult(Outcome.SKIPPED, f"its upload begins again: {e}")
    except ChecksumMismatchError as e:
        if part.attempt < CORRUPT_ATTEMPTS:
            raise
        return SyncResult(Outcome.SKIPPED, f"left to the request that watches the upload: {e}")
    carried = sum(end - start for start, end in map(upload.part_range, missing))
    if len(present) < upload.part_count:
        return SyncResult(Outcome.CARRIED, f"{len(present)} of {upload.part_count} parts are there", bytes=carried)
    return SyncResult(Outcome.CARRIED, "all parts are there", bytes=carried, follow_up=_completion(context, upload))


def _completion(context: SyncContext, upload: UploadRecord) -> SyncRequest | None:
    """Return the request that completes the upload; None if unreadable: the watching request completes it then."""
    try:
        request = sync_request_codec.decode_fields(upload.request)
    except FieldError:
        return None
    return replace(request.retry_after_error("all parts are there"), first_sent=float(context.now()))


def part_requests(upload: UploadRecord, missing: Sequence[int], size: int, now: float) -> Iterator[PartRequest]:
    """Return messages for the missing parts, each for about `size` bytes of adjacent parts."""
    most = max(1, size // upload.part_length)
    run: list[int] = []
    for number in (*missing, 0):
        if run and (number != run[-1] + 1 or len(run) == most):
            yield PartRequest(
                upload.key, upload.route, upload.target_key, upload.upload_id, run[0], run[-1], first_sent=now
            )
            run = []
        run.append(number)
