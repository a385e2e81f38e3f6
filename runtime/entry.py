"""One item of the ledger: what both sides held when they last agreed on a key, or what was deleted there."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.version import Identity

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
    """The ledger's item for `key`. `agreed` None with `dead` or `deleted` set is a tombstone.

    Sequencers are S3's, of events of the local bucket: `sequencer` the highest acted on, `arrived` of the agreed
    version's first arrival, `deleted` of the last deletion here. `updated` in seconds since the epoch.
    `lease_owner` holds the key for itself until `lease_until` (contended keys only).
    """

    key: str
    revision: int = 0
    agreed: Agreement | None = None
    dead: tuple[Agreement, ...] = ()
    sequencer: str = ""
    arrived: str = ""
    deleted: str = ""
    updated: int = 0
    lease_owner: str = ""
    lease_until: int = 0
