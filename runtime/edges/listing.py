"""A page of ListObjectsV2. An XML parser costs five times as much a key, so rows are taken by one expression, and
counted against the page's own number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from runtime.edges.headers import minute
from runtime.errors import Unavailable
from runtime.objects import Row

_ROW = re.compile(
    rb"<Contents>\s*<Key>([^<]*)</Key>\s*<LastModified>([^<]{16}):(\d\d)[^<]*</LastModified>\s*<ETag>([^<]*)</ETag>"
    rb"(?:(?!</Contents>)(?!<Size>).)*<Size>(\d+)</Size>(?:(?!</Contents>).)*</Contents>",
    re.DOTALL,
)
_TOKEN = re.compile(rb"<NextContinuationToken>([^<]*)</NextContinuationToken>")
_TRUNCATED = re.compile(rb"<IsTruncated>\s*(true|false)\s*</IsTruncated>")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows with whole keys; `token` is empty on the last page."""

    rows: list[Row]
    token: str


def parse(body: bytes, prefix: str) -> Page:
    """Read an answer asked for with `encoding-type=url`; keys come out relative to `prefix`. Raises `Unavailable` for
    an answer that is not whole: a page that is cut short would look like deletions."""
    end = _TRUNCATED.search(body)
    token = _TOKEN.search(body)
    if end is None or not body.rstrip().endswith(b"</ListBucketResult>") or (end[1] == b"true") != (token is not None):
        raise Unavailable("s3 ListObjectsV2: the answer is not a whole page")
    cut = len(prefix)
    found = _ROW.findall(body)
    if len(found) == body.count(b"<Contents>"):
        rows = [
            Row(
                _key(key)[cut:],
                _etag(etag),
                int(size),
                minute(when.decode("latin-1")) + int(second),
            )
            for key, when, second, etag, size in found
        ]
    else:
        rows = _by_parser(body, cut)
    return Page([row for row in rows if row.key] if prefix else rows, unescape(token[1].decode()) if token else "")


def _key(text: bytes) -> str:
    key = text.decode()
    if "&" in key:
        key = unescape(key)
    return unquote_plus(key) if "%" in key or "+" in key else key


def _etag(text: bytes) -> str:
    etag = text.decode("latin-1").replace("&quot;", "")
    return (unescape(etag) if "&" in etag else etag).strip('"')


def _by_parser(body: bytes, cut: int) -> list[Row]:
    """For answers of another shape than S3's own. The document comes from the store that is being synchronised."""
    rows = []
    for element in ElementTree.fromstring(body):  # noqa: S314
        if element.tag.rpartition("}")[2] != "Contents":
            continue
        given = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        when = given["LastModified"]
        rows.append(
            Row(
                unquote_plus(given["Key"])[cut:],
                given["ETag"].strip('"'),
                int(given["Size"]),
                minute(when[:16]) + int(when[17:19]),
            )
        )
    return rows
