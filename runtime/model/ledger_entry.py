"""One item of the ledger: what both sides held when they last agreed on a key, or what was deleted there."""

from __future__ import annotations

from dataclasses import dataclass

from dualsync.runtime.model.origin_version import Identity

DEAD_KEPT = 6
"""How many dead versions an entry remembers, newest last."""


@dataclass(frozen=True, slots=True)
class Held:
    """A version as one bucket holds it. `modified` is None where only a write's answer is known (it has no time)."""

    etag: str
    modified: int | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """A version that both sides held at the same time: the proof that a deletion needs."""

    identity: Identity
    local: Held
    remote: Held


@dataclass(frozen=True, slots=True)
class Entry:
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
    agreed: Agreement | None = None
    expired: Agreement | None = None
    former: Agreement | None = None
    dead: tuple[Agreement, ...] = ()
    sequencer: str = ""
    arrived: str = ""
    landed: str = ""
    left: str = ""
    until: str = ""
    deleted: str = ""
    died: int = 0
    alone: str = ""
    updated: int = 0

    @property
    def rewritten(self) -> bool:
        """Was the agreed version written here again after a user had deleted it? Arrival < deletion < last arrival."""
        return "" < self.arrived < self.deleted < (self.until or self.landed)

    @property
    def believed(self) -> Held | None:
        """What the remote bucket holds as far as this side knows: the quiet path's condition."""
        proof = self.agreed or self.expired
        return proof.remote if proof else None

    def buried(self, agreement: Agreement | None) -> tuple[Agreement, ...]:
        """`dead` with one more, the oldest forgotten beyond `DEAD_KEPT`; one that is there learns its time."""
        if agreement is None:
            return self.dead
        name = (agreement.identity, agreement.local.etag)
        known = next((d for d in self.dead if (d.identity, d.local.etag) == name), None)
        if known is not None and (known.local.modified is not None or agreement.local.modified is None):
            return self.dead
        return (*(d for d in self.dead if d is not known), agreement)[-DEAD_KEPT:]

    def is_dead(self, identity: Identity) -> bool:
        """Was this version deleted, as far as the entry remembers?"""
        return any(d.identity == identity for d in self.dead)
