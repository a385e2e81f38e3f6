"""Represent what a message asks: check this key. S3 events, finder requests and retries are all sync requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dualsync.runtime.model.ledger_entry import SyncedVersion


class Cause(StrEnum):
    """Why a key is to be checked. The values are those of version 0.1's messages and logs."""

    CREATED = "created"
    """An object was written, or its metadata changed."""
    REMOVED = "removed"
    """An object or a version of it was deleted."""
    EXPIRED = "expired"
    """A lifecycle rule removed an object or a version of it."""
    FINDER = "finding"
    """The finder, an operator or an earlier check asks for it."""


class Actor(StrEnum):
    """Who caused an event."""

    USER = "user"
    """Anyone but the synchronisation."""
    ECHO = "echo"
    """This side's dedicated user: the peer's worker wrote here."""
    OWN_ROLE = "own"
    """This side's worker with its own role, pulling or removing."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """Check `key`. The fields from `sequencer` to `event_time` are an event's, and empty for a finder request."""

    key: str
    """The object's key, relative to the side's prefix."""
    cause: Cause
    """Why the key is to be checked."""
    actor: Actor = Actor.USER
    """Who caused the event."""
    sequencer: str = ""
    """The event's order among those of the key, normalised."""
    etag: str = ""
    """ETag of the version that the event is about."""
    version_id: str = ""
    """Version id of that version, on a bucket with versioning."""
    version_removed: bool = False
    """True if one version was removed by its id; it need not have been the current one."""
    size: int = 0
    """Bytes of that version."""
    event_time: float = 0.0
    """When the event happened, seconds since the epoch."""
    first_sent: float = 0.0
    """When the first message of this request was sent, seconds since the epoch."""
    denied_since: float = 0.0
    """Since when each try has been refused, seconds since the epoch; 0 if it is not. An operator must fix it."""
    attempt: int = 0
    """How often the request was postponed because of a conflict."""
    full_check: bool = False
    """True if both sides must be observed before anything is written."""
    may_have_written: bool = False
    """True if an earlier try may have written without recording it."""
    may_delete: bool = False
    """True if the finder allows a deletion."""
    reason: str = ""
    """Why it was sent, for the log."""
    unrecorded: SyncedVersion | None = None
    """What an earlier try wrote and could not record in the ledger."""

    @property
    def correlation(self) -> str:
        """Return what all log lines of this request share, however often it is postponed."""
        return self.sequencer or (f"finding-{int(self.first_sent)}" if self.first_sent else "")

    def retry_after_conflict(self, reason: str) -> SyncRequest:
        """Return the request to repeat after a conflict, with a full check."""
        return replace(self, full_check=True, attempt=self.attempt + 1, denied_since=0.0, reason=reason)

    def retry_after_error(self, reason: str, denied: float = 0.0) -> SyncRequest:
        """Return the request to repeat after a service failed or refused; the last call may have taken effect."""
        return replace(self, full_check=True, may_have_written=True, denied_since=denied, reason=reason)

    def as_unauthenticated(self, sent: float) -> SyncRequest:
        """Return what is believed of this request when its message is not authenticated: that the key must be checked.

        That a key was deleted is believed as far as an S3 event of a deletion is: the object must be gone here, and the
        ledger must prove that the peer's is the same. `sent` is when the message was sent, seconds since the epoch.
        """
        removed = self.cause is Cause.REMOVED and self.actor is Actor.USER and not self.version_removed
        deleted = removed or (self.cause is Cause.FINDER and self.may_delete)
        return SyncRequest(
            self.key,
            Cause.REMOVED if deleted else Cause.FINDER,
            first_sent=sent,
            full_check=True,
            may_have_written=True,
            reason="not authenticated",
        )

    def as_plain_check(self) -> SyncRequest:
        """Return a request to check the key, without what an event or an earlier try said of it."""
        return replace(
            SyncRequest(self.key, Cause.FINDER, full_check=True),
            first_sent=self.first_sent,
            attempt=self.attempt,
            reason=self.reason,
        )

    def as_deletion(self) -> SyncRequest:
        """Return an expiration to be treated like a user's deletion."""
        return replace(self, cause=Cause.REMOVED)
