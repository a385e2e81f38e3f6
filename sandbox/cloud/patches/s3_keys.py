"""Odd keys: line breaks, and `encoding-type=url` in the listings of versions and uploads, which moto ignores.

moto routes no key with a line break. Without the encoding, a key with a control character makes these listings
unreadable as XML.
Sources: Amazon S3 User Guide, "Naming Amazon S3 objects" (any UTF-8 text of at most 1,024 bytes); API Reference,
"ListObjectVersions" and "ListMultipartUploads" (EncodingType).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from moto.s3 import responses

from sandbox.cloud.patches.replace import replace

_KEYS = ("Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker")
_LISTS = ("Versions", "DeleteMarkers", "Uploads", "CommonPrefixes")
ROUTED = "_"
"""Replaces a line break in the path by which moto routes; the key itself is read from the raw path."""


def routable(path: str) -> str:
    """Return a path that moto's routes match."""
    return path.replace("\n", ROUTED) if "\n" in path else path


def _encode(result: dict[str, Any]) -> None:
    result["EncodingType"] = "url"
    for entry in (result, *(entry for name in _LISTS for entry in result.get(name) or ())):
        for name in _KEYS:
            if entry.get(name):
                entry[name] = quote(entry[name], safe="/")


def _encoding(original: Any) -> Any:
    def call(self: Any) -> Any:
        if self.querystring.get("encoding-type", [None])[0] != "url":
            return original(self)
        serialized = self.serialized

        def encoded(answer: Any) -> Any:
            if isinstance(answer.result, dict):
                _encode(answer.result)
            return serialized(answer)

        self.serialized = encoded
        return original(self)

    return call


def apply() -> None:
    for name in ("list_object_versions", "list_multipart_uploads"):
        replace(responses.S3Response, name, _encoding(getattr(responses.S3Response, name)))
