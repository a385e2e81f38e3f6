"""What names a version of an object, and the stamp that carries this name on a replica."""

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
    """A version's name on both sides: where a user wrote it, when (LastModified, whole seconds), its ETag there."""

    origin: SideName
    modified: int
    etag: str

    def restored(self, at: int) -> OriginVersion:
        """The name of this version when a user brings it back after its deletion: a new act, `at` seconds since the
        epoch, of content that its bucket still shows with the old time."""
        return OriginVersion(self.origin, at, f"{self.etag}+{self.modified}")

    @property
    def shown(self) -> tuple[str, int]:
        """ETag and LastModified as the bucket of its origin shows them."""
        etag, plus, modified = self.etag.rpartition("+")
        return (etag, int(modified)) if plus and modified.isdigit() else (self.etag, self.modified)

    def __str__(self) -> str:
        return f"{self.origin}@{self.modified}:{self.etag}"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a replica says of itself. Bound to pair and key, so that a user's copy of a replica is not taken for one.

    `size` is the content's length in bytes: content of another length under the same stamp is a user's.
    """

    pair: str
    key_hash: str
    version: OriginVersion
    size: int

    def encode(self) -> str:
        """Printable ASCII, as user metadata wants it; at most 160 bytes."""
        i = self.version
        return f"1;{self.pair};{self.key_hash};{i.origin};{i.modified};{i.etag};{self.size}"

    @classmethod
    def decode(cls, text: str) -> Stamp | None:
        """None for anything that is not a stamp of a known version: users may write what they like there."""
        m = _STAMP.fullmatch(text)
        if m is None:
            return None
        pair, key_hash, origin, modified, etag, size = m.groups()
        return cls(pair, key_hash, OriginVersion(SideName(origin), int(modified), etag), int(size))


_STAMP = re.compile(
    r"1;([a-z0-9][a-z0-9-]{0,39});([A-Za-z0-9_-]{22});(cn|global);([0-9]{1,11});([^;\s\"]{1,80});([0-9]{1,15})"
)


def key_hash(key: str) -> str:
    """128 bits of the key's SHA-256, 22 characters. `key` is relative to the side's prefix, so both sides agree."""
    digest = hashlib.sha256(key.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
