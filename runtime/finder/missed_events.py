"""Notice that the bucket sends no events: a run finds fresh changes of this side, and no event has come since.

Another tool may replace the bucket's notifications, or an operator may delete the queue's permission. Changes then
arrive with each finder run only, up to an hour late, and no other figure shows it. A lost subscription is certain if a
worker was running all the time, and the newest event that any worker has read is older than the change.
"""

from __future__ import annotations

from dataclasses import dataclass

from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.merge import ListedPair
from dualsync.runtime.log import Log, State
from dualsync.runtime.model.records import WORKER, Record, is_alive
from dualsync.runtime.ports import Clock, Ledger, QueueDepth
from dualsync.runtime.settings import Events, Settings

SINCE = "no_events_since"
"""Field of the run's record: since when changes have had no event, in seconds since the epoch."""
COUNT = "without_event"
"""Field of the run's record and line: fresh changes that a run found and that had no event."""
DELIVERY_SECONDS = 300
"""Seconds after which an event has surely been read. S3 delivers events in seconds, and at times in a minute or longer
("Amazon S3 Event Notifications", User Guide)."""
BACKLOG_MESSAGES = 1000
"""Messages in the queue behind which an event may wait unread for longer than `DELIVERY_SECONDS`."""
NO_EVENTS = "no-events"
"""State of the finder's line."""
_OF_THIS_SIDE = (Difference.NEW_HERE, Difference.CHANGED_HERE)


@dataclass(slots=True)
class MissedEvents:
    """The fresh changes of this side that a run has found."""

    after: float = 0.0
    """Changes are fresh if they are newer than this, in seconds since the epoch; 0 if no run was before."""
    known_since: int = 0
    """Since when changes have had no event, as the run before has recorded it; 0 if all had one."""
    count: int = 0
    """Fresh changes found."""
    oldest: int = 0
    """The time of the oldest of them, in seconds since the epoch."""

    @classmethod
    def after_run(cls, last: Record | None, settings: Settings) -> MissedEvents:
        """Return the beginning of a run after the run that `last` records. Nothing is fresh where no event is sent."""
        if last is None or settings.events is Events.NO:
            return cls()
        known = last.data.get(SINCE)
        return cls(float(last.time - settings.finder_grace_seconds), known if type(known) is int else 0)

    def add_change(self, pair: ListedPair, difference: Difference, now: float) -> None:
        """Take a difference into account, unless its event may still be on its way."""
        if difference not in _OF_THIS_SIDE or pair.here is None:
            return
        if 0 < self.after < pair.here.modified <= now - DELIVERY_SECONDS:
            self.count += 1
            self.oldest = min(self.oldest or pair.here.modified, pair.here.modified)

    async def judge(self, ledger: Ledger, clock: Clock, log: Log, depth: QueueDepth | None = None) -> dict[str, object]:
        """Log a line if no event has come for any of the changes, and return what the run's record keeps of it.

        `depth` are the queue's messages at the beginning of the run: behind a backlog events wait unread.
        """
        if not self.count and not self.known_since:
            return {}
        since = self.known_since or self.oldest
        seen, running = 0, False
        async for record in ledger.records(WORKER):
            event, started = record.data.get("last_event"), record.data.get("started")
            seen = max(seen, event) if type(event) is int else seen
            alive = is_alive(record, clock.now()) and record.data.get("state") == State.RUNNING
            running |= alive and type(event) is int and type(started) is int and started <= self.oldest
        if seen >= since:
            return {}
        backlog = depth is not None and depth.messages >= max(BACKLOG_MESSAGES, self.count)
        if self.count and running and not backlog:
            reason = "no event has come for changes of this side: the bucket's notifications may have been replaced"
            log.line("ERROR", "finder", state=NO_EVENTS, reason=reason, **{COUNT: self.count})
            return {SINCE: since, COUNT: self.count}
        return {SINCE: since} if self.known_since else {}
