"""Bytes from one bucket to the other: whole, or in parts that never mix two versions."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from runtime.errors import Changed, DualSyncError, GiveUp
from runtime.objects import Attributes, Condition, Part, Written
from runtime.ports import Bucket, Parallel, Reading
from runtime.version import Stamp

MAX_PARTS = 10_000
PARTS_AT_ONCE = 4
LONGEST_PART = 64 << 20
"""Bytes. A source in parts is copied in the same parts, so that its ETag is the same on both sides (which tells both
sides' versions apart cheaply); but parts longer than this would not fit in memory."""


class SourceChanged(Changed):
    """The source was replaced while it was read; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    """Copies an object that is being read. Sizes in bytes. At most `PARTS_AT_ONCE` parts are in memory."""

    threshold: int
    part_size: int
    parallel: Parallel
    include_metadata: bool = True

    async def copy(
        self,
        source: Bucket,
        reading: Reading,
        target: Bucket,
        key: str,
        stamp: Stamp,
        condition: Condition,
        to: str = "",
    ) -> Written:
        """Write what `reading` reads from `source` at `key` to `target` (as `to`), if `condition` holds there.

        Closes `reading`. Raises `SourceChanged`, `Changed`, `Busy` and what the edges raise; a failed multipart upload
        is aborted.
        """
        seen = reading.seen
        attributes = seen.attributes if self.include_metadata else Attributes(content_type=seen.attributes.content_type)
        if seen.archived:
            await reading.close()
            raise GiveUp(
                "archived", f"the object is in storage class {seen.attributes.storage_class}: restore it first"
            )
        attributes = replace(attributes, storage_class="")
        parts = parts_of(seen.etag) if seen.size else 0
        if seen.size < self.threshold and not parts:
            try:
                chunks = [chunk async for chunk in reading.chunks()]
            finally:
                await reading.close()
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            if len(body) != seen.size:
                raise SourceChanged(f"read {len(body)} of {seen.size} bytes")
            return await target.put(to or key, body, attributes, stamp, condition)
        await reading.close()
        length = part_length(seen.size, self.part_size)
        if parts:
            try:
                theirs = await source.part_size(key, seen.etag)
            except Changed as e:
                raise SourceChanged(str(e)) from e
            if 0 < theirs <= LONGEST_PART and -(-seen.size // theirs) == parts:
                length = theirs
        return await self._in_parts(
            source, key, seen.size, seen.etag, length, target, to or key, attributes, stamp, condition
        )

    async def _in_parts(
        self,
        source: Bucket,
        key: str,
        size: int,
        etag: str,
        length: int,
        target: Bucket,
        to: str,
        attributes: Attributes,
        stamp: Stamp,
        condition: Condition,
    ) -> Written:
        upload = await target.create_upload(to, attributes, stamp)

        async def carry(number: int) -> Part:
            start = (number - 1) * length
            try:
                body = await source.read_range(key, start, min(start + length, size), etag)
            except Changed as e:
                raise SourceChanged(str(e)) from e
            return await target.put_part(to, upload, number, body)

        try:
            numbers = range(1, -(-size // length) + 1)
            parts = await self.parallel.map(carry, numbers, PARTS_AT_ONCE)
            return await target.complete_upload(to, upload, parts, condition)
        except Exception:
            with contextlib.suppress(DualSyncError):  # what went wrong first is what counts
                await target.abort_upload(to, upload)
            raise


def parts_of(etag: str) -> int:
    """How many parts an object was uploaded in, 0 if in one piece ("Checking object integrity", S3 User Guide)."""
    _, dash, count = etag.rpartition("-")
    return int(count) if dash and count.isdigit() else 0


def part_length(size: int, smallest: int) -> int:
    """The length of all parts but the last: `smallest`, or as many whole MiB more as 10,000 parts need."""
    need = -(-size // MAX_PARTS)
    return max(smallest, -(-need // (1 << 20)) << 20)
