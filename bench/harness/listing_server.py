"""ListObjectsV2 over keys that are made up on the way: `python -m bench.harness.listing_server PORT KEYS`. All buckets
are the same; a bucket named `…-differs` has one key in ten thousand changed."""

from __future__ import annotations

import asyncio
import sys
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


@lru_cache(64)
def _rows(bucket_differs: bool) -> tuple[str, ...]:
    """The part of each row after its number; the same on every page, so that a page costs little to make."""
    rows = []
    for n in range(PAGE):
        etag = f"{n * 2654435761 % 2**32:08x}" * 4
        moment = f"2026-01-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:{n % 59:02}.000Z"
        rows.append(
            f"{n:03}.jpg</Key><LastModified>{moment}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{n * 37}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    return tuple(rows)


def page(number: int, pages: int, *, differs: bool) -> bytes:
    """Page `number` of `pages`."""
    start = f"<Contents><Key>pictures/{number // 1000:05}/{number % 1000:03}"
    body = "".join([start + row for row in _rows(differs)])
    if differs and number % 10 == 0:
        body = body.replace("<Size>0</Size>", "<Size>1</Size>", 1)
    more = number + 1 < pages
    token = f"<NextContinuationToken>{number + 1}</NextContinuationToken>" if more else ""
    head = f"{_HEAD}<Name>b</Name><IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}"
    return f"{head}{body}</ListBucketResult>".encode()


class _Server(asyncio.Protocol):
    def __init__(self, pages: int) -> None:
        self._pages = pages
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            url = urlsplit(head.split(b" ", 2)[1].decode())
            token = parse_qs(url.query).get("continuation-token", ["0"])[0]
            body = page(int(token), self._pages, differs=url.path.endswith("-differs"))
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)  # type: ignore[attr-defined]


async def main(port: int, keys: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Server(keys // PAGE), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
