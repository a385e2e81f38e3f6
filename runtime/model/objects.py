"""What the edges say of objects: plain records without behaviour towards any service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from dualsync.runtime.model.origin_version import Stamp

ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
"""Storage classes whose content S3 gives only after a restore ("Working with archived objects", User Guide)."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What travels with the content. `metadata` is the user's, without our stamp; keys in lower case. `checksum` is
    S3's own (`dualsync.runtime.model.checksums`), where it was shown: the target checks it anew. `tags` are there
    only where they
    travel (`include_tags`) and the content was read."""

    content_type: str = ""
    cache_control: str = ""
    content_disposition: str = ""
    content_encoding: str = ""
    content_language: str = ""
    expires: str = ""
    website_redirect: str = ""
    storage_class: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    checksum: str = field(default="", compare=False)
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """An object as a HEAD, a GET or (without stamp and attributes) a listing showed it.

    `etag` without quotes; `modified` is LastModified in whole seconds since the epoch, for a multipart upload the
    time of its initiation; `version_id` is empty on an unversioned bucket. `opaque` says that the ETag is no digest of
    the content (SSE-KMS, SSE-C): the same content written again has another one.
    """

    etag: str
    size: int
    modified: int
    stamp: Stamp | None = None
    attributes: Attributes = field(default_factory=Attributes)
    version_id: str = ""
    archived: bool = False
    opaque: bool = False
    md5_etag: bool = field(default=False, compare=False)
    """Whether the ETag is made of MD5 digests of the content: S3 itself, without KMS or a customer's key."""


class ListedObject(NamedTuple):
    """One line of a listing; `key` is relative to the side's prefix, in UTF-8 binary order. `archived` only where the
    listing proves that the content can't be read now. A tuple, as a finder makes millions: it costs two thirds of a
    dataclass."""

    key: str
    etag: str
    size: int
    modified: int
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a write expects its target to hold: this ETag, or (`etag` is None) nothing at all."""

    etag: str | None


MUST_NOT_EXIST = Precondition(None)


@dataclass(frozen=True, slots=True)
class PutResult:
    """What a write answered."""

    etag: str
    version_id: str = ""
    md5_etag: bool = field(default=False, compare=False)
    """As `ObjectHead.md5_etag`."""


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """A multipart upload under way. `key` is relative to the side's prefix, `initiated` in seconds since the epoch,
    `initiator` the user's ARN (for an IAM user; a role's session is not documented)."""

    key: str
    id: str
    initiated: int
    initiator: str


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """A multipart upload that was just begun, and the checksum that it is to have: empty where the store did not say
    that it will see to it."""

    id: str
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload, or of an object; `number` from 1. `size` in bytes and `checksum` (of this part)
    where they were shown."""

    number: int
    etag: str
    size: int = field(default=0, compare=False)
    checksum: str = field(default="", compare=False)
