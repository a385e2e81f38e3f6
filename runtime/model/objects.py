"""What the adapters return about objects: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from dualsync.runtime.model.origin_version import Stamp

ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
"""Storage classes whose content S3 gives only after a restore ("Working with archived objects", User Guide)."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What travels with the content."""

    content_type: str = ""
    """Content-Type."""
    cache_control: str = ""
    """Cache-Control."""
    content_disposition: str = ""
    """Content-Disposition."""
    content_encoding: str = ""
    """Content-Encoding."""
    content_language: str = ""
    """Content-Language."""
    expires: str = ""
    """Expires, as it was stored."""
    website_redirect: str = ""
    """x-amz-website-redirect-location."""
    storage_class: str = ""
    """Storage class; empty for STANDARD."""
    metadata: tuple[tuple[str, str], ...] = ()
    """The user's metadata without the stamp, names in lower case."""
    checksum: str = field(default="", compare=False)
    """S3's own checksum (`dualsync.runtime.model.checksums`) if it was shown. The target verifies it."""
    tags: tuple[tuple[str, str], ...] = ()
    """Tags; empty unless `include_tags` is set and the content was read."""


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """An object as a HEAD, a GET or (without stamp and attributes) a listing showed it."""

    etag: str
    """ETag without quotes."""
    size: int
    """Size in bytes."""
    modified: int
    """LastModified, in whole seconds since the epoch; of a multipart upload the time of its initiation."""
    stamp: Stamp | None = None
    """The stamp; None in a listing, and where there is none."""
    attributes: Attributes = field(default_factory=Attributes)
    """What travels with the content; empty in a listing."""
    version_id: str = ""
    """Version id; empty in an unversioned bucket."""
    archived: bool = False
    """The content is in an archive and not restored."""
    opaque: bool = False
    """The ETag is no digest of the content (SSE-KMS, SSE-C): the same content written again has another ETag."""
    md5_etag: bool = field(default=False, compare=False)
    """Whether the ETag is made of MD5 digests of the content: S3 itself, without KMS or a customer's key."""


class ListedObject(NamedTuple):
    """One line of a listing. A tuple, as a finder run makes millions: it costs two thirds of a dataclass."""

    key: str
    """The key, relative to the side's prefix."""
    etag: str
    """ETag without quotes."""
    size: int
    """Size in bytes."""
    modified: int
    """LastModified, in whole seconds since the epoch."""
    archived: bool = False
    """The listing proves that the content cannot be read now."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a write expects its target to hold."""

    etag: str | None
    """The expected ETag without quotes; None if no object may exist."""


MUST_NOT_EXIST = Precondition(None)


@dataclass(frozen=True, slots=True)
class PutResult:
    """The answer to a write."""

    etag: str
    """ETag of the new object, without quotes."""
    version_id: str = ""
    """Its version id; empty in an unversioned bucket."""
    md5_etag: bool = field(default=False, compare=False)
    """As `ObjectHead.md5_etag`."""


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    """The key, relative to the side's prefix."""
    id: str
    """The upload's id."""
    initiated: int
    """When it was started, in seconds since the epoch."""
    initiator: str
    """ARN of the IAM user who started it. AWS does not document the value for a role's session."""


@dataclass(frozen=True, slots=True)
class StartedUpload:
    """A multipart upload that was just started."""

    id: str
    """The upload's id."""
    checksum: str = ""
    """The checksum that the object is to have; empty if the store did not confirm that it verifies it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart upload, or of an object."""

    number: int
    """Number of the part, from 1."""
    etag: str
    """ETag of the part, without quotes."""
    size: int = field(default=0, compare=False)
    """Size in bytes; 0 if it was not shown."""
    checksum: str = field(default="", compare=False)
    """Checksum of the part; empty if it was not shown."""
