"""A multipart upload from its beginning, or from where another worker left it, to its completion."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dualsync.runtime.errors import Busy, Changed, Corrupt, DualSyncError, GiveUp, Unfit, UploadGone
from dualsync.runtime.model.checksums import COMPUTABLE, composite, kind
from dualsync.runtime.model.objects import Attributes, Condition, Part, Written
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.model.streamed_body import Pieces
from dualsync.runtime.ports import Bucket, Ledger, Parallel, Route
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import Upload, record_id

T = TypeVar("T")

PARTS_AT_ONCE = 8
LONGEST_WHOLE = 64 << 20
"""Bytes. A longer part is sent while it is read."""
CORRUPT_ATTEMPTS = 8
"""Looks, uploads of one version, or tries of a message of parts. What does not arrive whole may be terabytes."""
CORRUPT_SECONDS = 3600
"""From then on a version that was given up may be tried again: no look of then is under way any more."""


class SourceChanged(Changed):
    """The source was replaced while it was read; nothing was written."""


class UnderWay(DualSyncError):
    """A giant object's upload, of which parts are missing: they are the queue's business, not the caller's."""

    def __init__(self, upload: Upload, present: int, missing: Sequence[int]) -> None:
        super().__init__(f"{present} of {upload.count} parts are there")
        self.upload = upload
        self.present = present
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Parts:
    """Carries parts on one route. At most `PARTS_AT_ONCE` are in memory, and of a long one only a piece.

    What is there is asked of S3 alone (ListParts); the ledger only says which upload is meant for which version. The
    write's condition belongs to the completion, so whoever completes gives that of his own look.
    """

    route: Route
    ledger: Ledger
    parallel: Parallel

    async def copy(
        self,
        plan: Upload,
        attributes: Attributes,
        stamp: Stamp,
        condition: Condition,
        *,
        split: bool = False,
        note: bool = True,
    ) -> Written:
        """Carry out `plan` (without id). What fails for good is aborted; what may go on later is left.

        Without `note` the ledger is not told of it, and whatever fails is aborted: for an object that is small, and in
        parts only because its source is, the requests would cost more than to begin anew.

        Raises `SourceChanged`, `Changed`, `Busy`, `Retry`, and with `split` `UnderWay` as long as parts are missing.
        """
        try:
            return await self._copy(plan, attributes, stamp, condition, split, note)
        except Unfit:
            return await self._copy(replace(plan, checksum=""), attributes, stamp, condition, split, note)

    async def _copy(
        self, plan: Upload, attributes: Attributes, stamp: Stamp, condition: Condition, split: bool, note: bool
    ) -> Written:
        if not note:
            return await self._at_once(plan, attributes, stamp, condition)
        upload, present = await self.open(plan, attributes, stamp)
        missing = upload.missing(present)
        if split and missing and await self._can_split(upload):
            raise UnderWay(upload, len(present), missing)
        try:
            carried = await self.carry(upload, missing)
            parts = sorted([*present.values(), *carried], key=lambda part: part.number)
            try:
                written = await self._complete(upload, parts, condition, attributes)
            except Corrupt:  # by which part nobody knows: all are read again
                await self._end(upload, replace(upload, corrupt=upload.corrupt + 1, moved=plan.begun))
                raise
        except (SourceChanged, UploadGone, Unfit, Busy, GiveUp):
            await self.drop(upload)
            raise
        with contextlib.suppress(DualSyncError):  # it is written; the finder clears the note away
            await self.ledger.release(upload_record_codec.encode(upload))
        return written

    async def _at_once(self, plan: Upload, attributes: Attributes, stamp: Stamp, condition: Condition) -> Written:
        upload = await self._begin(plan, attributes, stamp)
        try:
            parts = await self.carry(upload, upload.missing({}))
            return await self._complete(upload, parts, condition, attributes)
        except DualSyncError:
            await self._abort(upload)
            raise

    async def _begin(self, plan: Upload, attributes: Attributes, stamp: Stamp) -> Upload:
        opened = await self.route.target.create_upload(plan.to, attributes, stamp, plan.checksum)
        return replace(plan, id=opened.id, checksum=opened.checksum)

    async def _complete(
        self, upload: Upload, parts: Sequence[Part], condition: Condition, attributes: Attributes
    ) -> Written:
        return await self.route.target.complete_upload(
            upload.to, upload.id, parts, condition, attributes.checksum, upload.checksum
        )

    async def _abort(self, upload: Upload) -> None:
        with contextlib.suppress(DualSyncError):
            await self.route.target.abort_upload(upload.to, upload.id)

    async def _can_split(self, upload: Upload) -> bool:
        """Nobody could tell when the last part is there, where parts can't be listed."""
        if upload.sent:
            return True
        try:
            return await self.route.target.list_parts(upload.to, upload.id, 1, 1) is not None
        except UploadGone:
            await self.drop(upload)
            raise

    async def open(self, plan: Upload, attributes: Attributes, stamp: Stamp) -> tuple[Upload, dict[int, Part]]:
        """The upload of `plan`, with the parts that are there already: a noted one, or a new one, which is noted.

        Raises `Busy` when another worker was quicker to note one.
        """
        noted = await self.ledger.get_record(UPLOAD, record_id(plan.route, plan.to))
        if noted is not None:
            upload = upload_record_codec.decode(noted)
            if upload.is_of(plan):
                plan = _after(upload, plan)
                with contextlib.suppress(UploadGone):
                    listed = await self.route.target.list_parts(upload.to, upload.id)
                    if listed is not None:
                        return upload, upload.present(listed)
            await self._abort(upload)
        upload = await self._begin(plan, attributes, stamp)
        try:
            await self.ledger.claim(upload_record_codec.encode(upload), noted)
        except DualSyncError as e:
            await self._abort(upload)
            raise Busy("another worker has just begun to write it") if isinstance(e, Changed) else e from None
        return upload, {}

    async def carry(self, upload: Upload, numbers: Sequence[int]) -> list[Part]:
        """Copy these parts of the version that the upload is of. Raises `SourceChanged`, `UploadGone`, `Unfit`,
        `Corrupt`, `Retry`."""
        source, target = self.route.source, self.route.target
        of = kind(upload.checksum) if composite(upload.checksum) else ""

        async def one(number: int) -> Part:
            start, end = upload.span(number)
            shown = ""
            body: bytes | Pieces
            if end - start > LONGEST_WHOLE:
                if of:
                    part = await of_version(source.head_part(upload.key, number, upload.etag))
                    shown = part.checksum
                    if part.size != end - start:
                        raise Unfit(f"{part.size} bytes are part {number}, not {end - start}")
                body = whole_of(source, upload.key, upload.etag, start, end)
            elif of:
                body, shown = await of_version(source.read_part(upload.key, number, end - start, upload.etag))
            else:
                body = await of_version(source.read_range(upload.key, start, end, upload.etag))
            return await target.put_part(upload.to, upload.id, number, body, _sent(of, shown), upload.checksum)

        return await self.parallel.map(one, numbers, PARTS_AT_ONCE)

    async def plainly(self, upload: Upload) -> None:
        """End a giant's upload that is `Unfit`; the next one of this version is begun without its checksums. As noted
        now: while the part was read, the look may have noted that the messages were sent. Raises `Retry`."""
        noted = await self.ledger.get_record(UPLOAD, record_id(upload.route, upload.to))
        if noted is not None and upload_record_codec.decode(noted).id == upload.id:
            upload = upload_record_codec.decode(noted)
        await self._end(upload, replace(upload, checksum=""))

    async def _end(self, upload: Upload, known: Upload) -> None:
        """Abort it, and note what is known now for the next one of this version."""
        await self._abort(upload)
        with contextlib.suppress(DualSyncError):
            await self.ledger.claim(
                upload_record_codec.encode(replace(known, sent=0, parts=0, stalls=0)),
                upload_record_codec.encode(upload),
            )

    async def drop(self, upload: Upload) -> None:
        """Give it up, note and all. What fails here is left to the finder: what went wrong first is what counts."""
        with contextlib.suppress(DualSyncError):
            await self.route.target.abort_upload(upload.to, upload.id)
            await self.ledger.release(upload_record_codec.encode(upload))


def _after(ended: Upload, plan: Upload) -> Upload:
    """`plan`, knowing what became of an upload of the same. Raises `GiveUp` when that did not arrive whole again and
    again: a giant has several looks, each of which would try as often."""
    if ended.corrupt >= CORRUPT_ATTEMPTS:
        if plan.begun - ended.moved < CORRUPT_SECONDS:
            raise GiveUp("corrupt", f"{plan.key!r} did not arrive whole in {ended.corrupt} uploads")
        ended = replace(ended, corrupt=0)
    return replace(plan, checksum=plan.checksum if ended.checksum else "", corrupt=ended.corrupt)


async def of_version(reading: Awaitable[T]) -> T:
    """What is read of one version. Raises `SourceChanged` when it is another one now."""
    try:
        return await reading
    except Unfit:
        raise
    except Changed as e:
        raise SourceChanged(str(e)) from e


def whole_of(source: Bucket, key: str, etag: str, start: int, end: int) -> Pieces:
    """These bytes of one version, to be sent while they are read. Raises `SourceChanged` then."""
    return Pieces(lambda at, to: of_version(source.read_range(key, at, to, etag)), start, end)


def _sent(of: str, shown: str) -> str:
    """The checksum that a part of a composite one goes with: the source's own, or as the target's edge works it out. Of
    the whole, where it is shown instead (a dash), it says nothing of the part."""
    if not of:
        return ""
    if kind(shown) == of and not composite(shown):
        return shown
    if of not in COMPUTABLE:
        raise Unfit(f"the store shows no checksum of a part, and {of} can't be worked out here")
    return f"{of}:"
