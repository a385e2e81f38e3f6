"""What a store has said of checksums, so that it is not asked in vain for every object."""

from __future__ import annotations

from dualsync.runtime.aws.s3.checksums import PREFIX, refused
from dualsync.runtime.errors import ChecksumUnsupportedError, PermanentError
from dualsync.runtime.model.checksums import kind

_COMPARED = frozenset({"PutObject", "CompleteMultipartUpload"})
"""Operations after which a checksum has been compared."""


class Checks:
    """One store's. A kind in one piece and the same kind in parts (`way`) are apart: many know the one and not the
    other. What the store has taken once it knows, whatever it says of a single object later."""

    def __init__(self) -> None:
        self.unchecked: set[str] = set()
        """Ways that it refuses."""
        self._known: set[str] = set()

    def plain(self, operation: str, checksum: str) -> bool:
        """Whether it is better not told."""
        return way(operation, checksum) in self.unchecked

    def accepted(self, operation: str, checksum: str) -> None:
        """It went through."""
        if checksum and operation in _COMPARED:
            self._known.add(way(operation, checksum))

    def unknown(self, operation: str, checksum: str) -> None:
        """It makes something else of it than it was told."""
        self.unchecked.add(way(operation, checksum))

    def refused(self, error: PermanentError, operation: str, checksum: str, bound: bool) -> bool:
        """Whether a refusal is for the checksum: the object goes without. Raises `ChecksumUnsupportedError` where it
        can't (`bound`)."""
        if not checksum or not refused(error):
            return False
        if way(operation, checksum) not in self._known and not _malformed(error, checksum):
            self.unknown(operation, checksum)
        if bound:
            raise ChecksumUnsupportedError(str(error)) from None
        return True


def way(operation: str, text: str) -> str:
    """A kind, or that kind in parts; empty for no checksum."""
    of = kind(text)
    return of if not of or operation == "PutObject" else f"{of} in parts"


def _malformed(error: PermanentError, text: str) -> bool:
    """Whether it is this value that is refused, not its kind (S3: "Value for x-amz-checksum-… header is invalid.")."""
    return f"{PREFIX}{kind(text)} header is invalid" in str(error).lower()
