"""What can go wrong, named by what the caller should do about it.

    DualSyncError
    ├── RetryableError                 try again later; nothing is wrong with the message
    │   ├── ThrottledError         the service asked for fewer requests (503 SlowDown, ProvisionedThroughputExceeded)
    │   ├── UnavailableError       time-outs, resets, 500: whether the call took effect is unknown
    │   │   └── ChecksumMismatchError       what arrived has not the checksum that it was sent with
    │   ├── AccessDeniedError            AccessDenied: for one object or for all; waits for a person, then gives up
    │   └── ConcurrentWriteError              409: another write to the same key was under way; look, then decide
    ├── PreconditionFailedError               a condition did not hold (412, or 404 for If-Match): look, then decide
    │   ├── UploadGoneError        the multipart upload is no more: completed, aborted or spent
    │   └── ChecksumUnsupportedError             the upload can't carry its source's checksums: begin anew without them
    ├── CredentialRejectedError    the credential is unknown, expired or revoked: stop receiving, read it anew
    ├── PermanentError                this message can never succeed: to the dead-letter queue with the reason
    └── FatalError                  this process must not go on (bad settings, or the guard would be wrong)

Vendor errors become these at one boundary, `runtime/edges/translate.py`.
"""

from __future__ import annotations


class DualSyncError(Exception):
    """Root of everything this program raises on purpose."""


class RetryableError(DualSyncError):
    """Nothing is wrong with the message: the same call may succeed later."""


class ThrottledError(RetryableError):
    """The service asked for fewer requests."""


class UnavailableError(RetryableError):
    """The service did not answer, or answered 5xx. The call may have taken effect."""


class AccessDeniedError(RetryableError):
    """The action was refused. A policy may be on its way or mended soon, so no message is lost over it at once."""


class ConcurrentWriteError(RetryableError):
    """409: another conditional write to the key was under way (S3: ConditionalRequestConflict)."""


class ChecksumMismatchError(UnavailableError):
    """What arrived has not the checksum that it was sent with (S3: BadDigest). Nothing wrong was kept."""


class PreconditionFailedError(DualSyncError):
    """What a conditional call expected is no longer so (S3: 412 PreconditionFailed, 404 for If-Match)."""


class UploadGoneError(PreconditionFailedError):
    """The multipart upload was completed, aborted or spent (S3: NoSuchUpload)."""


class ChecksumUnsupportedError(PreconditionFailedError):
    """An upload can't carry its source's checksums: the store refuses them, or the source's parts are of unlike
    length. Begin anew without them."""


class CredentialRejectedError(DualSyncError):
    """The credential was refused as such (InvalidAccessKeyId, ExpiredToken …), not the action."""


class PermanentError(DualSyncError):
    """No retry can help; `reason` goes with the message to the dead-letter queue."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class FatalError(DualSyncError):
    """The process must end or refuse to work; the text says what to mend."""
