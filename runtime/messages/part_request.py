"""What a message of our own asks besides a look: carry some parts of a giant object's upload."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class PartRequest:
    """Parts `first` to `last` of upload `upload`, by which `key` is written as `to` on `route`.

    All else is noted in the ledger. `attempt` counts postponements, `since` is when it was first sent, `denied` since
    when each try has been refused (seconds).
    """

    key: str
    route: str
    target_key: str
    upload_id: str
    first: int
    last: int
    attempt: int = 0
    first_sent: float = 0.0
    denied_since: float = 0.0

    def retry_after_error(self, denied: float = 0.0) -> PartRequest:
        """The same, after a service did not do its part."""
        return replace(self, attempt=self.attempt + 1, denied_since=denied)
