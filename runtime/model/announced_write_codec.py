"""Encode and decode an announced write: an object of two values, in ledger items.

| name | value |
| --- | --- |
| `version` | the version that is written: side, LastModified and ETag there, as in `synced_version_codec` |
| `over` | the version that it replaces, in the same form; absent if nothing was there, or if that is not certain |
"""

from __future__ import annotations

from dualsync.runtime.model.field_reader import FieldError, shorten
from dualsync.runtime.model.ledger_entry import AnnouncedWrite
from dualsync.runtime.model.synced_version_codec import decode_identity, encode_identity


def encode(write: AnnouncedWrite) -> dict[str, object]:
    """Return the announced write as a JSON object."""
    item: dict[str, object] = {"version": encode_identity(write.version)}
    if write.replaced is not None:
        item["over"] = encode_identity(write.replaced)
    return item


def decode(item: object) -> AnnouncedWrite:
    """Return the announced write that `encode` made an object of. Raises `FieldError` for anything else."""
    if not isinstance(item, dict):
        raise FieldError(f"announced write: {shorten(item)} is not an object")
    over = item.get("over")
    return AnnouncedWrite(decode_identity(item.get("version")), None if over is None else decode_identity(over))
