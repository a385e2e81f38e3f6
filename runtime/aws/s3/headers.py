"""An object's attributes as S3's headers, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from dualsync.runtime.aws.errors import request_id
from dualsync.runtime.aws.s3 import checksums, metadata
from dualsync.runtime.errors import PermanentError, UnavailableError
from dualsync.runtime.model.checksums import composite_parts
from dualsync.runtime.model.field_reader import MAX_ETAG_CHARACTERS, MAX_SECONDS, MAX_TEXT_CHARACTERS
from dualsync.runtime.model.objects import ARCHIVES, Attributes, ObjectHead, Precondition, PutResult
from dualsync.runtime.model.origin_version import Stamp

_PLAIN = (
    ("content_type", "content-type"),
    ("cache_control", "cache-control"),
    ("content_disposition", "content-disposition"),
    ("content_encoding", "content-encoding"),
    ("content_language", "content-language"),
    ("expires", "expires"),
    ("website_redirect", "x-amz-website-redirect-location"),
)
_USER = "x-amz-meta-"


def attribute_headers(attributes: Attributes, stamp: Stamp | None) -> dict[str, str]:
    """Return the content headers and the user metadata of a new object."""
    headers = {}
    for field, name in _PLAIN:
        value: str = getattr(attributes, field)
        if value:
            headers[name] = _wire(value)
    for key, value in metadata.encode_headers(attributes.metadata, stamp).items():
        headers[_USER + key] = value
    return headers


def checksum_to_send(attributes: Attributes) -> str:
    """Return the source's own checksum, for S3 to compare with what arrives: end to end, and nothing is computed here.

    A composite one says nothing about the same content in one piece.
    """
    return "" if composite_parts(attributes.checksum) else attributes.checksum


def condition_headers(condition: Precondition) -> dict[str, str]:
    """Return If-Match, or If-None-Match where nothing is expected."""
    return {"if-none-match": "*"} if condition.etag is None else {"if-match": f'"{condition.etag}"'}


def etag(headers: Mapping[str, str]) -> str:
    """Return the ETag without its quotes."""
    return headers.get("etag", "").strip('"')


def put_result(headers: Mapping[str, str], etag_of_body: str = "", *, is_s3: bool = False) -> PutResult:
    """Return the result of a write. Raises `UnavailableError` for an answer without an ETag, which proves nothing."""
    found = etag_of_body.strip('"') or etag(headers)
    if not found:
        raise _malformed("a write was answered without an ETag", headers)
    _check_names(headers, found)
    return PutResult(found, headers.get("x-amz-version-id", ""), is_s3 and not _is_opaque(headers))


def read_head(headers: Mapping[str, str], size: int | None, *, is_s3: bool = False) -> ObjectHead:
    """Return the object that the answer to a HEAD or a GET describes. `is_s3`: the store is Amazon S3 itself.

    Raises `PermanentError` for an answer without the object's length: neither its stamp nor its content can be checked;
    and `UnavailableError` for one with a missing or malformed ETag, version id or time, which is no answer of a store.
    """
    if not etag(headers):
        raise _malformed("an object was answered without an ETag", headers)
    _check_names(headers, etag(headers))
    if size is None:
        raise PermanentError("MissingContentLength", "the store does not tell the object's length")
    get = headers.get
    user = {name[len(_USER) :]: value for name, value in headers.items() if name.startswith(_USER)}
    users, stamp = metadata.decode_headers(user) if user else ((), None)
    storage_class = get("x-amz-storage-class", "")
    asleep = storage_class in ARCHIVES or "x-amz-archive-status" in headers
    opaque = _is_opaque(headers)
    return ObjectHead(
        etag=etag(headers),
        size=size,
        modified=_modified(headers),
        stamp=stamp,
        attributes=Attributes(
            content_type=get("content-type", ""),
            cache_control=get("cache-control", ""),
            content_disposition=get("content-disposition", ""),
            content_encoding=get("content-encoding", ""),
            content_language=get("content-language", ""),
            expires=get("expires", ""),
            website_redirect=get("x-amz-website-redirect-location", ""),
            storage_class=storage_class,
            metadata=users,
            checksum=checksums.full_object_from_headers(headers),
        ),
        version_id=get("x-amz-version-id", ""),
        archived=asleep and 'ongoing-request="false"' not in get("x-amz-restore", ""),
        opaque=opaque,
        md5_etag=is_s3 and not opaque,
    )


def lacks_metadata(headers: Mapping[str, str]) -> bool:
    """Return whether S3 leaves entries of the user metadata out of its answer, as they are not legal in a header.

    Such entries were written over SOAP ("GetObject", API Reference, x-amz-missing-meta).
    """
    return headers.get("x-amz-missing-meta", "").strip() not in ("", "0")


def _is_opaque(headers: Mapping[str, str]) -> bool:
    """Return whether the ETag is no digest of the content ("Object", Amazon S3 API Reference, ETag)."""
    return (
        headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
        or "x-amz-server-side-encryption-customer-algorithm" in headers
    )


def _check_names(headers: Mapping[str, str], found: str) -> None:
    """Raise `UnavailableError` for an ETag or a version id that the ledger could not hold or a header not carry."""
    version = headers.get("x-amz-version-id", "")
    if len(found) > MAX_ETAG_CHARACTERS or not found.isprintable():
        raise _malformed(f"an ETag of {len(found)} characters is no ETag", headers)
    if len(version) > MAX_TEXT_CHARACTERS or not version.isprintable():
        raise _malformed(f"a version id of {len(version)} characters is no version id", headers)


def _modified(headers: Mapping[str, str]) -> int:
    date = headers.get("last-modified", "")
    try:
        return seconds(date)
    except ValueError:
        raise _malformed(
            f"an object was answered with Last-Modified {date[:40]!r}, which is no time", headers
        ) from None


def _malformed(what: str, headers: Mapping[str, str]) -> UnavailableError:
    ids = request_id(headers)
    return UnavailableError(f"s3: {what} ({ids})" if ids else f"s3: {what}")


@lru_cache(4096)
def seconds(date: str) -> int:
    """Return an HTTP date in seconds since the epoch.

    Raises `ValueError` for anything else: a wrong time would decide conflicts.
    """
    try:
        found = int(parsedate_to_datetime(date).timestamp())
    except OverflowError:
        found = -1
    if not 0 <= found <= MAX_SECONDS:
        raise ValueError("no time")
    return found


@lru_cache(4096)
def minute(text: str) -> int:
    """Return `2026-01-31T23:59` in seconds since the epoch; cached, since a listing repeats its minutes."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _wire(value: str) -> str:
    """Return text as Latin-1 characters, which are sent as bytes: what was read as it was, anything else as UTF-8."""
    try:
        value.encode("latin-1")
    except UnicodeError:
        return value.encode().decode("latin-1")
    return value
