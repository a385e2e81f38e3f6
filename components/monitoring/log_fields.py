"""The words of the log lines that metric filters, saved queries and alarms look for.

One JSON object per line. Outcomes and states are the runtime's own enums (`dualsync.runtime.log`); here are the field
names, the
events, and what the finder says of itself:

    {"event": "outcome", "outcome": "copied", "key": "a/b", "bytes": 1024, "lag_seconds": 2.5,
     "direction": "cn->global", "conflict": true, "reason": "", "correlation": "…", "message": "…"}
    {"event": "outcome", "outcome": "postponed", "denied_seconds": 930, "reason": "…: AccessDenied (403)", …}
    {"event": "started", "settings": {…}}                 a worker's settings, once
    {"event": "state", "state": "RUNNING", "held": 12}     on every change, and once a minute (then with what is held)
    {"event": "finder", "state": "finished", "queued": 3, "held": 0}
    {"event": "fatal", "message": "…"}                     the end of a boot or a process that can't go on
"""

from __future__ import annotations

from enum import StrEnum

from dualsync.runtime.log import ECHO_LINE, Outcome, State

__all__ = ["ECHO_LINE", "Event", "Field", "FinderState", "Outcome", "State"]


class Field(StrEnum):
    """Names of fields, with the `$.` by which filter patterns and metric values address them."""

    EVENT = "$.event"
    OUTCOME = "$.outcome"
    STATE = "$.state"
    CONFLICT = "$.conflict"
    BYTES = "$.bytes"
    LAG_SECONDS = "$.lag_seconds"
    QUEUED = "$.queued"
    HELD = "$.held"
    DENIED_SECONDS = "$.denied_seconds"


class Event(StrEnum):
    """Values of `event`."""

    OUTCOME = "outcome"
    STATE = "state"
    FINDER = "finder"
    FATAL = "fatal"


class FinderState(StrEnum):
    """Values of `state` where `event` is `finder`. `skipped`: another finder of this side was still at it;
    `resumed`: it goes on where one that died has come."""

    FINISHED = "finished"
    FAILED = "failed"
    HELD = "held"
    WAITING = "waiting"
    SKIPPED = "skipped"
    RESUMED = "resumed"
