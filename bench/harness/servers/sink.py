"""A target that discards parts, for objects larger than the disk.

`python -m bench.harness.servers.sink PORT [CERTIFICATE]`.

It implements what a copy in parts needs of its target, and keeps the sizes of parts instead of their content.
"""

from __future__ import annotations

import sys
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from bench.harness.authority import server_context

_PIECE = 1 << 20
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<{0} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{1}</{0}>'


class Sink(ThreadingHTTPServer):
    """Server with unfinished uploads, and with sizes and headers of completed ones."""

    daemon_threads = True

    def __init__(self, port: int, certificate: str = "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        if certificate:
            self.socket = server_context(certificate).wrap_socket(self.socket, server_side=True)
        self.uploads: dict[str, tuple[dict[str, str], dict[int, int]]] = {}
        self.objects: dict[str, dict[str, str]] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sink

    def do_HEAD(self) -> None:
        found = self.server.objects.get(self._key())
        if "/" not in self._key():
            self._answer(200, headers={"x-amz-bucket-region": "us-east-1"})
        elif found is None:
            self._answer(404)
        else:
            self._answer(200, headers=found)

    def do_GET(self) -> None:
        asked = self._asked()
        if "uploads" in asked:
            self._answer(200, _XML.format("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>"))
        elif asked.get("uploadId") in self.server.uploads:
            self._answer(200, _XML.format("ListPartsResult", self._parts(asked)))
        else:
            code = "NoSuchUpload" if "uploadId" in asked else "NoSuchKey"
            self._answer(404, f"<Error><Code>{code}</Code><Message>it keeps nothing</Message></Error>")

    def do_PUT(self) -> None:
        asked = self._asked()
        length = left = int(self.headers.get("content-length", 0))
        while left:
            left -= len(self.rfile.read(min(left, _PIECE))) or left
        if "uploadId" not in asked:
            # It keeps no object that a condition could match, and takes no whole ones.
            self._answer(404, "<Error><Code>NoSuchKey</Code><Message>it keeps nothing</Message></Error>")
            return
        _, parts = self.server.uploads[asked["uploadId"]]
        parts[int(asked["partNumber"])] = length
        self._answer(200, headers={"etag": _etag(int(asked["partNumber"]))})

    def do_POST(self) -> None:
        asked = self._asked()
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if "uploads" in asked:
            upload = f"upload-{len(self.server.uploads)}"
            kept = {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}
            self.server.uploads[upload] = (kept, {})
            self._answer(200, _XML.format("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>"))
            return
        kept, parts = self.server.uploads.pop(asked["uploadId"])
        etag = f'"{"0" * 32}-{len(parts)}"'
        self.server.objects[self._key()] = kept | {
            "etag": etag,
            "last-modified": formatdate(time.time(), usegmt=True),
            "content-length": str(sum(parts.values())),
        }
        self._answer(200, _XML.format("CompleteMultipartUploadResult", f"<ETag>{etag}</ETag>"))

    def do_DELETE(self) -> None:
        self.server.uploads.pop(self._asked().get("uploadId", ""), None)
        self._answer(204)

    def _parts(self, asked: dict[str, str]) -> str:
        after, most = int(asked.get("part-number-marker", 0)), int(asked.get("max-parts", 1000))
        _, parts = self.server.uploads[asked["uploadId"]]
        numbers = sorted(number for number in list(parts) if number > after)
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{_etag(number)}</ETag><Size>{parts[number]}</Size></Part>"
            for number in numbers[:most]
        )
        more = len(numbers) > most
        last = f"<NextPartNumberMarker>{numbers[most - 1]}</NextPartNumberMarker>" if more else ""
        return f"<IsTruncated>{str(more).lower()}</IsTruncated>{last}{rows}"

    def _asked(self) -> dict[str, str]:
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in asked.items()}

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).strip("/")

    def _answer(self, status: int, body: str = "", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        given = {"content-length": str(len(body))} | (headers or {})
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def _etag(number: int) -> str:
    return f'"{number:032x}"'


if __name__ == "__main__":
    Sink(int(sys.argv[1]), *sys.argv[2:]).serve_forever()
