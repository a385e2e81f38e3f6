"""User metadata and the stamp as HTTP headers, both ways."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable, Mapping

from dualsync.runtime.model.origin_version import STAMP_KEY, Stamp

LIMIT_BYTES = 2048
"""S3's limit for user metadata: the UTF-8 bytes of all names and values (Amazon S3 user guide, "Working with object
metadata")."""

_WORD_BYTES = 45
"""Bytes of text in one encoded word, so that the word stays within RFC 2047's 75 characters."""


def encode_headers(metadata: Iterable[tuple[str, str]], stamp: Stamp | None) -> dict[str, str]:
    """Return the metadata headers to send. A stamp that does not fit beside the user's metadata is left out.

    The ledger, and the principal of its event, still identify a replica without a stamp. Only if the ledger is lost
    as well does the replica count as a user's version of its own time.
    """
    sent = {name: ascii_value(value) for name, value in metadata if name != STAMP_KEY}
    if stamp is not None:
        text = stamp.encode()
        if size(sent) + len(STAMP_KEY) + len(text) <= LIMIT_BYTES:
            sent[STAMP_KEY] = text
    return sent


def decode_headers(headers: Mapping[str, str]) -> tuple[tuple[tuple[str, str], ...], Stamp | None]:
    """Return the user's metadata, sorted, and the stamp. `headers`: names without `x-amz-meta-`, values as received."""
    users: list[tuple[str, str]] = []
    stamp = None
    for name, value in headers.items():
        name = name.lower()
        if name == STAMP_KEY:
            stamp = Stamp.decode(value)
            if stamp is not None:
                continue
        users.append((name, value))
    return tuple(sorted(users)), stamp


def size(metadata: Mapping[str, str]) -> int:
    """Return the size as S3 counts it, or a little more: encoded words are counted as sent."""
    return sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())


def ascii_value(value: str) -> str:
    """Return a value in ASCII.

    S3 answers non-ASCII values as RFC 2047 words, which are sent unchanged. Raw bytes of other stores become such
    words.
    """
    if value.isascii():
        return value
    with contextlib.suppress(UnicodeError):
        value = value.encode("latin-1").decode()
    words: list[bytes] = [b""]
    for character in value:
        piece = character.encode()
        if len(words[-1]) + len(piece) > _WORD_BYTES:
            words.append(b"")
        words[-1] += piece
    return " ".join(f"=?UTF-8?B?{base64.b64encode(word).decode()}?=" for word in words)
