"""Server for ListObjectsV2 over generated keys.

`python -m bench.harness.servers.listing_server PORT KEYS [CERTIFICATE]`. All buckets are the same; a bucket named
`…-differs` has one key in ten thousand changed, one named `few…` ends with its first page. A GET of `/counts` returns
how many requests of each kind there were so far.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from functools import lru_cache
from urllib.parse import SplitResult, parse_qs, urlsplit

from bench.harness.authority import server_context

PAGE = 1000
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


@lru_cache(64)
def _rows(bucket_differs: bool) -> tuple[str, ...]:
    """Return the part of each row after its number, which is the same on every page and computed once."""
    rows = []
    for n in range(PAGE):
        etag = f"{n * 2654435761 % 2**32:08x}" * 4
        moment = f"2026-01-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:{n % 59:02}.000Z"
        rows.append(
            f"{n:03}.jpg</Key><LastModified>{moment}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{n * 37}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    return tuple(rows)


def key(number: int) -> str:
    """Return the key of a number, from 0."""
    group, rest = divmod(number, 1000 * PAGE)
    return f"pictures/{group:05}/{rest // PAGE:03}{rest % PAGE:03}.jpg"


def after(text: str) -> int:
    """Return the number of the first key after a text, which is a key or empty."""
    found = re.fullmatch(r"pictures/(\d{5})/(\d{6})\.jpg", text)
    return int(found[1]) * 1000 * PAGE + int(found[2]) + 1 if found else 0


def page(number: int, pages: int, *, differs: bool, skip: int = 0) -> bytes:
    """Return page `number` of `pages` without its first `skip` keys."""
    start = f"<Contents><Key>pictures/{number // 1000:05}/{number % 1000:03}"
    rows = _rows(differs)
    body = "".join([start + row for row in (rows[skip:] if skip else rows)]) if number < pages else ""
    if differs and number % 10 == 0 and not skip:
        body = body.replace("<Size>0</Size>", "<Size>1</Size>", 1)
    more = number + 1 < pages
    token = f"<NextContinuationToken>{number + 1}</NextContinuationToken>" if more else ""
    head = f"{_HEAD}<Name>b</Name><IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}"
    return f"{head}{body}</ListBucketResult>".encode()


class _Server(asyncio.Protocol):
    def __init__(self, pages: int, counts: Counter[str]) -> None:
        self._pages = pages
        self._counts = counts
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            method, target, _ = head.split(b" ", 2)
            body = self._answer(method.decode(), urlsplit(target.decode()))
            sent = b"" if method == b"HEAD" else body
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + sent)  # type: ignore[attr-defined]

    def _answer(self, method: str, url: SplitResult) -> bytes:
        if url.path == "/counts":
            return json.dumps(self._counts).encode()
        bucket, _, name = url.path[1:].partition("/")
        query = parse_qs(url.query, keep_blank_values=True)
        if "uploads" in query:
            self._counts["uploads"] += 1
            return b"<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
        self._counts["list" if method == "GET" and not name else f"{method} {'object' if name else 'bucket'}"] += 1
        if method == "HEAD":
            return b""
        pages = 1 if bucket.startswith("few") else self._pages
        differs = bucket.endswith("-differs")
        if "continuation-token" in query:
            return page(int(query["continuation-token"][0]), pages, differs=differs)
        number, skip = divmod(after(query.get("start-after", [""])[0]), PAGE)
        return page(number, pages, differs=differs, skip=skip)


async def main(port: int, keys: int, certificate: str = "") -> None:
    counts: Counter[str] = Counter()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Server(keys // PAGE, counts),
        "127.0.0.1",
        port,
        ssl=server_context(certificate) if certificate else None,
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
