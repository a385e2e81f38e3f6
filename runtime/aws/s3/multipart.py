"""What S3 says of multipart uploads under way: pages of ListParts and ListMultipartUploads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote_plus

from dualsync.runtime.aws.errors import malformed_as_unavailable
from dualsync.runtime.aws.s3.checksums import listed_part_checksum
from dualsync.runtime.aws.s3.headers import minute
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.checksums import composite_parts, kind, value
from dualsync.runtime.model.objects import ListedUpload, Part

UNKNOWN = frozenset({"MethodNotAllowed", "NotImplemented", "XNotImplemented"})
"""How a store says that it has no such call."""

_PART = re.compile(rb"<Part>(.*?)</Part>", re.DOTALL)
_UPLOAD = re.compile(rb"<Upload>(.*?)</Upload>", re.DOTALL)
_INITIATOR = re.compile(rb"<Initiator>(.*?)</Initiator>", re.DOTALL)
_TRUNCATED = re.compile(rb"<IsTruncated>\s*(true|false)\s*</IsTruncated>")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of parts."""

    parts: list[Part]
    """The parts."""
    marker: int
    """Marker of the next page, a part's number; 0 on the last one."""


def parse_parts(body: bytes) -> Page:
    """Read an answer to ListParts. Raises `UnavailableError` for one that is not whole."""
    more = _is_truncated(body, "ListParts")
    with malformed_as_unavailable("s3 ListParts"):
        found = [
            Part(
                int(element_text(row, "PartNumber")),
                element_text(row, "ETag").strip('"'),
                int(element_text(row, "Size") or 0),
                listed_part_checksum(row),
            )
            for row in _PART.findall(body)
        ]
        marker = int(element_text(_PART.sub(b"", body), "NextPartNumberMarker")) if more else 0
    return Page(found, marker)


def parse_uploads(body: bytes, prefix: str) -> tuple[list[ListedUpload], dict[str, str]]:
    """Read an answer to ListMultipartUploads with `encoding-type=url`.

    Returns the uploads, keys relative to `prefix`, and the parameters of the next page, empty after the last. Raises
    `UnavailableError`.
    """
    more = _is_truncated(body, "ListMultipartUploads")
    key = unquote_plus if element_text(body, "EncodingType") == "url" else str
    with malformed_as_unavailable("s3 ListMultipartUploads"):
        found = [_upload(row, key, prefix) for row in _UPLOAD.findall(body)]
    if not more:
        return found, {}
    rest = _UPLOAD.sub(b"", body)
    marker = key(element_text(rest, "NextKeyMarker"))
    if not marker:
        raise UnavailableError("s3 ListMultipartUploads: a page without its end")
    return found, {"key-marker": marker, "upload-id-marker": element_text(rest, "NextUploadIdMarker")}


def _upload(row: bytes, key: Callable[[str], str], prefix: str) -> ListedUpload:
    initiator = _INITIATOR.search(row)
    when = element_text(row, "Initiated")
    return ListedUpload(
        key(element_text(row, "Key"))[len(prefix) :],
        element_text(row, "UploadId"),
        minute(when[:16]) + int(when[17:19]),
        element_text(initiator[1], "ID") if initiator else "",
    )


def _is_truncated(body: bytes, call: str) -> bool:
    truncated = _TRUNCATED.search(body)
    if truncated is None or not body[body.rfind(b"<") :].startswith(b"</" + call.encode()):
        raise UnavailableError(f"s3 {call}: the answer is not a whole page")
    return truncated[1] == b"true"


def completion_body(parts: Sequence[Part], beside: Mapping[int, str]) -> bytes:
    """Return the body of CompleteMultipartUpload; `beside`: the elements of checksums by part number."""
    rows = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber><ETag>&quot;{part.etag}&quot;</ETag>"
        f"{beside.get(part.number, '')}</Part>"
        for part in parts
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def is_checksum_equal(expected: str, body: bytes | bytearray) -> bool:
    """Return True if the checksum that S3 computed is the source's (`Attributes.checksum`).

    True also where they cannot be compared: different kinds, or composites of different numbers of parts.
    """
    found = f"{kind(expected)}:{element_text(body, f'Checksum{kind(expected).upper()}')}"
    return not value(found) or composite_parts(found) != composite_parts(expected) or found == expected


def element_text(row: bytes | bytearray, name: str) -> str:
    """Return the text of the first element of this name; empty when there is none."""
    found = re.search(rb"<%s>([^<]*)</%s>" % (name.encode(), name.encode()), row)
    return unescape(found[1].decode(errors="replace")) if found else ""
