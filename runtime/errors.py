"""What can go wrong, named by what the caller should do about it.

    DualSyncError
    ├── Retry                 try again later; nothing is wrong with the message
    │   ├── Throttled         the service asked for fewer requests (503 SlowDown, ProvisionedThroughputExceeded)
    │   ├── Unavailable       time-outs, resets, 500: whether the call took effect is unknown
    │   │   └── Corrupt       what arrived has not the checksum that it was sent with
    │   ├── Denied            AccessDenied: for one object or for all; waits for a person, then gives up
    │   └── Busy              409: another write to the same key was under way; look, then decide
    ├── Changed               a condition did not hold (412, or 404 for If-Match): look, then decide
    │   ├── UploadGone        the multipart upload is no more: completed, aborted or spent
    │   └── Unfit             the upload can't carry its source's checksums: begin anew without them
    ├── CredentialRejected    the credential is unknown, expired or revoked: stop receiving, read it anew
    ├── GiveUp                this message can never succeed: to the dead-letter queue with the reason
    └── Stop                  this process must not go on (bad settings, or the guard would be wrong)

Vendor errors become these at one boundary, `runtime/edges/translate.py`.
"""

from __future__ import annotations


class DualSyncError(Exception):
    """Root of everything this program raises on purpose."""


class Retry(DualSyncError):
    """Nothing is wrong with the message: the same call may succeed later."""


class Throttled(Retry):
    """The service asked for fewer requests."""


class Unavailable(Retry):
    """The service did not answer, or answered 5xx. The call may have taken effect."""


class Denied(Retry):
    """The action was refused. A policy may be on its way or mended soon, so no message is lost over it at once."""


class Busy(Retry):
    """409: another conditional write to the key was under way (S3: ConditionalRequestConflict)."""


class Corrupt(Unavailable):
    """What arrived has not the checksum that it was sent with (S3: BadDigest). Nothing wrong was kept."""


class Changed(DualSyncError):
    """What a conditional call expected is no longer so (S3: 412 PreconditionFailed, 404 for If-Match)."""


class UploadGone(Changed):
    """The multipart upload was completed, aborted or spent (S3: NoSuchUpload)."""


class Unfit(Changed):
    """An upload can't carry its source's checksums: the store refuses them, or the source's parts are of unlike
    length. Begin anew without them."""


class CredentialRejected(DualSyncError):
    """The credential was refused as such (InvalidAccessKeyId, ExpiredToken …), not the action."""


class GiveUp(DualSyncError):
    """No retry can help; `reason` goes with the message to the dead-letter queue."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Stop(DualSyncError):
    """The process must end or refuse to work; the text says what to mend."""
