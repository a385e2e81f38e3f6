"""Objects and ledger entries as the `--json` output shows them. The names are part of the command line's contract."""

from __future__ import annotations

from typing import Any

from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
from dualsync.runtime.model.objects import ObjectHead
from dualsync.runtime.model.origin_version import OriginVersion
from dualsync.runtime.operations.context import Version
from dualsync.runtime.service.operator_controls import DirectionControls


def controls_document(controls: DirectionControls) -> dict[str, Any]:
    """Return an operator's controls of a direction."""
    table = controls.timetable
    return {**controls.fields(), "timetable": None if table is None else table.data()}


def object_document(seen: ObjectHead) -> dict[str, Any]:
    """Return an object as S3 shows it."""
    a, stamp = seen.attributes, seen.stamp
    return {
        "etag": seen.etag,
        "size": seen.size,
        "modified": seen.modified,
        "stamp": None
        if stamp is None
        else {
            "pair": stamp.pair,
            "key_hash": stamp.key_hash,
            "identity": _identity(stamp.version),
            "size": stamp.size,
        },
        "attributes": {
            "content_type": a.content_type,
            "cache_control": a.cache_control,
            "content_disposition": a.content_disposition,
            "content_encoding": a.content_encoding,
            "content_language": a.content_language,
            "expires": a.expires,
            "website_redirect": a.website_redirect,
            "storage_class": a.storage_class,
            "metadata": a.metadata,
            "checksum": a.checksum,
            "tags": a.tags,
        },
        "version_id": seen.version_id,
        "archived": seen.archived,
        "opaque": seen.opaque,
    }


def version_document(version: Version) -> dict[str, Any]:
    """Return one version of an object."""
    return {
        "version_id": version.version_id,
        "modified": version.modified,
        "etag": version.etag,
        "size": version.size,
        "latest": version.latest,
        "marker": version.marker,
    }


def entry_document(entry: LedgerEntry) -> dict[str, Any]:
    """Return an entry of the ledger."""
    return {
        "key": entry.key,
        "revision": entry.revision,
        "agreed": _synced(entry.synced),
        "expired": _synced(entry.expired),
        "former": _synced(entry.previous),
        "dead": [_synced(version) for version in entry.deleted_versions],
        "sequencer": entry.sequencer,
        "arrived": entry.first_event,
        "landed": entry.last_event,
        "left": entry.previous_last_event,
        "until": entry.interval_end,
        "deleted": entry.last_deletion,
        "died": entry.deleted_at,
        "alone": entry.unmatched,
        "updated": entry.updated,
    }


def _synced(version: SyncedVersion | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {
        "identity": _identity(version.version),
        "local": _copy(version.local),
        "remote": _copy(version.remote),
    }


def _identity(identity: OriginVersion) -> dict[str, Any]:
    return {"origin": str(identity.origin), "modified": identity.modified, "etag": identity.etag}


def _copy(held: CopyState) -> dict[str, Any]:
    return {"etag": held.etag, "modified": held.modified}
