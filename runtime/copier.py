"""Bytes from one bucket to the other: whole, or in parts that never mix two versions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runtime.errors import Changed, GiveUp
from runtime.objects import Attributes, Condition, Written
from runtime.parts import Parts, SourceChanged
from runtime.ports import Clock, Ledger, Parallel, Reading
from runtime.upload import Route, Upload, digest
from runtime.version import Stamp

MAX_PARTS = 10_000
LONGEST_PART = 5 << 30
"""Bytes, S3's limit. A source in parts is copied in the same parts, so that its ETag is the same on both sides (which
tells both sides' versions apart cheaply). The largest object has 48.8 TiB ("Multipart upload limits", S3 User Guide).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    """Copies an object that is being read. Sizes in bytes. Uploads under way are noted in `ledger`."""

    threshold: int
    part_size: int
    parallel: Parallel
    ledger: Ledger
    clock: Clock
    include_metadata: bool = True
    keep_class: bool = False
    """Whether a replica gets the storage class of its source; else it is the target bucket's business."""
    giant: int = 1 << 30
    """From here on an object's parts go through the queue."""
    portion: int = 64 << 20
    """What one message carries of it."""

    async def copy(
        self, route: Route, reading: Reading, key: str, stamp: Stamp, condition: Condition, to: str = ""
    ) -> Written:
        """Write what `reading` reads from the route's source at `key` to its target (as `to`), if `condition` holds
        there.

        Closes `reading`. Raises `SourceChanged`, `Changed`, `Busy`, `UnderWay` and what the edges raise. An upload that
        a service did not let end is left for the next look, which goes on with it.
        """
        seen = reading.seen
        attributes = seen.attributes if self.include_metadata else Attributes(content_type=seen.attributes.content_type)
        if seen.archived:
            await reading.close()
            raise GiveUp(
                "archived", f"the object is in storage class {seen.attributes.storage_class}: restore it first"
            )
        attributes = replace(attributes, storage_class=seen.attributes.storage_class if self.keep_class else "")
        parts = parts_of(seen.etag) if seen.size else 0
        if seen.size < self.threshold and not parts:
            try:
                chunks = [chunk async for chunk in reading.chunks()]
            finally:
                await reading.close()
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            if len(body) != seen.size:
                raise SourceChanged(f"read {len(body)} of {seen.size} bytes")
            return await route.target.put(to or key, body, attributes, stamp, condition)
        await reading.close()
        upload = Upload(
            route=route.name,
            key=key,
            to=to or key,
            etag=seen.etag,
            size=seen.size,
            length=await self._length(route, key, seen.etag, seen.size, parts),
            stamp=stamp.encode(),
            attributes=digest(attributes),
            begun=int(self.clock.now()),
        )
        return await Parts(route, self.ledger, self.parallel).copy(
            upload,
            attributes,
            stamp,
            condition,
            split=seen.size >= self.giant,
            note=seen.size >= self.threshold,
        )

    async def _length(self, route: Route, key: str, etag: str, size: int, parts: int) -> int:
        """The source's own length of parts where it can be had."""
        if parts:
            try:
                theirs = await route.source.part_size(key, etag)
            except Changed as e:
                raise SourceChanged(str(e)) from e
            if 0 < theirs <= LONGEST_PART and -(-size // theirs) == parts:
                return theirs
        return part_length(size, self.part_size)


def parts_of(etag: str) -> int:
    """How many parts an object was uploaded in, 0 if in one piece ("Checking object integrity", S3 User Guide)."""
    _, dash, count = etag.rpartition("-")
    return int(count) if dash and count.isdigit() else 0


def part_length(size: int, smallest: int) -> int:
    """The length of all parts but the last: `smallest`, or as many whole MiB more as 10,000 parts need."""
    need = -(-size // MAX_PARTS)
    return smallest if need <= smallest else -(-need // (1 << 20)) << 20
