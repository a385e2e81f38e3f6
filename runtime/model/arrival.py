"""Say when an object arrived in its bucket, from what the bucket shows.

S3 gives an upload in parts the time of its start (Amazon S3 API Reference, CreateMultipartUpload and HeadObject).
"""

from __future__ import annotations

UPLOAD_SECONDS = 3600
"""Seconds after the time that a multipart object shows, at most, in which it may have arrived: it shows its start."""


def is_in_parts(etag: str) -> bool:
    """Return True for the ETag of an upload in parts: `-` and the number of parts follow the digest."""
    return "-" in etag


def latest_arrival(etag: str, modified: int) -> int:
    """Return the latest second in which an object with this ETag and LastModified may have arrived."""
    return modified + (UPLOAD_SECONDS if is_in_parts(etag) else 0)
