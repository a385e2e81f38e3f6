"""Checksums in S3's headers and elements, of any kind, and what a store supports of them."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence

from dualsync.runtime.errors import ChecksumUnsupportedError, PermanentError
from dualsync.runtime.model.checksums import CONTENT_MD5, composite_parts, is_linear, kind, new_digest, value
from dualsync.runtime.model.objects import Part
from dualsync.runtime.model.streamed_body import StreamedBody

PREFIX = "x-amz-checksum-"
ENABLED = {PREFIX + "mode": "ENABLED"}

_REFUSING = frozenset({"InvalidArgument", "InvalidRequest", "MethodNotAllowed", "NotImplemented", "XNotImplemented"})
_NO_KIND = frozenset({"algorithm", "mode", "type"})
_ASIDE = 1 << 20
_COMPARED = frozenset({"PutObject", "CompleteMultipartUpload"})
"""Operations after which a checksum has been compared."""
_ELEMENT = re.compile(rb"<Checksum([A-Z0-9]+)>([^<]+)</Checksum")


def from_headers(headers: Mapping[str, str]) -> str:
    """Return the checksum in an answer's headers, of a part or of an object."""
    for name, text in headers.items():
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in _NO_KIND:
            return f"{name[len(PREFIX) :]}:{text}"
    return ""


def full_object_from_headers(headers: Mapping[str, str]) -> str:
    """Return the checksum of a whole object; empty where a store calls one composite that does not look so."""
    text = from_headers(headers)
    if headers.get(PREFIX + "type", "FULL_OBJECT") != "FULL_OBJECT" and not composite_parts(text):
        return ""
    return text


def listed_part_checksum(row: bytes) -> str:
    """Return the checksum of a part in an answer to ListParts."""
    found = _ELEMENT.search(row)
    return f"{found[1].decode().lower()}:{found[2].decode()}" if found else ""


def checksum_header(text: str) -> dict[str, str]:
    """Return the header by which S3 compares a checksum with what arrives."""
    if not value(text):
        return {}
    return {kind(text) if kind(text) == CONTENT_MD5 else PREFIX + kind(text): value(text)}


def create_upload_headers(text: str) -> dict[str, str]:
    """Return the headers of CreateMultipartUpload by which S3 makes the same checksum of the parts.

    Which kinds are of which type: "Full object and composite checksum types", User Guide.
    """
    return {PREFIX + "algorithm": kind(text).upper(), PREFIX + "type": _type(text)} if text else {}


def is_declaration_confirmed(text: str, headers: Mapping[str, str]) -> bool | None:
    """Return whether the answer confirms the checksum, None if it names another one.

    Source: "CreateMultipartUpload", API Reference: both headers come back.
    """
    said = headers.get(PREFIX + "algorithm", "")
    if not text or not said:
        return False
    return True if said.lower() == kind(text) and headers.get(PREFIX + "type", "") == _type(text) else None


def complete_upload_headers(text: str) -> dict[str, str]:
    """Return the headers of CompleteMultipartUpload for a declared upload: S3 refuses other content (BadDigest)."""
    return checksum_header(text) | {PREFIX + "type": _type(text)} if text else {}


def part_elements(parts: Sequence[Part], text: str) -> dict[int, str]:
    """Return the element to list with each part, by number: all or none.

    A composite checksum needs them ("The complete request must include the checksum for each part"). In an upload that
    was not declared S3 takes them for wrong parts.
    """
    of = kind(text)
    if not of or any(kind(part.checksum) != of for part in parts):
        return {}
    name = f"Checksum{of.upper()}"
    return {part.number: f"<{name}>{value(part.checksum)}</{name}>" for part in parts}


def is_checksum_refusal(error: PermanentError) -> bool:
    """Return whether a store refuses a kind of checksum, or its use in this way."""
    return error.reason in _REFUSING and "checksum" in str(error).lower()


async def digest(body: bytes | bytearray | StreamedBody, kind: str) -> str:
    """Return a content's checksum in Base64, of a `COMPUTABLE` kind.

    A streamed body is read once for the checksum and again when it is sent.
    """
    working = new_digest(kind)
    if isinstance(body, StreamedBody):
        async for piece in body:
            working.update(piece)
            del piece  # its room is for the next
    elif len(body) < _ASIDE:
        working.update(body)
    else:
        await asyncio.to_thread(working.update, body)
    return b64encode(working.digest()).decode()


def _type(text: str) -> str:
    return "FULL_OBJECT" if is_linear(text) else "COMPOSITE"


class ChecksumSupport:
    """Remembers which checksums a store does not support, so that they are not sent with every object.

    A kind in one piece and the same kind in parts (`checksum_form`) are distinguished: many stores support only one
    of them. A form that a store has once accepted stays supported, whatever it answers for a single object later.
    """

    def __init__(self) -> None:
        self.refused_forms: set[str] = set()
        """Forms that the store refuses."""
        self._known: set[str] = set()

    def is_refused(self, operation: str, checksum: str) -> bool:
        """Return whether to leave the checksum out."""
        return checksum_form(operation, checksum) in self.refused_forms

    def record_accepted(self, operation: str, checksum: str) -> None:
        """Remember that a write with the checksum succeeded."""
        if checksum and operation in _COMPARED:
            self._known.add(checksum_form(operation, checksum))

    def record_unsupported(self, operation: str, checksum: str) -> None:
        """Remember that the store makes another checksum than it was asked for."""
        self.refused_forms.add(checksum_form(operation, checksum))

    def record_refusal(self, error: PermanentError, operation: str, checksum: str, bound: bool) -> bool:
        """Return whether a refusal is for the checksum, so that the object goes without it.

        Raises `ChecksumUnsupportedError` where it cannot (`bound`).
        """
        if not checksum or not is_checksum_refusal(error):
            return False
        if checksum_form(operation, checksum) not in self._known and not _malformed(error, checksum):
            self.record_unsupported(operation, checksum)
        if bound:
            raise ChecksumUnsupportedError(str(error)) from None
        return True


def checksum_form(operation: str, text: str) -> str:
    """Return a kind, or that kind in parts; empty for no checksum."""
    of = kind(text)
    return of if not of or operation == "PutObject" else f"{of} in parts"


def _malformed(error: PermanentError, text: str) -> bool:
    """Return whether the value is refused, not its kind (S3: "Value for x-amz-checksum-… header is invalid.")."""
    return f"{PREFIX}{kind(text)} header is invalid" in str(error).lower()
