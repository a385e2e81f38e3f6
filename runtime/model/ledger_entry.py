"""One item of the ledger: what both sides held when they last agreed on a key, or what was deleted there."""

from __future__ import annotations

from dataclasses import dataclass

from dualsync.runtime.model.origin_version import OriginVersion

MAX_DELETED_VERSIONS = 6
"""How many dead versions an entry remembers, newest last."""


@dataclass(frozen=True, slots=True)
class CopyState:
    """A version as one bucket holds it. `modified` is None where only a write's answer is known (it has no time)."""

    etag: str
    modified: int | None = None


@dataclass(frozen=True, slots=True)
class SyncedVersion:
    """A version that both sides held at the same time: the proof that a deletion needs."""

    version: OriginVersion
    local: CopyState
    remote: CopyState


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The ledger's item for `key`. Without `agreed` it is a tombstone, or what is known of a deletion without proof.

    Sequencers are S3's, of events of the local bucket, normalised by `dualsync.runtime.model.sequencer`: `sequencer`
    is the highest
    acted on, `arrived` and `landed` those of the agreed version's first and last arrival here (empty when not known),
    `deleted` that of the last deletion here by a user. `former` is what was agreed before, `left` its last arrival;
    where the agreed version was here before and had gone, `until` is when what came in between arrived.
    `alone` names an object that a finder saw here, with nothing there and no proof of anything (`modified;etag`).
    `dead` are versions that were deleted, newest last; `died` is when (S3's clock, seconds since the epoch). `expired`
    is an agreed version that a lifecycle rule took from here and that the peer may keep. `updated` is when the item
    was written (seconds since the epoch).
    """

    key: str
    revision: int = 0
    synced: SyncedVersion | None = None
    expired: SyncedVersion | None = None
    previous: SyncedVersion | None = None
    deleted_versions: tuple[SyncedVersion, ...] = ()
    sequencer: str = ""
    first_event: str = ""
    last_event: str = ""
    previous_last_event: str = ""
    interval_end: str = ""
    last_deletion: str = ""
    deleted_at: int = 0
    unmatched: str = ""
    updated: int = 0

    @property
    def rewritten_after_deletion(self) -> bool:
        """Was the agreed version written here again after a user had deleted it? Arrival < deletion < last arrival."""
        return "" < self.first_event < self.last_deletion < (self.interval_end or self.last_event)

    @property
    def expected_remote(self) -> CopyState | None:
        """What the remote bucket holds as far as this side knows: the quiet path's condition."""
        proof = self.synced or self.expired
        return proof.remote if proof else None

    def with_deleted(self, agreement: SyncedVersion | None) -> tuple[SyncedVersion, ...]:
        """`dead` with one more, the oldest forgotten beyond `MAX_DELETED_VERSIONS`; one that is there learns its
        time."""
        if agreement is None:
            return self.deleted_versions
        name = (agreement.version, agreement.local.etag)
        known = next((d for d in self.deleted_versions if (d.version, d.local.etag) == name), None)
        if known is not None and (known.local.modified is not None or agreement.local.modified is None):
            return self.deleted_versions
        return (*(d for d in self.deleted_versions if d is not known), agreement)[-MAX_DELETED_VERSIONS:]

    def was_deleted(self, identity: OriginVersion) -> bool:
        """Was this version deleted, as far as the entry remembers?"""
        return any(d.version == identity for d in self.deleted_versions)
