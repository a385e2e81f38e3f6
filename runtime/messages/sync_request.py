"""What a message asks: look at this key. An S3 event, a finder's finding and a postponed look are all looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dualsync.runtime.model.ledger_entry import SyncedVersion


class Cause(StrEnum):
    """Why a key is to be looked at."""

    CREATED = "created"
    REMOVED = "removed"
    EXPIRED = "expired"
    FINDER = "finding"


class Actor(StrEnum):
    """Who caused an event."""

    USER = "user"
    ECHO = "echo"
    """This side's dedicated user: the peer's worker wrote here."""
    OWN_ROLE = "own"
    """This side's worker with its own role, pulling or removing."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Look at `key` (relative to the prefix).

    The fields after `cause` are the event's, empty for a finding: `sequencer` normalised, `etag` of the version the
    event speaks of, `time` the event's (seconds). `permanent`: a removal of one version by its id, which need not have
    been the current one. `careful` looks see the remote side before they act; `unsure` ones
    may have written before without knowing it. `attempt` counts postponements and `since` is when the first message was
    sent (seconds). `denied`: since when (seconds) each try has been refused, for a person to mend. `deletion` allows
    a finding to delete. `reason` is for the log. `wrote` is an agreement that this look brought about
    and could not record.
    """

    key: str
    cause: Cause
    actor: Actor = Actor.USER
    sequencer: str = ""
    etag: str = ""
    version_id: str = ""
    version_removed: bool = False
    size: int = 0
    event_time: float = 0.0
    first_sent: float = 0.0
    denied_since: float = 0.0
    attempt: int = 0
    full_check: bool = False
    may_have_written: bool = False
    may_delete: bool = False
    reason: str = ""
    unrecorded: SyncedVersion | None = None

    @property
    def correlation(self) -> str:
        """What all log lines of this look share, however often it is postponed: the event's sequencer, or when the
        finder found it."""
        return self.sequencer or (f"finding-{int(self.first_sent)}" if self.first_sent else "")

    def retry_after_conflict(self, reason: str) -> SyncRequest:
        """The same look, later and with open eyes."""
        return replace(self, full_check=True, attempt=self.attempt + 1, denied_since=0.0, reason=reason)

    def retry_after_error(self, reason: str, denied: float = 0.0) -> SyncRequest:
        """The same look, when the services answer again, or do not refuse it any more; whether the last call took
        effect is unknown."""
        return replace(self, full_check=True, may_have_written=True, denied_since=denied, reason=reason)

    def as_deletion(self) -> SyncRequest:
        """An expiry that is to be treated like a user's deletion."""
        return replace(self, cause=Cause.REMOVED)
