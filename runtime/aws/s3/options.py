"""Options for reading from and writing to one bucket, beyond the objects' own attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode

from dualsync.runtime.aws.errors import malformed_as_unavailable
from dualsync.runtime.aws.s3.bucket_owner import OWNER
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.model.objects import Attributes

_TAG = re.compile(rb"<Tag>\s*<Key>([^<]*)</Key>\s*<Value\s*(?:/>|>([^<]*)</Value>)\s*</Tag>")


@dataclass(frozen=True, slots=True)
class Options:
    """Headers that every request to a bucket, or every object written to it, gets."""

    storage_class: str = ""
    """Storage class of new objects; empty keeps the source's (`Attributes.storage_class`)."""
    acl: str = ""
    """Canned ACL of new objects; empty for none."""
    encryption: str = ""
    """Server-side encryption (`AES256`, `aws:kms` …); empty for the bucket's default."""
    kms_key: str = ""
    """KMS key of the encryption; empty for the bucket's default."""
    tags: bool = False
    """Whether tags are read with the content and written with it."""
    requester_pays: bool = False
    """Whether this program's account pays for requests."""
    owner: str = ""
    """Account that must own the bucket, or S3 refuses the request (AccessDenied); empty for any."""
    restores: bool = False
    """Whether the store is Amazon S3 itself: its listings state which archived objects have been restored, and its
    ETags are MD5s unless KMS is used. Rows of other stores are never treated as archived."""

    def request_headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        given = {"x-amz-request-payer": "requester" if self.requester_pays else "", OWNER: self.owner}
        return {name: value for name, value in given.items() if value}

    def object_headers(self, attributes: Attributes) -> dict[str, str]:
        """Return the headers of a new object. A bucket key saves one KMS call per object; S3 ignores it elsewhere."""
        kms = self.encryption.startswith("aws:kms")
        given = {
            "x-amz-storage-class": self.storage_class or attributes.storage_class,
            "x-amz-acl": self.acl,
            "x-amz-server-side-encryption": self.encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": self.kms_key if kms else "",
            "x-amz-server-side-encryption-bucket-key-enabled": "true" if self.encryption == "aws:kms" else "",
            "x-amz-tagging": urlencode(attributes.tags) if self.tags else "",
        }
        return {name: value for name, value in given.items() if value}

    def causes_refusal(self, code: str) -> bool:
        """Return whether these options cause a refusal of this code, so that every object gets it."""
        given = {"InvalidStorageClass": self.storage_class, "InvalidEncryptionAlgorithmError": self.encryption}
        return bool(given.get(code))

    def has_tags(self, headers: Mapping[str, str]) -> bool:
        """Return whether the answer to a GET names tags to read."""
        return self.tags and headers.get("x-amz-tagging-count", "0") != "0"


def parse_tags(body: bytes | bytearray) -> tuple[tuple[str, str], ...]:
    """Return the tags of an answer to GetObjectTagging, sorted.

    Raises `UnavailableError` for one that is not whole: the object would be copied without its tags.
    """
    if b"</Tagging>" not in body:
        raise UnavailableError("s3 GetObjectTagging: the answer is not whole")
    with malformed_as_unavailable("s3 GetObjectTagging"):
        return tuple(sorted((unescape(key.decode()), unescape(value.decode())) for key, value in _TAG.findall(body)))
