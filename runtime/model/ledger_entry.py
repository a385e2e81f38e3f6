"""Represent one item of the ledger: what both sides held when a key was last synced, or what was deleted."""

from __future__ import annotations

from dataclasses import dataclass

from dualsync.runtime.model.field_reader import FieldError
from dualsync.runtime.model.origin_version import OriginVersion

MAX_DELETED_VERSIONS = 6
"""How many deleted versions an entry remembers, newest last."""


NEWER_FORMAT = -1
"""Revision of an item in a format of a newer version, which this version must not replace."""


class UnreadableEntryError(FieldError):
    """A stored item is no ledger entry. It is a problem of its key only: a full check writes the item again."""

    def __init__(self, key: str, revision: int, reason: str) -> None:
        super().__init__(f"ledger entry of {key!r}: {reason}; a full check of the key writes it again")
        self.key = key
        self.revision = revision
        self.reason = reason

    def entry(self) -> LedgerEntry:
        """Return an entry of which nothing is known, to be replaced under its revision."""
        return LedgerEntry(self.key, self.revision, unreadable=self.reason)


@dataclass(frozen=True, slots=True)
class CopyState:
    """A version as one bucket holds it."""

    etag: str
    """ETag there, without quotes."""
    modified: int | None = None
    """LastModified there in whole seconds; None where only a write's answer is known, which has no time."""


@dataclass(frozen=True, slots=True)
class SyncedVersion:
    """A version that both sides held at the same time: the proof that a deletion needs."""

    version: OriginVersion
    """The version's name on both sides."""
    local: CopyState
    """The copy in this side's bucket."""
    remote: CopyState
    """The copy in the peer's bucket."""


@dataclass(frozen=True, slots=True)
class AnnouncedWrite:
    """A write over the peer's object that was announced in the ledger.

    The write is conditional. So if the peer holds `version` now, `replaced` was there until that arrived.
    """

    version: OriginVersion
    """The version that is written to the peer."""
    replaced: OriginVersion | None
    """The peer's version that it replaces; None if nothing was there, or if attempts met different versions."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The ledger's item for one key.

    Without `synced` it is a tombstone, or what is known of a deletion without proof. Sequencers are S3's, of events of
    the local bucket, normalised by `dualsync.runtime.model.sequencer`; they are empty when not known.
    """

    key: str
    """The object's key, relative to the side's prefix."""
    revision: int = 0
    """How often the item was written; each write is conditional on it."""
    synced: SyncedVersion | None = None
    """What both sides held when they last matched: the merge base."""
    expired: SyncedVersion | None = None
    """A synced version that a lifecycle rule removed here, and that the peer may keep."""
    previous: SyncedVersion | None = None
    """The synced version before `synced`."""
    deleted_versions: tuple[SyncedVersion, ...] = ()
    """Versions that were deleted, newest last."""
    sequencer: str = ""
    """The highest sequencer acted on."""
    first_event: str = ""
    """Sequencer of the first arrival of the synced version here."""
    last_event: str = ""
    """Sequencer of the last arrival of the synced version here."""
    previous_last_event: str = ""
    """Sequencer of the last arrival of `previous` here."""
    first_modified: int | None = None
    """LastModified of the first copy of the synced version that a request to this bucket showed: no event's word."""
    second_copy: bool = False
    """True if this bucket has shown two copies of the synced version: their version ids, times or ETags differ."""
    interval_end: str = ""
    """Where the synced version was here before and had gone: when what came in between arrived."""
    last_deletion: str = ""
    """Sequencer of the last deletion here by a user."""
    deleted_at: int = 0
    """When the key was last deleted, by S3's clock (seconds since the epoch)."""
    attributes: str = ""
    """Digest of the attributes of the local copy of `synced`; empty if not known. It tells changes of metadata within
    one second apart, which have the same ETag and time."""
    pending: AnnouncedWrite | None = None
    """A write over an object of the peer's that is not the synced version, until its end is recorded."""
    overwrite: AnnouncedWrite | None = None
    """The last such write that is recorded as done: the peer held what it replaced until then."""
    unmatched: str = ""
    """An object that a finder saw here without a counterpart and without any proof (`modified;etag`)."""
    echoed: str = ""
    """An object here whose echo has been read, though its version is not the synced one (`modified;etag`)."""
    updated: int = 0
    """When the item was written, seconds since the epoch."""
    unreadable: str = ""
    """Why the stored item could not be decoded; all else but key and revision is unknown then. It is not stored."""

    @property
    def arrived_twice(self) -> bool:
        """Return True if this bucket has shown two copies of the synced version: their times or version ids differ."""
        if self.synced is None:
            return False
        copy, first = self.synced.local.modified, self.first_modified
        return self.second_copy or (copy is not None and first is not None and first < copy)

    @property
    def rewritten_after_deletion(self) -> bool:
        """Return True if the synced version arrived here again after a user had deleted it.

        Events tell the order, and can be forged. That it was here twice must be proven by this bucket's own answers. No
        worker writes a version over itself.
        """
        return self.arrived_twice and "" < self.first_event < self.last_deletion < (
            self.interval_end or self.last_event
        )

    @property
    def expected_remote(self) -> CopyState | None:
        """Return what the remote bucket holds as far as this side knows: the condition of the fast path."""
        proof = self.synced or self.expired
        return proof.remote if proof else None

    def with_deleted(self, synced: SyncedVersion | None) -> tuple[SyncedVersion, ...]:
        """Return `deleted_versions` with one more, without the oldest beyond `MAX_DELETED_VERSIONS`.

        A version that is there already gets the time of its copy, if it was not known.
        """
        if synced is None:
            return self.deleted_versions
        name = (synced.version, synced.local.etag)
        known = next((d for d in self.deleted_versions if (d.version, d.local.etag) == name), None)
        if known is not None and (known.local.modified is not None or synced.local.modified is None):
            return self.deleted_versions
        return (*(d for d in self.deleted_versions if d is not known), synced)[-MAX_DELETED_VERSIONS:]

    def was_rewritten(self, version: OriginVersion, modified: int) -> bool:
        """Return True if this version was deleted, and its copy had another LastModified than `modified` then."""
        return any(d.version == version and d.local.modified not in (None, modified) for d in self.deleted_versions)

    def was_deleted(self, version: OriginVersion) -> bool:
        """Return True if this version was deleted, as far as the entry remembers."""
        return any(d.version == version for d in self.deleted_versions)
