"""Read content in order into digests, in pieces, so that the memory for it stays small."""

from __future__ import annotations

from dualsync.runtime.model.checksums import Digest
from dualsync.runtime.ports import Bucket

PIECE_BYTES = 4 << 20
"""Bytes that are read at a time. Their MD5 and CRC32 take about 7 ms, for which the process does nothing else."""


async def read_into(bucket: Bucket, key: str, etag: str, start: int, end: int, *digests: Digest) -> None:
    """Update the digests with the bytes from `start` up to `end` of the version with `etag`.

    Raises `PreconditionFailedError` when there is another version, and what the bucket raises.
    """
    for at in range(start, end, PIECE_BYTES):
        piece = await bucket.read_range(key, at, min(end, at + PIECE_BYTES), etag)
        for digest in digests:
            digest.update(piece)
        del piece  # its room is for the next
