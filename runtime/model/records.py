"""Records in the ledger: conflicts, held deletions, finder runs, controls of operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dualsync.runtime.log import State

CONFLICT = "conflict"
HELD_DELETION = "held-deletion"
DELETION_APPROVAL = "deletion-approval"
FINDER_RUN = "finder-run"
FINDER_CHECKPOINT = "finder-checkpoint"
FINDER_POINTS = "finder-points"
SEEDED = "seeded"
CONTROL = "control"
WORKER = "worker"
AUDIT = "audit"
BUCKET_GUARD = "premises"
UPLOAD = "upload"
FINDER_QUEUED = "finder-queued"

HELD_ID = "held"
"""Id of the only held deletion record."""
APPROVAL_ID = "approval"
"""Id of the only approval of held deletions."""
SEEDED_ID = "seeded"
"""Id of the only record of its kind."""
LAST_ID = "last"
"""Id of the records that describe the last finder run."""
CONTROLS_ID = "orders"
"""Id of the only record of an operator's controls of a direction."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record."""

    kind: str
    """The kind, one of the constants above."""
    id: str
    """Unique within the kind."""
    time: int
    """When it was written, in seconds since the epoch."""
    key: str = ""
    """The object's key; empty if the record is about no single one."""
    data: Mapping[str, object] = field(default_factory=dict)
    """JSON values."""
    expires: int = 0
    """From this time on the ledger may delete it, in seconds since the epoch; 0 for never."""


HEARTBEAT_INTERVAL_SECONDS = 30.0
"""Seconds between two records of a worker whose state does not change."""
WORKER_STALE_SECONDS = 4 * HEARTBEAT_INTERVAL_SECONDS
"""Seconds after which a worker without a new record counts as gone."""


def is_alive(record: Record, now: float) -> bool:
    """Return True if this worker's record shows that it still runs. `now` in seconds since the epoch."""
    return now - record.time <= WORKER_STALE_SECONDS and record.data.get("state") != State.STOPPED
