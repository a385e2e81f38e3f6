"""Checksums on the wire, whatever their kind: S3 gets new ones now and then. And those that are worked out here."""

from __future__ import annotations

import asyncio
import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence

from dualsync.runtime.errors import PermanentError
from dualsync.runtime.model.checksums import composite, kind, linear, value
from dualsync.runtime.model.objects import Part
from dualsync.runtime.model.streamed_body import StreamedBody

PREFIX = "x-amz-checksum-"
ENABLED = {PREFIX + "mode": "ENABLED"}

_REFUSING = frozenset({"InvalidArgument", "InvalidRequest", "MethodNotAllowed", "NotImplemented", "XNotImplemented"})
_NO_KIND = frozenset({"algorithm", "mode", "type"})
_ASIDE = 1 << 20
_ELEMENT = re.compile(rb"<Checksum([A-Z0-9]+)>([^<]+)</Checksum")


def shown(headers: Mapping[str, str]) -> str:
    """What an answer's headers say of what was asked for, be it a part or an object."""
    for name, text in headers.items():
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in _NO_KIND:
            return f"{name[len(PREFIX) :]}:{text}"
    return ""


def whole(headers: Mapping[str, str]) -> str:
    """The same of a whole object: nothing where a store calls composite what does not look so."""
    text = shown(headers)
    if headers.get(PREFIX + "type", "FULL_OBJECT") != "FULL_OBJECT" and not composite(text):
        return ""
    return text


def listed(row: bytes) -> str:
    """What a part of an answer to ListParts says."""
    found = _ELEMENT.search(row)
    return f"{found[1].decode().lower()}:{found[2].decode()}" if found else ""


def giving(text: str) -> dict[str, str]:
    """For S3 to compare with what arrives."""
    return {PREFIX + kind(text): value(text)} if value(text) else {}


def declaring(text: str) -> dict[str, str]:
    """What CreateMultipartUpload is told, so that S3 makes the same checksum of the parts. (Which kinds are of which
    type: "Full object and composite checksum types", User Guide.)"""
    return {PREFIX + "algorithm": kind(text).upper(), PREFIX + "type": _type(text)} if text else {}


def declared(text: str, headers: Mapping[str, str]) -> bool | None:
    """Whether the answer says so ("CreateMultipartUpload", API Reference: both headers come back); None: it says
    something else."""
    said = headers.get(PREFIX + "algorithm", "")
    if not text or not said:
        return False
    return True if said.lower() == kind(text) and headers.get(PREFIX + "type", "") == _type(text) else None


def completing(text: str) -> dict[str, str]:
    """What CompleteMultipartUpload is told of an upload that was declared: S3 refuses another content (BadDigest)."""
    return giving(text) | {PREFIX + "type": _type(text)} if text else {}


def beside(parts: Sequence[Part], text: str) -> dict[int, str]:
    """The element to list with each part, by number: all or none. A composite one must have them ("The complete request
    must include the checksum for each part"); of an upload that was not declared S3 takes them for wrong parts."""
    of = kind(text)
    if not of or any(kind(part.checksum) != of for part in parts):
        return {}
    name = f"Checksum{of.upper()}"
    return {part.number: f"<{name}>{value(part.checksum)}</{name}>" for part in parts}


def refused(error: PermanentError) -> bool:
    """Whether a store says that it does not know a kind of checksum, or not in this way."""
    return error.reason in _REFUSING and "checksum" in str(error).lower()


async def digest(body: bytes | bytearray | StreamedBody, kind: str) -> str:
    """A content's checksum in Base64, of one of the kinds that are `COMPUTABLE`. One in pieces is read for it, and once
    more to be sent."""
    working = _Crc32() if kind == "crc32" else hashlib.new(kind, usedforsecurity=False)
    if isinstance(body, StreamedBody):
        async for piece in body:
            working.update(piece)
            del piece  # its room is for the next
    elif len(body) < _ASIDE:
        working.update(body)
    else:
        await asyncio.to_thread(working.update, body)
    return b64encode(working.digest()).decode()


class _Crc32:
    """zlib's, with the methods of hashlib's."""

    def __init__(self) -> None:
        self._sum = 0

    def update(self, body: bytes | bytearray) -> None:
        self._sum = zlib.crc32(body, self._sum)

    def digest(self) -> bytes:
        return self._sum.to_bytes(4, "big")


def _type(text: str) -> str:
    return "FULL_OBJECT" if linear(text) else "COMPOSITE"
