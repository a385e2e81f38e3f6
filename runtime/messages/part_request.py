"""What a message of our own asks besides a look: carry some parts of a giant object's upload."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Portion:
    """Parts `first` to `last` of upload `upload`, by which `key` is written as `to` on `route`.

    All else is noted in the ledger. `attempt` counts postponements, `since` is when it was first sent, `denied` since
    when each try has been refused (seconds).
    """

    key: str
    route: str
    to: str
    upload: str
    first: int
    last: int
    attempt: int = 0
    since: float = 0.0
    denied: float = 0.0

    def later(self, denied: float = 0.0) -> Portion:
        """The same, after a service did not do its part."""
        return replace(self, attempt=self.attempt + 1, denied=denied)
