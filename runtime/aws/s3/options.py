"""How objects are read from and written to one bucket, beyond their own attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import urlencode

from dualsync.runtime.aws.s3.bucket_owner import OWNER
from dualsync.runtime.model.objects import Attributes

_TAG = re.compile(rb"<Tag>\s*<Key>([^<]*)</Key>\s*<Value\s*(?:/>|>([^<]*)</Value>)\s*</Tag>")


@dataclass(frozen=True, slots=True)
class Options:
    """What everything written to a bucket gets, and how it is asked.

    `storage_class` empty keeps the source's (`Attributes.storage_class`); `acl` is a canned ACL, empty for none;
    `encryption` (`AES256`, `aws:kms` …) and `kms_key` empty for the bucket's own default. `tags`: they are read with
    the content, and written with it. `requester_pays`: this program's account pays. `owner`: the account that must own
    the bucket, or S3 refuses the request (AccessDenied); empty for any. `restores`: it is S3 itself, whose listings
    tell which archived objects have been restored; of other stores no row is taken for archived.
    """

    storage_class: str = ""
    acl: str = ""
    encryption: str = ""
    kms_key: str = ""
    tags: bool = False
    requester_pays: bool = False
    owner: str = ""
    restores: bool = False

    def asking(self) -> dict[str, str]:
        """Headers of every request."""
        given = {"x-amz-request-payer": "requester" if self.requester_pays else "", OWNER: self.owner}
        return {name: value for name, value in given.items() if value}

    def writing(self, attributes: Attributes) -> dict[str, str]:
        """Headers of a new object. A bucket key saves a call to KMS an object; S3 ignores it where it can't be."""
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

    def tagged(self, headers: Mapping[str, str]) -> bool:
        """Whether the object that a GET answered with has tags to be asked for."""
        return self.tags and headers.get("x-amz-tagging-count", "0") != "0"


def tags(body: bytes | bytearray) -> tuple[tuple[str, str], ...]:
    """The tags of an answer to GetObjectTagging, sorted."""
    return tuple(sorted((unescape(key.decode()), unescape(value.decode())) for key, value in _TAG.findall(body)))
