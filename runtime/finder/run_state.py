"""What the ranges of a finder run share."""

from __future__ import annotations

from dataclasses import dataclass, field

from dualsync.runtime.finder.checkpoint import Checkpoints
from dualsync.runtime.finder.deletion_guard import DeletionGuard
from dualsync.runtime.finder.missed_events import MissedEvents
from dualsync.runtime.finder.queued_keys import QueuedKeys
from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.ports import QueueDepth


@dataclass(slots=True)
class RunState:
    """What the ranges of a run share."""

    seeded: bool
    """An earlier run has recorded all equal keys."""

    guard: DeletionGuard
    """Holds back the run's deletions."""

    queued: QueuedKeys
    """What earlier runs have queued."""

    checkpoints: Checkpoints
    """The run's checkpoints."""

    depth: QueueDepth | None = None
    """Messages in the queues at the beginning; None if they can't be counted."""

    paused: bool = False
    """An operator has paused the direction: nothing is queued, since the events of all changes wait in the queue."""

    ranges: list[RangeProgress] = field(default_factory=list)
    """The ranges of keys."""

    events: MissedEvents = field(default_factory=MissedEvents)
    """Whether events of this side's changes are missing."""

    resumed: bool = False
    """The run continues one that was killed."""
