"""Derive the CRC32 of an object from a checksum that S3 cannot compute from an upload's parts.

That is the MD5 which an ETag is, or a stored MD5 or SHA. The content is read once, in order. If it has the source's
checksum, its CRC32 is the source's, too, and the target's S3 compares that with all parts together when the upload is
completed: those of other workers, and those of earlier attempts.
"""

from __future__ import annotations

from base64 import b64encode

from dualsync.runtime.errors import ChecksumMismatchError
from dualsync.runtime.model.checksums import (
    COMPUTABLE,
    CONTENT_MD5,
    composite_parts,
    is_linear,
    kind,
    new_digest,
    value,
)
from dualsync.runtime.ports import Bucket
from dualsync.runtime.transfer.digest_reader import read_into

DERIVED = "crc32"
"""The only CRC that both Python's library and S3 compute."""


def can_derive(checksum: str) -> bool:
    """Return whether S3 cannot compute a whole content's checksum from parts, and this program can compute it."""
    known = kind(checksum) in COMPUTABLE or kind(checksum) == CONTENT_MD5
    return bool(value(checksum)) and known and not is_linear(checksum) and not composite_parts(checksum)


async def derive(source: Bucket, key: str, etag: str, size: int, checksum: str) -> str:
    """Return the CRC32 of the version with `etag`, whose content has `checksum`.

    Raises `ChecksumMismatchError` when other content arrives, and `PreconditionFailedError` when there is another
    version.
    """
    algorithm = kind(checksum)
    exact, derived = new_digest("md5" if algorithm == CONTENT_MD5 else algorithm), new_digest(DERIVED)
    await read_into(source, key, etag, 0, size, exact, derived)
    if b64encode(exact.digest()).decode() != value(checksum):
        raise ChecksumMismatchError(f"{key!r}: the content read before the upload does not have its {algorithm}")
    return f"{DERIVED}:{b64encode(derived.digest()).decode()}"
