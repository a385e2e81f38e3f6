"""The identity of a version of an object, and the stamp that carries it on a replica."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass

from dualsync.runtime.settings import SideName

STAMP_KEY = "dualsync-origin"
"""User metadata key of the stamp (header `x-amz-meta-dualsync-origin`)."""


@dataclass(frozen=True, slots=True)
class OriginVersion:
    """The identity of a version on both sides."""

    origin: SideName
    """The side where a user wrote it."""
    modified: int
    """LastModified there, in whole seconds since the epoch."""
    etag: str
    """ETag there, without quotes."""

    def as_restored(self, at: int) -> OriginVersion:
        """Return the identity of this version after a user undeletes it, at `at` seconds since the epoch.

        An undeletion is a new act, but the bucket shows the content with its old time.
        """
        return OriginVersion(self.origin, at, f"{self.etag}+{self.modified}")

    @property
    def etag_and_modified(self) -> tuple[str, int]:
        """ETag and LastModified as the bucket of its origin shows them."""
        etag, plus, modified = self.etag.rpartition("+")
        return (etag, int(modified)) if plus and _SECONDS.fullmatch(modified) else (self.etag, self.modified)

    def __str__(self) -> str:
        return f"{self.origin}@{self.modified}:{self.etag}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """The origin of a replica, bound to pair and key, so that a user's copy of a replica does not count as one."""

    pair: str
    """Name of the pair."""
    key_hash: str
    """`key_hash` of the key."""
    version: OriginVersion
    """The version that the replica is a copy of."""
    size: int
    """Size of the content in bytes. Content of another size under the same stamp is a user's."""

    def encode(self) -> str:
        """Encode it in printable ASCII for user metadata, in at most 160 bytes."""
        i = self.version
        return f"1;{self.pair};{self.key_hash};{i.origin};{i.modified};{i.etag};{self.size}"

    @classmethod
    def decode(cls, text: str) -> Stamp | None:
        """Decode a stamp; None for anything else, as users may write any value there."""
        m = _STAMP.fullmatch(text)
        if m is None:
            return None
        pair, key_hash, origin, modified, etag, size = m.groups()
        return cls(pair, key_hash, OriginVersion(SideName(origin), int(modified), etag), int(size))


_SECONDS = re.compile(r"[0-9]{1,11}")
_STAMP = re.compile(
    r"1;([a-z0-9][a-z0-9-]{0,39});([A-Za-z0-9_-]{22});(cn|global);([0-9]{1,11});([^;\s\"]{1,80});([0-9]{1,15})"
)


def key_hash(key: str) -> str:
    """Return 128 bits of the key's SHA-256 in 22 characters. `key` is relative to the prefix, so both sides agree."""
    digest = hashlib.sha256(key.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
