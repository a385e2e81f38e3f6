"""Name what metric filters, saved queries and alarms match in log lines.

One JSON object per line. Outcomes and states are the runtime's own enums (`dualsync.runtime.log`). Here are the names
of fields and events, and the states of a finder run:

    {"event": "outcome", "outcome": "copied", "key": "a/b", "bytes": 1024, "lag_seconds": 2.5,
     "direction": "cn->global", "conflict": true, "reason": "", "correlation": "…", "message": "…"}
    {"event": "outcome", "outcome": "postponed", "denied_seconds": 930, "reason": "…: AccessDenied (403)", …}
    {"event": "started", "settings": {…}}                 a worker's settings, once
    {"event": "state", "state": "RUNNING", "held": 12}     on every change, and once a minute (then with what is held)
    {"event": "finder", "state": "finished", "queued": 3, "held": 0}
    {"event": "fatal", "message": "…"}                     the end of a boot or a process that can't continue
"""

from __future__ import annotations

from enum import StrEnum

from dualsync.runtime.log import ECHO_LINE, Outcome, State

__all__ = ["ECHO_LINE", "Event", "Field", "FinderState", "Outcome", "State"]


class Field(StrEnum):
    """Names of fields, with the `$.` by which filter patterns and metric values address them."""

    EVENT = "$.event"
    """Kind of the line (`Event`)."""
    OUTCOME = "$.outcome"
    """Outcome of a message (`Outcome`)."""
    STATE = "$.state"
    """State of the worker (`State`) or of the finder's run (`FinderState`)."""
    CONFLICT = "$.conflict"
    """Whether both sides had changed the key."""
    BYTES = "$.bytes"
    """Bytes that were copied."""
    LAG_SECONDS = "$.lag_seconds"
    """Seconds from the change to its copy."""
    QUEUED = "$.queued"
    """Requests that a finder run has queued."""
    HELD = "$.held"
    """Deletions that are held for approval."""
    WITHOUT_EVENT = "$.without_event"
    """Fresh changes that a finder run has found and for which no event has come."""
    DENIED_SECONDS = "$.denied_seconds"
    """Seconds since a change was first refused (AccessDenied)."""


class Event(StrEnum):
    """Values of `event`."""

    OUTCOME = "outcome"
    """A message was handled."""
    STATE = "state"
    """A worker reports its state."""
    FINDER = "finder"
    """The finder reports the state of its run."""
    FATAL = "fatal"
    """A boot or a process ended with an error."""


class FinderState(StrEnum):
    """Values of `state` where `event` is `finder`."""

    FINISHED = "finished"
    """The run has compared everything."""
    FAILED = "failed"
    """The run ended with an error."""
    HELD = "held"
    """The run's deletions are held for approval."""
    WAITING = "waiting"
    """The run waits for the peer's credential."""
    SKIPPED = "skipped"
    """Another finder of this side was still running."""
    NO_EVENTS = "no-events"
    """The run has found fresh changes of this side, and no event has come for any of them."""
    RESUMED = "resumed"
    """The run continues where a crashed one stopped."""
