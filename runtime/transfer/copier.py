"""Bytes from one bucket to the other: whole, or in parts that never mix two versions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dualsync.runtime.errors import PermanentError
from dualsync.runtime.model.checksums import (
    COMPUTABLE,
    composite_parts,
    is_linear,
    kind,
    md5_etag_checksum,
    parts_of,
    value,
)
from dualsync.runtime.model.objects import Attributes, ObjectHead, Precondition, PutResult
from dualsync.runtime.model.origin_version import Stamp
from dualsync.runtime.ports import Clock, Ledger, ObjectReader, Parallel, Route
from dualsync.runtime.transfer.derived_checksum import can_derive
from dualsync.runtime.transfer.multipart import MultipartCopier, SourceChangedError, read_version, stream_range
from dualsync.runtime.transfer.upload_record import UploadRecord
from dualsync.runtime.transfer.upload_record_codec import digest_attributes

MAX_PARTS = 10_000
MAX_PART_BYTES = 5 << 30
"""Bytes, S3's limit for a part, and for an object in one request. A source in parts is copied in the same parts, so
that its ETag is the same on both sides (which tells both sides' versions apart cheaply), and a composite checksum, too.
The largest object has 48.8 TiB ("Multipart upload limits", S3 User Guide).
"""

MD5_BYTES = 256 << 20
"""Bytes of the largest object whose MD5 is compared with one request. A connection lost in a longer one would cost too
much. A larger object goes in parts, with a CRC32 that is derived from its MD5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    """Copies an object that is being read."""

    threshold: int
    """Size in bytes from which an object is copied in parts."""
    part_size: int
    """Smallest size of a part, in bytes."""
    parallel: Parallel
    """Bounds the parts that are copied at once."""
    ledger: Ledger
    """Where uploads under way are recorded."""
    clock: Clock
    """The clock."""
    include_metadata: bool = True
    """Replicas get the user's metadata."""
    keep_class: bool = False
    """Whether a replica gets the storage class of its source; else the target bucket decides."""
    giant: int = 1 << 30
    """From this size on an object's parts go through the queue."""
    part_request_bytes: int = 64 << 20
    """Bytes per part request."""
    md5_bytes: int = MD5_BYTES
    """Up to this size an object without a stored checksum is sent in one request with the MD5 that its ETag is."""

    async def copy(
        self, route: Route, reading: ObjectReader, key: str, stamp: Stamp, condition: Precondition, to: str = ""
    ) -> PutResult:
        """Copy `key` from the route's source, as `reading` reads it, to its target (as `to`) under `condition`.

        Closes `reading`. An upload that a service interrupted stays for the next check, which resumes it.

        Raises `SourceChangedError`, `PreconditionFailedError`, `ConcurrentWriteError`, `UploadInProgressError` and
        the errors of the adapters.
        """
        seen = reading.head
        attributes = theirs = seen.attributes
        if not self.include_metadata:
            attributes = Attributes(content_type=theirs.content_type, checksum=theirs.checksum)
        if seen.archived:
            await reading.close()
            raise PermanentError(
                "archived", f"the object is in storage class {seen.attributes.storage_class}: restore it first"
            )
        storage_class = theirs.storage_class if self.keep_class else ""
        if attributes.storage_class != storage_class:
            attributes = replace(attributes, storage_class=storage_class)
        parts = parts_of(seen.etag) if seen.size else 0
        if seen.size < self.threshold and not parts:
            try:
                body = await reading.read_whole()
                if body is None:
                    body = b"".join([chunk async for chunk in reading.chunks()])
            finally:
                await reading.close()
            if len(body) != seen.size:
                raise SourceChangedError(f"read {len(body)} of {seen.size} bytes")
            return await route.target.put(to or key, body, with_md5(attributes, seen), stamp, condition)
        await reading.close()
        whole_sum = with_md5(attributes, seen)
        longest = MAX_PART_BYTES if value(attributes.checksum) else self.md5_bytes
        if not parts and seen.size <= longest and value(whole_sum.checksum) and not is_linear(whole_sum.checksum):
            # S3 makes no such checksum of parts, but compares it with one request, however long.
            whole = stream_range(route.source, key, seen.etag, 0, seen.size)
            try:
                return await route.target.put(to or key, whole, whole_sum, stamp, condition)
            except PermanentError as e:
                if e.reason != "EntityTooLarge":  # a store may take less than S3; it can still have the object in parts
                    raise
        length, checksum = await self._layout(route, key, seen, parts, whole_sum.checksum)
        upload = UploadRecord(
            route=route.name,
            key=key,
            target_key=to or key,
            etag=seen.etag,
            size=seen.size,
            part_length=length,
            checksum=checksum,
            stamp=stamp.encode(),
            attributes=digest_attributes(whole_sum),  # uploads that are not compared with the MD5 are not continued
            started=int(self.clock.now()),
        )
        return await MultipartCopier(route, self.ledger, self.parallel).copy(
            upload,
            attributes,
            stamp,
            condition,
            split=seen.size >= self.giant,
            record=seen.size >= self.threshold,
            compare_etags=seen.md5_etag and not value(attributes.checksum),
        )

    async def _layout(self, route: Route, key: str, seen: ObjectHead, parts: int, checksum: str) -> tuple[int, str]:
        """Return the length of parts and the checksum that the target computes of them, or one to derive it from.

        The length is the source's own where it is known. A composite checksum needs parts of the source's layout.
        """
        whole = checksum if is_linear(checksum) or can_derive(checksum) else ""
        if parts:
            first = await read_version(route.source.head_part(key, 1, seen.etag))
            if 0 < first.size <= MAX_PART_BYTES and -(-seen.size // first.size) == parts:
                can = kind(first.checksum) == kind(checksum) or kind(checksum) in COMPUTABLE
                return first.size, checksum if composite_parts(checksum) == parts and can else whole
        return part_length(seen.size, self.part_size), whole


def with_md5(attributes: Attributes, head: ObjectHead) -> Attributes:
    """Return the attributes with the MD5 that the source's ETag is, if it has no stored checksum.

    S3 has stored one with every object since December 2024 only ("Checking object integrity in Amazon S3").
    """
    if value(attributes.checksum) or not head.md5_etag:
        return attributes
    return replace(attributes, checksum=md5_etag_checksum(head.etag))


def part_length(size: int, smallest: int) -> int:
    """Return the length of all parts but the last: `smallest`, or as many whole MiB more as 10,000 parts need."""
    need = -(-size // MAX_PARTS)
    return smallest if need <= smallest else -(-need // (1 << 20)) << 20
