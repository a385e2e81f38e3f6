"""What can go wrong, named by what the caller should do about it.

    DualSyncError
    ├── RetryableError                  try again later; the message is fine
    │   ├── ThrottledError              the service asked for fewer requests (503 SlowDown, throttled writes)
    │   ├── UnavailableError            time-outs, resets, 5xx: whether the call took effect is unknown
    │   │   └── ChecksumMismatchError   the received content does not have the checksum that was sent with it
    │   ├── OwnAccessDeniedError        this side's role is denied a call to its queue, ledger or secret
    │   ├── AccessDeniedError           AccessDenied, for one object or for all: wait for an operator, then give up
    │   │   └── ServiceBlockedError     a refusal that every key gets: stop receiving until an operator has acted
    │   └── ConcurrentWriteError        409: another write to the same key was under way; check, then decide
    ├── PreconditionFailedError         a condition did not hold (412, or 404 for If-Match): check, then decide
    │   ├── UploadGoneError             the multipart upload was completed, aborted or spent
    │   └── ChecksumUnsupportedError    the upload can't carry its source's checksums: start again without them
    ├── MessageLostError                the message may be another worker's by now: drop it, and act no more
    ├── CredentialRejectedError         the credential is unknown, expired or revoked: stop receiving, read it again
    ├── PermanentError                  this message can never succeed: to the dead-letter queue with the reason
    └── FatalError                      this process must not continue (wrong settings, or the guard would be wrong)

Vendors' errors are translated at one boundary, `runtime/aws/errors.py`.
"""

from __future__ import annotations


class DualSyncError(Exception):
    """Base of all errors that this package raises on purpose."""


class RetryableError(DualSyncError):
    """The message is fine: the same call may succeed later."""


class ThrottledError(RetryableError):
    """The service asked for fewer requests."""


class UnavailableError(RetryableError):
    """The service did not answer, or answered 5xx. The call may have taken effect."""


class OwnAccessDeniedError(RetryableError):
    """This side's role is denied a call to its own queue, ledger or secret. No message is at fault; all need it."""


class AccessDeniedError(RetryableError):
    """The action was refused. A policy may be about to change, so no message is given up for it at once."""


class ServiceBlockedError(AccessDeniedError):
    """Every key gets this refusal until an operator acts: a missing bucket, a disabled KMS key, a suspended account."""


class ConcurrentWriteError(RetryableError):
    """409: another conditional write to the key was under way (S3: ConditionalRequestConflict)."""


class ChecksumMismatchError(UnavailableError):
    """The received content does not have the checksum that was sent with it (S3: BadDigest). Nothing was stored."""


class PreconditionFailedError(DualSyncError):
    """The condition of a conditional call does not hold (S3: 412 PreconditionFailed, 404 for If-Match)."""


class UploadGoneError(PreconditionFailedError):
    """The multipart upload was completed, aborted or spent (S3: NoSuchUpload)."""


class ChecksumUnsupportedError(PreconditionFailedError):
    """An upload can't carry its source's checksums: the store refuses them, or the source's parts differ in length.

    Start the upload again without them.
    """


class MessageLostError(DualSyncError):
    """The message's visibility has ended: another worker may have received it. Nothing more is done for it here."""


class CredentialRejectedError(DualSyncError):
    """The credential itself was refused (InvalidAccessKeyId, ExpiredToken …), not the action."""


class PermanentError(DualSyncError):
    """No retry can help; `reason` goes with the message to the dead-letter queue."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class FatalError(DualSyncError):
    """The process must stop or refuse to work; the text says what to fix."""
