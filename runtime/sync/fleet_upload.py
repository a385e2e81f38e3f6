"""Giant objects: their parts are messages, so that the whole fleet carries them.

The look that wants the object written begins the upload, sends the messages, and comes again every few minutes: it sees
whether anything moves, and sends anew what may have been lost. Whoever puts the last part sends that look at once.
Nothing is decided here: each look decides anew, and the one that finds all parts there completes the upload, under its
own condition. S3 completes an upload once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dualsync.runtime.errors import Changed, Corrupt, GiveUp, Unfit, UploadGone
from dualsync.runtime.log import Outcome
from dualsync.runtime.messages import part_request_codec, sync_request_codec
from dualsync.runtime.messages.part_request import Portion
from dualsync.runtime.messages.sync_request import Look
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.sync.context import Context, Result
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.multipart import CORRUPT_ATTEMPTS, Parts, SourceChanged, UnderWay
from dualsync.runtime.transfer.upload_record import Upload, record_id

WATCH_SECONDS = 300
"""Between two looks at an upload under way."""
STALL_SECONDS = 900
"""Without any progress for so long, messages for what is missing are sent again; then for twice as long, and so on:
the queue may only be long."""
AT_ONCE = 4
"""Messages of parts that one process works on at a time: with the parts of each, 128 MiB are in memory."""
STALLS = 7
"""So often; then nothing has moved for more than a day, and a person must see why."""


async def watch(context: Context, look: Look, under: UnderWay) -> Result:
    """An upload that is not all there: see that its parts are on their way, and look again later.

    Raises `GiveUp` when nothing has moved for too long, and `Retry`.
    """
    upload, now = under.upload, context.now()
    if not upload.sent:
        await _send(context, look, under, now)
    elif under.present != upload.parts:
        await _note(context, upload, replace(upload, parts=under.present, moved=now, stalls=0))
    elif now - upload.moved >= STALL_SECONDS << upload.stalls:
        if upload.stalls >= STALLS:
            await _note(context, upload, replace(upload, sent=0, stalls=0))
            raise GiveUp("stuck", f"{under.present} of {upload.count} parts, and none more for {now - upload.moved} s")
        context.log.line("WARNING", "parts", key=look.key, present=under.present, of=upload.count, stalls=upload.stalls)
        await _note(context, upload, replace(upload, stalls=upload.stalls + 1))
        await _queue(context, under, now)
    reason = f"in parts: {under.present} of {upload.count} are there"
    return Result(Outcome.POSTPONED, reason, again=replace(look.later(reason), since=float(now)), delay=WATCH_SECONDS)


async def _send(context: Context, look: Look, under: UnderWay, now: int) -> None:
    """First the note of who is to be called at the end, then the messages, then that they were sent: who dies in
    between leaves a look that sends them again."""
    told = replace(under.upload, look=sync_request_codec.encode_fields(look), parts=under.present, moved=now)
    if await _note(context, under.upload, told):
        await _queue(context, under, now)
        await _note(context, told, replace(told, sent=now))


async def _note(context: Context, before: Upload, after: Upload) -> bool:
    """False: another look has noted something, and sees to it."""
    try:
        await context.ledger.claim(upload_record_codec.encode(after), upload_record_codec.encode(before))
    except Changed:
        return False
    return True


async def _queue(context: Context, under: UnderWay, now: int) -> None:
    wanted = portions(under.upload, under.missing, context.copier.portion, float(now))
    await context.queue.send([part_request_codec.encode(portion) for portion in wanted])


async def carry(context: Context, portion: Portion) -> Result:
    """Put the parts that a message names, as far as they are missing. Raises `Retry`, `GiveUp`."""
    record = await context.ledger.get_record(UPLOAD, record_id(portion.route, portion.to))
    upload = None if record is None else upload_record_codec.decode(record)
    if upload is None or upload.id != portion.upload:
        return Result(Outcome.SKIPPED, "its upload is no more: whoever ended it has looked, or will")
    route = context.named(upload.route)
    carrier = Parts(route, context.ledger, context.copier.parallel)
    try:
        listed = await route.target.list_parts(upload.to, upload.id, portion.first, portion.last) or ()
        there = upload.present(listed)
        missing = [n for n in range(portion.first, min(portion.last, upload.count) + 1) if n not in there]
        await carrier.carry(upload, missing)
        present = upload.present(await route.target.list_parts(upload.to, upload.id) or ())
    except SourceChanged:
        return Result(Outcome.SKIPPED, "its source was replaced or deleted: that event looks for itself")
    except UploadGone:
        return Result(Outcome.SKIPPED, "its upload was ended meanwhile")
    except Unfit as e:
        await carrier.plainly(upload)
        return Result(Outcome.SKIPPED, f"its upload begins anew: {e}")
    except Corrupt as e:
        if portion.attempt < CORRUPT_ATTEMPTS:
            raise
        return Result(Outcome.SKIPPED, f"left to the look that watches: {e}")
    carried = sum(end - start for start, end in map(upload.span, missing))
    if len(present) < upload.count or not upload.look:
        return Result(Outcome.CARRIED, f"{len(present)} of {upload.count} parts are there", bytes=carried)
    last = replace(
        sync_request_codec.decode_fields(upload.look).later("all parts are there"), since=float(context.now())
    )
    return Result(Outcome.CARRIED, "all parts are there", bytes=carried, again=last)


def portions(upload: Upload, missing: Sequence[int], size: int, now: float) -> Iterator[Portion]:
    """Messages for the missing parts, each for about `size` bytes that lie side by side."""
    most = max(1, size // upload.length)
    run: list[int] = []
    for number in (*missing, 0):
        if run and (number != run[-1] + 1 or len(run) == most):
            yield Portion(upload.key, upload.route, upload.to, upload.id, run[0], run[-1], since=now)
            run = []
        run.append(number)
