"""What a message asks: look at this key. An S3 event, a finder's finding and a postponed look are all looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dualsync.runtime.model.ledger_entry import Agreement


class Cause(StrEnum):
    """Why a key is to be looked at."""

    CREATED = "created"
    REMOVED = "removed"
    EXPIRED = "expired"
    FINDING = "finding"


class Actor(StrEnum):
    """Who caused an event."""

    USER = "user"
    ECHO = "echo"
    """This side's dedicated user: the peer's worker wrote here."""
    OWN = "own"
    """This side's worker with its own role, pulling or removing."""


@dataclass(frozen=True, slots=True)
class Look:
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
    permanent: bool = False
    size: int = 0
    time: float = 0.0
    since: float = 0.0
    denied: float = 0.0
    attempt: int = 0
    careful: bool = False
    unsure: bool = False
    deletion: bool = False
    reason: str = ""
    wrote: Agreement | None = None

    @property
    def correlation(self) -> str:
        """What all log lines of this look share, however often it is postponed: the event's sequencer, or when the
        finder found it."""
        return self.sequencer or (f"finding-{int(self.since)}" if self.since else "")

    def again(self, reason: str) -> Look:
        """The same look, later and with open eyes."""
        return replace(self, careful=True, attempt=self.attempt + 1, denied=0.0, reason=reason)

    def later(self, reason: str, denied: float = 0.0) -> Look:
        """The same look, when the services answer again, or do not refuse it any more; whether the last call took
        effect is unknown."""
        return replace(self, careful=True, unsure=True, denied=denied, reason=reason)

    def as_removal(self) -> Look:
        """An expiry that is to be treated like a user's deletion."""
        return replace(self, cause=Cause.REMOVED)
