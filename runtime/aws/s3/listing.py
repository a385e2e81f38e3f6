"""Pages of ListObjectsV2.

An XML parser costs many times as much per key, so one regular expression takes the rows, and their count is compared
with the page's own.

A page is searched for archived objects once, and row by row only if it has one. S3 marks restored objects on request,
which needs no permission beyond s3:ListBucket ("ListObjectsV2", API Reference). A store that ignores the request omits
the mark, as S3 does for an object that was never restored. Therefore only S3 itself is asked (`Options.restores`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote_plus
from xml.etree import ElementTree

from dualsync.runtime.aws.errors import malformed_as_unavailable
from dualsync.runtime.aws.s3.headers import minute
from dualsync.runtime.errors import PermanentError, UnavailableError
from dualsync.runtime.model.objects import ARCHIVES, ListedObject

_ROW = re.compile(
    r"<Contents>\s*<Key>([^<]*)</Key>\s*<LastModified>([^<]{16}):(\d\d)[^<]*</LastModified>"
    r'\s*<ETag>(?:&quot;|")?([^<"&]*)(?:&quot;|")?</ETag>(?:\s*<(?!Size>|/)[^>]*>[^<]*</[^>]*>)*\s*<Size>(\d+)</Size>'
)
_TOKEN = re.compile(r"<NextContinuationToken>([^<]*)</NextContinuationToken>")
_TRUNCATED = re.compile(r"<IsTruncated>\s*(true|false)\s*</IsTruncated>")
_ARCHIVED = tuple(f"<StorageClass>{name}</StorageClass>" for name in ARCHIVES)
_RESTORING = re.compile(r"<IsRestoreInProgress>\s*true\s*<", re.IGNORECASE)
_RESTORE_STATUS_HEADER = {"x-amz-optional-object-attributes": "RestoreStatus"}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing."""

    rows: list[ListedObject]
    """The objects, with whole keys."""
    token: str
    """Continuation token; empty on the last page."""


class PageReader:
    """Read pages through `listed`, with `restores` including restore states.

    A store that refuses restore states is not asked for them again (`refused`), and no row counts as archived then.
    """

    def __init__(
        self,
        listed: Callable[[str, dict[str, str], dict[str, str]], Awaitable[bytes]],
        prefix: str,
        *,
        restores: bool,
    ) -> None:
        self._listed = listed
        self._prefix = prefix
        self._restores = restores
        self.refused = False

    @property
    def restores(self) -> bool:
        """Whether the next request asks which objects are archived."""
        return self._restores and not self.refused

    async def get(self, position: dict[str, str]) -> Page:
        """Return one page. Raises what the listing raises, and `UnavailableError`."""
        given = {"list-type": "2"} | position
        asked = self.restores
        if asked:
            try:
                return parse(
                    await self._listed("ListObjectsV2", given, _RESTORE_STATUS_HEADER), self._prefix, archives=True
                )
            except PermanentError:
                pass  # for this, or for anything: without it the store says which
        body = await self._listed("ListObjectsV2", given, {})
        if asked:
            self.refused = True
        return parse(body, self._prefix)


def parse(body: bytes, prefix: str, *, archives: bool = False) -> Page:
    """Read an answer to a request with `encoding-type=url`; keys are returned relative to `prefix`.

    With `archives` rows state whether they are archived. Raises `UnavailableError` for an answer that is malformed or
    not whole: a page that is cut short would look like deletions.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as e:
        raise UnavailableError(f"s3 ListObjectsV2: the answer is not UTF-8: {e.reason}") from None
    end = _TRUNCATED.search(text)
    token = _TOKEN.search(text)
    if end is None or not text.rstrip().endswith("</ListBucketResult>") or (end[1] == "true") != (token is not None):
        raise UnavailableError("s3 ListObjectsV2: the answer is not a whole page")
    cut = len(prefix)
    found = _ROW.findall(text)
    with malformed_as_unavailable("s3 ListObjectsV2"):
        if len(found) == text.count("<Contents>"):
            rows = [
                ListedObject(_key(key)[cut:], etag, int(size), minute(when) + int(second))
                for key, when, second, etag, size in found
            ]
        else:
            rows = _by_parser(body, cut)
    if archives and any(name in text for name in _ARCHIVED):
        rows = _with_archives(rows, text)
    return Page([row for row in rows if row.key] if prefix else rows, unescape(token[1]) if token else "")


def _key(text: str) -> str:
    if "&" in text:
        text = unescape(text)
    return unquote_plus(text) if "%" in text or "+" in text else text


def _with_archives(rows: list[ListedObject], text: str) -> list[ListedObject]:
    """Mark the rows that S3 shows in an archive and not restored; a state of unknown form marks none."""
    told = text.split("<Contents>")[1:]
    if len(told) != len(rows):
        return rows
    return [
        row._replace(archived=True) if _is_archived(element) else row for row, element in zip(rows, told, strict=True)
    ]


def _is_archived(element: str) -> bool:
    if not any(name in element for name in _ARCHIVED):
        return False
    return "<RestoreStatus" not in element or _RESTORING.search(element) is not None


def _by_parser(body: bytes, cut: int) -> list[ListedObject]:
    """Parse an answer whose shape differs from S3's. The document comes from the store that is synchronised."""
    rows = []
    for element in ElementTree.fromstring(body):  # noqa: S314
        if element.tag.rpartition("}")[2] != "Contents":
            continue
        given = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        when = given["LastModified"]
        rows.append(
            ListedObject(
                unquote_plus(given["Key"])[cut:],
                given["ETag"].strip('"'),
                int(given["Size"]),
                minute(when[:16]) + int(when[17:19]),
            )
        )
    return rows
