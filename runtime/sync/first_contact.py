"""Find out whether two objects of one size, which both buckets held before, have the same content.

The cheapest proof comes first: stored checksums of the whole content, then the digest of the local content in the parts
of the peer's object, which is the peer's ETag if the contents are the same. Reading the local content costs less than
sending it across the border. Only with `FirstContact.CONTENT` the peer's content is read, too.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode

from dualsync.runtime.errors import AccessDeniedError, ChecksumUnsupportedError, PreconditionFailedError
from dualsync.runtime.model.checksums import COMPUTABLE, composite_parts, kind, new_digest, parts_of, value
from dualsync.runtime.model.identify import is_unchanged
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.ports import Bucket
from dualsync.runtime.settings import FirstContact
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.transfer import digest_reader
from dualsync.runtime.transfer.digest_reader import read_into

_MD5_ETAG = re.compile(r"[0-9a-f]{32}(-[0-9]{1,5})?")


async def holds_same_content(context: SyncContext, key: str, local: ObjectHead, remote: ObjectHead) -> bool:
    """Return True only if both contents are proven to be the same. Both objects have the same size.

    Raises `PreconditionFailedError` when one of them was replaced meanwhile, and what the buckets raise.
    """
    by_checksum = await _by_checksum(context, key, local, remote)
    if by_checksum is not None:
        return by_checksum
    if context.settings.first_contact is FirstContact.CONTENT and not local.archived and not remote.archived:
        return await _same_bytes(context, key, local, remote)
    return False


async def _by_checksum(context: SyncContext, key: str, local: ObjectHead, remote: ObjectHead) -> bool | None:
    """Return whether checksums prove that both contents are the same; None if they prove nothing."""
    theirs = await _stored_checksum(context.remote, key, remote)
    ours = local.attributes.checksum or await _stored_checksum(context.local, key, local)
    if _is_whole(ours) and _is_whole(theirs) and kind(ours) == kind(theirs):
        return ours == theirs
    if local.archived:
        return None
    if not remote.opaque and _MD5_ETAG.fullmatch(remote.etag):
        lengths = await _part_lengths(context.remote, key, remote)
        if lengths is not None:
            same = await _etag_in_parts(context.local, key, local, lengths) == remote.etag
            if same or remote.md5_etag:
                return same
    if _is_whole(theirs) and kind(theirs) in COMPUTABLE:
        return await _checksum_of(context.local, key, local, kind(theirs)) == theirs
    return None


async def _stored_checksum(bucket: Bucket, key: str, seen: ObjectHead) -> str:
    """Return the checksum that the store keeps with the object; empty if there is none, or no right to see it."""
    try:
        head = await bucket.head(key, checksum=True)
    except AccessDeniedError:
        return ""
    if head is None or not is_unchanged(head, seen):
        raise PreconditionFailedError(f"{key!r} was replaced while it was compared")
    return head.attributes.checksum


def _is_whole(checksum: str) -> bool:
    """Return True for the checksum of a whole content, in contrast to one of parts' checksums."""
    return bool(value(checksum)) and not composite_parts(checksum)


async def _part_lengths(bucket: Bucket, key: str, seen: ObjectHead) -> list[int] | None:
    """Return the lengths of the object's parts, an empty list for one in one piece; None if the store hides them."""
    count = parts_of(seen.etag)
    if not count:
        return []
    try:
        first = (await bucket.head_part(key, 1, seen.etag)).size
        if first > 0 and -(-seen.size // first) == count:
            return [first] * (count - 1) + [seen.size - first * (count - 1)]
        # Parts of several lengths: some tools let them grow with the object.
        lengths = [first]
        for number in range(2, count + 1):
            lengths.append((await bucket.head_part(key, number, seen.etag)).size)
    except (AccessDeniedError, ChecksumUnsupportedError):
        return None
    return lengths if sum(lengths) == seen.size else None


async def _etag_in_parts(bucket: Bucket, key: str, seen: ObjectHead, lengths: list[int]) -> str:
    """Return the ETag that S3 would give the content if it was uploaded in parts of these lengths.

    It is the MD5 of the parts' MD5 digests ("Checking object integrity", S3 User Guide).
    """
    if not lengths:
        whole = hashlib.md5(usedforsecurity=False)
        await read_into(bucket, key, seen.etag, 0, seen.size, whole)
        return whole.hexdigest()
    digests = b""
    start = 0
    for length in lengths:
        part = hashlib.md5(usedforsecurity=False)
        await read_into(bucket, key, seen.etag, start, start + length, part)
        digests += part.digest()
        start += length
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(lengths)}"


async def _checksum_of(bucket: Bucket, key: str, seen: ObjectHead, algorithm: str) -> str:
    working = new_digest(algorithm)
    await read_into(bucket, key, seen.etag, 0, seen.size, working)
    return f"{algorithm}:{b64encode(working.digest()).decode()}"


async def _same_bytes(context: SyncContext, key: str, local: ObjectHead, remote: ObjectHead) -> bool:
    """Read both contents and compare the digests of their pieces, up to the first difference."""
    for at in range(0, local.size, digest_reader.PIECE_BYTES):
        end = min(local.size, at + digest_reader.PIECE_BYTES)
        ours, theirs = new_digest("sha256"), new_digest("sha256")
        await read_into(context.local, key, local.etag, at, end, ours)
        await read_into(context.remote, key, remote.etag, at, end, theirs)
        if ours.digest() != theirs.digest():
            return False
    return True
