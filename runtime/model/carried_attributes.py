"""Compare the attributes of two objects as far as they are copied from one side to the other."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from functools import lru_cache

from dualsync.runtime.model.objects import Attributes

DIGEST_BYTES = 9
"""Bytes of a digest; 12 characters in base64. Two sets of attributes have the same one in 1 of 10^21 cases."""


def select_carried(attributes: Attributes, *, include_metadata: bool = True) -> Attributes:
    """Return the attributes without those that each side has for itself, and without tags, which no HEAD shows.

    `include_metadata` is False if only the content type is copied.
    """
    if not include_metadata:
        return Attributes(content_type=attributes.content_type)
    return replace(attributes, storage_class="", checksum="", tags=())


def digest(attributes: Attributes) -> str:
    """Return 12 characters that tell sets of carried attributes apart; the same for every version of this program."""
    return _digest(
        attributes.content_type,
        attributes.cache_control,
        attributes.content_disposition,
        attributes.content_encoding,
        attributes.content_language,
        attributes.expires,
        attributes.website_redirect,
        *[text for entry in sorted(attributes.metadata) for text in entry],
    )


@lru_cache(256)  # most objects of a bucket have one of a few sets
def _digest(*values: str) -> str:
    text = "".join(f"{len(value)}:{value}" for value in values)
    hashed = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).digest()
    return base64.urlsafe_b64encode(hashed).decode()
