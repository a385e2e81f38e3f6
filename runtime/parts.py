"""A multipart upload from its beginning, or from where another worker left it, to its completion."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runtime.errors import Busy, Changed, DualSyncError, GiveUp, UploadGone
from runtime.objects import Attributes, Condition, Part, Written
from runtime.pieces import Pieces
from runtime.ports import Ledger, Parallel
from runtime.record import UPLOAD
from runtime.upload import Route, Upload, record_id
from runtime.version import Stamp

PARTS_AT_ONCE = 8
LONGEST_WHOLE = 64 << 20
"""Bytes. A longer part is sent while it is read."""


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
        if not note:
            return await self._at_once(plan, attributes, stamp, condition)
        upload, present = await self.open(plan, attributes, stamp)
        missing = upload.missing(present)
        if split and missing and await self._can_split(upload):
            raise UnderWay(upload, len(present), missing)
        try:
            carried = await self.carry(upload, missing)
            parts = sorted([*present.values(), *carried], key=lambda part: part.number)
            written = await self.route.target.complete_upload(
                upload.to, upload.id, parts, condition, attributes.checksum
            )
        except (SourceChanged, UploadGone, Busy, GiveUp):
            await self.drop(upload)
            raise
        with contextlib.suppress(DualSyncError):  # it is written; the finder clears the note away
            await self.ledger.release(upload.record())
        return written

    async def _at_once(self, plan: Upload, attributes: Attributes, stamp: Stamp, condition: Condition) -> Written:
        upload = replace(plan, id=await self.route.target.create_upload(plan.to, attributes, stamp))
        try:
            parts = await self.carry(upload, upload.missing({}))
            return await self.route.target.complete_upload(upload.to, upload.id, parts, condition, attributes.checksum)
        except DualSyncError:
            with contextlib.suppress(DualSyncError):
                await self.route.target.abort_upload(upload.to, upload.id)
            raise

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
            upload = Upload.of(noted)
            if upload.is_of(plan):
                with contextlib.suppress(UploadGone):
                    listed = await self.route.target.list_parts(upload.to, upload.id)
                    if listed is not None:
                        return upload, upload.present(listed)
            with contextlib.suppress(DualSyncError):
                await self.route.target.abort_upload(upload.to, upload.id)
        upload = replace(plan, id=await self.route.target.create_upload(plan.to, attributes, stamp))
        try:
            await self.ledger.claim(upload.record(), noted)
        except DualSyncError as e:
            with contextlib.suppress(DualSyncError):
                await self.route.target.abort_upload(upload.to, upload.id)
            raise Busy("another worker has just begun to write it") if isinstance(e, Changed) else e from None
        return upload, {}

    async def carry(self, upload: Upload, numbers: Sequence[int]) -> list[Part]:
        """Copy these parts of the version that the upload is of. Raises `SourceChanged`, `UploadGone`, `Retry`."""

        async def read(start: int, end: int) -> bytes:
            try:
                return await self.route.source.read_range(upload.key, start, end, upload.etag)
            except Changed as e:
                raise SourceChanged(str(e)) from e

        async def one(number: int) -> Part:
            start, end = upload.span(number)
            long = end - start > LONGEST_WHOLE
            body = Pieces(read, start, end) if long else await read(start, end)
            return await self.route.target.put_part(upload.to, upload.id, number, body)

        return await self.parallel.map(one, numbers, PARTS_AT_ONCE)

    async def drop(self, upload: Upload) -> None:
        """Give it up, note and all. What fails here is left to the finder: what went wrong first is what counts."""
        with contextlib.suppress(DualSyncError):
            await self.route.target.abort_upload(upload.to, upload.id)
            await self.ledger.release(upload.record())
