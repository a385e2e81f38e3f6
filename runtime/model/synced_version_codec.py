"""Encode and decode a synced version: a list of seven values by position, in ledger items and in sync requests.

| position | value |
| --- | --- |
| 0 | side where a user wrote the version: `cn` or `global` |
| 1 | its LastModified there, whole seconds since the epoch |
| 2 | its ETag there; empty if only the local ETag is known |
| 3, 4 | ETag and LastModified of the local copy; null for an unknown time |
| 5, 6 | ETag and LastModified of the remote copy; null for an unknown time |

Positions keep their meaning for ever. Version 0.1 refuses a list of another length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dualsync.runtime.model.field_reader import MAX_ETAG_CHARACTERS, MAX_SECONDS, FieldError, is_encodable, shorten
from dualsync.runtime.model.ledger_entry import CopyState, SyncedVersion
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.settings import SideName

LENGTH = 7
IDENTITY_LENGTH = 3


def encode(version: SyncedVersion) -> list[str | int | None]:
    """Return the version as a list of JSON values."""
    local, remote = version.local, version.remote
    return [*encode_identity(version.version), local.etag, local.modified, remote.etag, remote.modified]


def decode(row: object) -> SyncedVersion:
    """Return the version that `encode` made a list of. Raises `FieldError` for anything else."""
    if not isinstance(row, (list, tuple)) or len(row) != LENGTH:
        raise FieldError(f"synced version: {shorten(row)} is not a list of {LENGTH}")
    return SyncedVersion(decode_identity(row[:3]), _copy(row[3:5]), _copy(row[5:7]))


def encode_identity(version: OriginVersion) -> list[str | int | None]:
    """Return side, time and ETag as a list."""
    return [str(version.origin), version.modified, version.etag]


def decode_identity(row: object) -> OriginVersion:
    """Return the identity that `encode_identity` made a list of. Raises `FieldError` for anything else."""
    if not isinstance(row, (list, tuple)) or len(row) != IDENTITY_LENGTH:
        raise FieldError(f"version: {shorten(row)} is not a list of {IDENTITY_LENGTH}")
    origin, modified, etag = row
    if origin not in tuple(SideName):
        raise FieldError(f"version: {shorten(origin)} is not a side")
    if type(modified) is not int or not 0 <= modified <= MAX_SECONDS:
        raise FieldError(f"version: {shorten(modified)} is not a time")
    return OriginVersion(SideName(origin), modified, _etag(etag))


def _copy(pair: Sequence[Any]) -> CopyState:
    etag, modified = pair
    if modified is not None and (type(modified) is not int or not 0 <= modified <= MAX_SECONDS):
        raise FieldError(f"synced version: {shorten(modified)} is not a time")
    return CopyState(_etag(etag), modified)


def _etag(value: object) -> str:
    if type(value) is not str or len(value) > MAX_ETAG_CHARACTERS or not is_encodable(value):
        raise FieldError(f"synced version: {shorten(value)} is not an ETag")
    return value
