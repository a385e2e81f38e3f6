"""The findings of the judges: kinds of wrong ends, and the documented exceptions that excuse some."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Excuse(StrEnum):
    """The exceptions of docs/consistency.md. Each excuses only the contents that it affected."""

    SAME_BYTES = "same bytes written again"
    """A precondition on an ETag can't distinguish versions with the same bytes."""
    EXPIRED = "expired before its copy was made"
    """An object that a lifecycle rule deletes before a worker reads it can't be copied; the peer keeps what it has."""
    UNRECOGNISED = "copy deleted before its echo was read, its ETag another and no version kept"
    """Nothing identifies the version that the user deleted or replaced."""
    NO_LATER = "replaced by what would lose a conflict, before the echo was read"
    """S3 dates an upload by its start, and two versions may have the same second: without the echo, the times give the
    wrong order. Or one side is preferred and has lost its ledger."""
    EVENT_LOST = "event lost while the version was written twice"
    """An event of its first copy or of its deletion: the second arrival can't be distinguished from the first."""
    LEDGERS_LOST = "both ledgers lost the key"
    """No ledger proves which version replaced the other."""
    NEVER_MET = "deleted before the first contact"
    """No ledger proves that both sides held the seeded object, so a user's act on one side conflicts with the object on
    the other side."""
    UNPROVEN = "copy deleted before its echo was read, and no version kept"
    """Only events show that the copy was here. Events can be forged, so they delete nothing. The other side's finder
    has the proof, unless a lifecycle rule forbids it to delete. A second copy can't be distinguished from the first."""
    CROSSED = "deleted while the copies crossed"
    """A deletion is processed when the other side's copy has already arrived: only its event has its time. A ledger
    that holds the crossed copy holds nothing of the version before it."""
    REMOVED_BY_ID = "version removed by its id while it was written again"
    """While the key shows an object, the removal of a version by its id is none of the key: old versions are cleared
    away like this."""
    ONE_SECOND = "deleted and written again within one second, and no version kept"
    """Both copies show the same ETag and the same time, which is that of an upload's start, so the bucket does not show
    that they are two."""
    FORGED_EXPIRY = "expired, and a forged event of its deletion"
    """Only the event names what removed it: a lifecycle rule, or a user whose deletion is carried to the peer."""
    FORGED_ARRIVAL = "deleted soon after its arrival, and a forged event of that"
    """S3 shows whole seconds, and of an upload in parts its start. Where a lifecycle rule may have removed what arrived
    after the deletion, only events tell their order."""
    FORGED = "written again after a forged event"
    """A forged event of a user's copy of a replica onto itself makes a worker write the same content again. Or it
    raised the key's highest sequencer, so no event proves that a copy was written again after its deletion."""


class Failure(StrEnum):
    """Kinds of wrong ends."""

    DIVERGED = "diverged"
    EDIT_LOST = "edit lost"
    STALE_BACK = "stale version back"
    UNDONE = "deletion undone"
    WRONG_WINNER = "wrong winner"
    FOREIGN = "content that no user wrote"
    ECHO = "echo written"
    NOT_KEPT = "loser not kept"
    RESTLESS = "never at rest"
    DEAD_LETTER = "dead letter"
    ERROR = "unexpected error"
    DISAGREEMENT = "the two judges disagree"
    """The model and the oracle do not report the same keys as wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One wrong result. `excused` names the documented exception that applies; empty for none."""

    failure: Failure
    key: str
    text: str
    excused: str = ""

    def __str__(self) -> str:
        return f"{self.failure}: {self.text}" + (f" [{self.excused}]" if self.excused else "")
