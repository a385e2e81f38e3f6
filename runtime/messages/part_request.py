"""Represent what a part request asks: copy some parts of a giant object's upload."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class PartRequest:
    """Copy parts `first` to `last` of an upload under way. All else is recorded in the ledger."""

    key: str
    """Key of the source."""
    route: str
    """From which bucket to which, for example `local>remote`."""
    target_key: str
    """Key that the upload writes."""
    upload_id: str
    """S3's id of the upload."""
    first: int
    """Number of the first part, from 1."""
    last: int
    """Number of the last part, included."""
    attempt: int = 0
    """How often the request was postponed."""
    first_sent: float = 0.0
    """When it was first sent, seconds since the epoch."""
    denied_since: float = 0.0
    """Since when each try has been refused, seconds since the epoch; 0 if it is not."""

    def retry_after_error(self, denied: float = 0.0) -> PartRequest:
        """Return the request to repeat after a service failed or refused."""
        return replace(self, attempt=self.attempt + 1, denied_since=denied)
