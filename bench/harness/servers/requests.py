"""Identify requests that pass a proxy: the operation, and its cost in a table's units."""

from __future__ import annotations

import re
from collections import Counter
from urllib.parse import parse_qs, unquote, urlsplit

READ_UNITS, WRITE_UNITS = "read units", "write units"
"""Counted beside the operations. Of on-demand tables (Amazon DynamoDB Developer Guide, Read and write capacity): a
strongly consistent read of up to 4 KB is one read unit, any other a half; a write is a write unit a KB begun."""

_HEAD_END = b"\r\n\r\n"
_TARGET = re.compile(rb"\r\nx-amz-target: *[^.\r]*\.(\w+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_COPY = re.compile(rb"\r\nx-amz-copy-source:", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CHUNKED_END = b"\r\n0\r\n"
_OF_AN_UPLOAD = {
    "PUT": "UploadPart",
    "GET": "ListParts",
    "POST": "CompleteMultipartUpload",
    "DELETE": "AbortMultipartUpload",
}


def operation(head: bytes) -> str:
    """Return the AWS operation of a request's head; its method when the head does not name one."""
    target = _TARGET.search(head)
    if target:
        return target[1].decode()
    method, _, rest = head.partition(b" ")
    verb = method.decode()
    url = urlsplit(rest.split(b" ", 1)[0].decode())
    asked = parse_qs(url.query, keep_blank_values=True)
    whole_bucket = "/" not in unquote(url.path).strip("/")
    if "uploadId" in asked:
        return _OF_AN_UPLOAD.get(verb, verb)
    if "uploads" in asked:
        return "CreateMultipartUpload" if verb == "POST" else "ListMultipartUploads"
    if verb == "GET" and "list-type" in asked:
        return "ListObjectsV2"
    if verb in ("GET", "HEAD", "DELETE") and not (set(asked) - {"x-id"}):
        return verb.title() + ("Bucket" if whole_bucket else "Object")
    if verb == "PUT" and not whole_bucket:
        return "CopyObject" if _COPY.search(head) else "PutObject"
    return verb


def units(name: str, body: bytes) -> Counter[str]:
    """Return the cost of a request to a table with small items: an upper limit, by the size of the request."""
    keys = max(1, body.count(b'"ObjectKey"'))
    whole = b'"ConsistentRead":true' in body.replace(b" ", b"")
    if name in ("GetItem", "BatchGetItem", "Query"):
        return Counter({READ_UNITS: (2 if whole else 1) * (keys if name == "BatchGetItem" else 1)})
    if name in ("PutItem", "UpdateItem", "DeleteItem"):
        return Counter({WRITE_UNITS: 2 * -(-len(body) // 1024)})
    return Counter()


class Reader:
    """Parses one connection's requests from pieces of any size (HTTP/1.1 without pipelining)."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        """Number of requests by operation; units in halves."""
        self._buffer = b""
        self._body = 0
        self._chunked = False
        self._name = ""
        self._kept: list[bytes] | None = None

    def feed(self, data: bytes) -> None:
        while data:
            if self._chunked:
                data = self._skip_chunks(data)
            elif self._body:
                data = self._take_body(data)
            else:
                data = self._take_head(data)

    def _take_head(self, data: bytes) -> bytes:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return b""
        head, rest = self._buffer[: end + 2], self._buffer[end + 4 :]
        self._buffer = b""
        self._name = operation(head)
        self._counts[self._name] += 1
        length = _LENGTH.search(head)
        self._body = int(length[1]) if length else 0
        self._chunked = length is None and _CHUNKED.search(head) is not None
        self._kept = [] if _TARGET.search(head) else None
        return rest

    def _take_body(self, data: bytes) -> bytes:
        piece, rest = data[: self._body], data[self._body :]
        self._body -= len(piece)
        if self._kept is not None:
            self._kept.append(piece)
            if not self._body:
                self._counts.update(units(self._name, b"".join(self._kept)))
        return rest

    def _skip_chunks(self, data: bytes) -> bytes:
        """Read up to the empty chunk and the end of the trailers."""
        self._buffer += data
        last = self._buffer.find(_CHUNKED_END)
        end = -1 if last < 0 else self._buffer.find(_HEAD_END, last + 3)
        if end < 0:
            return b""
        rest, self._buffer, self._chunked = self._buffer[end + 4 :], b"", False
        return rest
