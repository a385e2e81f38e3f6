"""Checksums as S3 keeps them: of the whole content, or composite, that is of the checksums of its parts.

As text: the kind in lower case, a colon, S3's Base64, and for a composite one a dash and the number of parts
(`crc32c:4waSgw==`, `sha256:rVWt…=-3`). Source: "Checking object integrity for data uploads", Amazon S3 User Guide.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b64encode
from typing import Protocol

_MD5 = re.compile("[0-9a-f]{32}")

COMPUTABLE = frozenset({"crc32", "md5", "sha1", "sha256", "sha512"})
"""Kinds that Python's own library computes. The others are only passed on from one store to the other."""


def kind(text: str) -> str:
    """Return the algorithm of a checksum; empty for none."""
    return text.partition(":")[0]


def value(text: str) -> str:
    """Return the value as S3 writes it, with the number of parts of a composite checksum."""
    return text.partition(":")[2]


def composite_parts(text: str) -> int:
    """Return the number of parts of a composite checksum; 0 for one of the whole content. Base64 has no dash."""
    return parts_of(value(text))


def parts_of(text: str) -> int:
    """Return the number of parts that an ETag or a checksum ends with, 0 for an object in one piece.

    Both have the form `digest-parts` ("Checking object integrity", S3 User Guide).
    """
    _, dash, count = text.rpartition("-")
    return int(count) if dash and count.isascii() and count.isdigit() and len(count) < 6 else 0


def is_linear(text: str) -> bool:
    """Return True if S3 can compute it from an upload's parts: a CRC of the whole content.

    Source: "Full object checksums in multipart uploads are only available for CRC-based checksums" (User Guide, on
    the same page).
    """
    return bool(value(text)) and not composite_parts(text) and text.startswith("crc")


CONTENT_MD5 = "content-md5"
"""Kind of a checksum that travels in the header of that name, for objects without a stored one."""


def md5_etag_checksum(etag: str) -> str:
    """Return the checksum of an object in one piece whose ETag is its MD5, empty for another ETag."""
    return f"{CONTENT_MD5}:{b64encode(bytes.fromhex(etag)).decode()}" if _MD5.fullmatch(etag) else ""


class Digest(Protocol):
    """A checksum that is computed piece by piece, with the methods of hashlib."""

    def update(self, data: bytes | bytearray, /) -> None:
        """Add a piece of the content."""

    def digest(self) -> bytes:
        """Return the checksum of all pieces."""


def new_digest(kind: str) -> Digest:
    """Return an empty digest of a `COMPUTABLE` kind."""
    return _Crc32() if kind == "crc32" else hashlib.new(kind, usedforsecurity=False)


class _Crc32:
    """zlib's CRC-32 with the methods of hashlib."""

    def __init__(self) -> None:
        self._sum = 0

    def update(self, data: bytes | bytearray, /) -> None:
        self._sum = zlib.crc32(data, self._sum)

    def digest(self) -> bytes:
        return self._sum.to_bytes(4, "big")
