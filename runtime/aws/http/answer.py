"""An HTTP/1.1 answer: its head, its chunks, and its body once it has been received."""

from __future__ import annotations

import re

_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")
_ELEMENT = re.compile(rb"<[A-Za-z]|\{")


class Answer:
    """An answer's head, and its body once it has been received. Header names are lower case, values Latin-1."""

    __slots__ = ("body", "chunked", "headers", "length", "persistent", "status")

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.length: int | None = 0
        """Bytes of the body; None when the head does not state it."""
        self.body: bytes | bytearray | None = None
        """None until it has been received."""
        self.persistent = False
        """Whether the server keeps the connection open after it."""
        self.chunked = False
        """Whether the body comes in chunks."""


def read_head(text: str) -> Answer:
    """Return the answer that a head, without its last line break, begins.

    Raises `ValueError` with the reason if it is no head of an HTTP/1 answer.
    """
    lines = text.split("\r\n")
    first = lines[0]
    status = int(first[9:12]) if first.startswith("HTTP/1.") and first[9:12].isdigit() else 0
    if status < 100:
        raise ValueError("the answer is no HTTP")
    if not text.count("\r") == text.count("\n") == len(lines) - 1:
        # RFC 9110, 5.5. Sent on with a copy, what follows the break would be a header of its own.
        raise ValueError("the answer has a line break inside a header")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")  # RFC 9110: not what Unicode takes for blanks
        if name == "content-length" and headers.get(name, value) != value:
            raise ValueError("the answer has two lengths")  # RFC 9112, 6.3: where it ends cannot be known
        headers[name] = value
    answer = Answer(status, headers)
    answer.persistent = headers.get("connection", "").lower() != "close" and first.startswith("HTTP/1.1")
    answer.chunked = "chunked" in headers.get("transfer-encoding", "").lower()
    declared = headers.get("content-length")
    if declared is not None and not (declared.isascii() and declared.isdigit() and len(declared) < 16):
        raise ValueError("the answer's Content-Length is no number of bytes")
    answer.length = None if answer.chunked or declared is None else int(declared)
    return answer


def decode_chunked(raw: bytes | bytearray) -> bytearray | None:
    """Return the body of a chunked transfer, None while it is incomplete (RFC 9112, 7.1).

    Raises `ValueError` for what is no chunk's length.
    """
    body = bytearray()
    at = 0
    while True:
        end = raw.find(b"\r\n", at)
        if end < 0:
            return None
        digits = bytes(raw[at:end]).split(b";")[0].strip(b" \t")
        if _HEX.fullmatch(digits) is None:
            raise ValueError("no chunk length")
        size = int(digits, 16)
        if size == 0:
            return body
        at = end + 2
        if len(raw) < at + size + 2:
            return None
        body += raw[at : at + size]
        at += size + 2


def has_begun(body: bytes | bytearray) -> bool:
    """Return whether a body of unknown length holds content yet.

    While S3 completes an upload, which may take minutes, it sends an XML declaration and white space, which only keep
    the connection open ("CompleteMultipartUpload", Amazon S3 API Reference).
    """
    return _ELEMENT.search(body) is not None
