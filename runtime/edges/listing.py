"""A page of ListObjectsV2. An XML parser costs many times as much a key, so rows are taken by one expression, and
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
    r"<Contents>\s*<Key>([^<]*)</Key>\s*<LastModified>([^<]{16}):(\d\d)[^<]*</LastModified>"
    r'\s*<ETag>(?:&quot;|")?([^<"&]*)(?:&quot;|")?</ETag>(?:\s*<(?!Size>|/)[^>]*>[^<]*</[^>]*>)*\s*<Size>(\d+)</Size>'
)
_TOKEN = re.compile(r"<NextContinuationToken>([^<]*)</NextContinuationToken>")
_TRUNCATED = re.compile(r"<IsTruncated>\s*(true|false)\s*</IsTruncated>")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows with whole keys; `token` is empty on the last page."""

    rows: list[Row]
    token: str


def parse(body: bytes, prefix: str) -> Page:
    """Read an answer asked for with `encoding-type=url`; keys come out relative to `prefix`. Raises `Unavailable` for
    an answer that is not whole: a page that is cut short would look like deletions."""
    try:
        text = body.decode()
    except UnicodeDecodeError as e:
        raise Unavailable(f"s3 ListObjectsV2: the answer is not UTF-8: {e.reason}") from None
    end = _TRUNCATED.search(text)
    token = _TOKEN.search(text)
    if end is None or not text.rstrip().endswith("</ListBucketResult>") or (end[1] == "true") != (token is not None):
        raise Unavailable("s3 ListObjectsV2: the answer is not a whole page")
    cut = len(prefix)
    found = _ROW.findall(text)
    if len(found) == text.count("<Contents>"):
        rows = [
            Row(_key(key)[cut:], etag, int(size), minute(when) + int(second)) for key, when, second, etag, size in found
        ]
    else:
        rows = _by_parser(body, cut)
    return Page([row for row in rows if row.key] if prefix else rows, unescape(token[1]) if token else "")


def _key(text: str) -> str:
    if "&" in text:
        text = unescape(text)
    return unquote_plus(text) if "%" in text or "+" in text else text


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
