"""Which conditional writes a store supports."""

from __future__ import annotations

from dualsync.runtime.errors import PermanentError


class ConditionSupport:
    """Remembers per operation that a store does not support conditions.

    A 501 may be about any header of a request (S3: "A header you provided implies functionality that is not
    implemented"). So an operation loses its conditions only after the same request without them has succeeded, and
    never once a condition of it has failed, which proves that the store evaluates them.
    """

    def __init__(self) -> None:
        self.unsupported: set[str] = set()
        """Operations whose conditions the store refuses."""
        self._evaluated: set[str] = set()

    def record_evaluated(self, operation: str) -> None:
        """Remember that the store has evaluated a condition."""
        self._evaluated.add(operation)

    def may_be_unsupported(self, operation: str, error: PermanentError) -> bool:
        """Return whether a refusal may be for the condition, so that the write is tried without."""
        return error.reason == "NotImplemented" and operation not in self._evaluated
