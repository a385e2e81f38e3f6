"""Vendors' errors become those of `dualsync.runtime.errors` here and nowhere else, by error code, not by status.

A status says too little: S3 answers 403 for a wrong key, a denied action, an archived object, a skewed clock and a
denied KMS key alike (Amazon S3 API reference, "Error responses"). So a status alone is asked only of codes that no
table knows, and 403 never means that an object has gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from botocore import exceptions as vendor

from dualsync.runtime.errors import (
    AccessDeniedError,
    ChecksumMismatchError,
    ConcurrentWriteError,
    CredentialRejectedError,
    DualSyncError,
    FatalError,
    PermanentError,
    PreconditionFailedError,
    RetryableError,
    ThrottledError,
    UnavailableError,
    UploadGoneError,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that a service answered with an error. `code` may be a bare status where there was no body (HEAD)."""

    service: str
    operation: str
    target: str
    code: str
    status: int
    message: str = ""

    def __str__(self) -> str:
        text = f"{self.service} {self.operation} {self.target}: {self.code} ({self.status})"
        return f"{text}: {' '.join(self.message.split())[:200]}" if self.message else text


MISSING_OBJECT = frozenset({"NoSuchKey", "NoSuchVersion"})
"""S3's codes for an object (or version) that is not there. A bucket that is not there is another matter."""

Kind = type[DualSyncError]

_CREDENTIAL = (
    "AuthFailure AWS.SimpleQueueService.InvalidSecurity ExpiredToken ExpiredTokenException IncompleteSignature"
    " InvalidAccessKeyId InvalidClientTokenId InvalidSecurity InvalidSignatureException InvalidToken"
    " MissingAuthenticationToken MissingAuthenticationTokenException MissingSecurityHeader NotSignedUp"
    " SignatureDoesNotMatch TokenRefreshRequired UnrecognizedClientException"
)
_THROTTLED = (
    "BandwidthLimitExceeded EC2ThrottledException KmsThrottled KMS.ThrottlingException"
    " LimitExceededException OverLimit PriorRequestNotComplete ProvisionedThroughputExceeded"
    " ProvisionedThroughputExceededException ReduceYourRequestRate RequestLimitExceeded RequestThrottled"
    " RequestThrottledException ServerBusy SlowDown SlowDownRead SlowDownWrite ThrottledException Throttling"
    " ThrottlingException TooManyRequests TooManyRequestsException TransactionInProgressException"
)
_UNAVAILABLE = (
    "IncompleteBody InternalError InternalFailure InternalServerError InternalServiceError"
    " InternalServiceErrorException RequestTimeout RequestTimeoutException RequestTimeTooSkewed"
    " RequestExpired ServiceFailure ServiceUnavailable TemporaryRedirect"
)
_CORRUPT = "BadDigest XAmzContentChecksumMismatch XAmzContentSHA256Mismatch"
_BUSY = "ConditionalRequestConflict OperationAborted ReplicatedWriteConflictException TransactionConflictException"
_CHANGED = (
    "ConditionalCheckFailedException DuplicateItemException MessageNotInflight NoSuchKey NoSuchVersion"
    " PreconditionFailed ReceiptHandleIsInvalid"
)
_GIVE_UP = (
    "AccountProblem AllAccessDisabled EncryptionTypeMismatch EntityTooLarge EntityTooSmall"
    " InvalidArgument InvalidDigest InvalidEncryptionAlgorithmError InvalidObjectState InvalidPart InvalidPartOrder"
    " InvalidRange InvalidRequest InvalidStorageClass InvalidTag InvalidURI InvalidWriteOffset KeyTooLongError"
    " MalformedXML MetadataTooLarge MethodNotAllowed MissingContentLength NoSuchBucket NotImplemented"
    " ObjectLockConfigurationNotFoundError RequestHeaderSectionTooLarge TooManyParts UnexpectedContent XNotImplemented"
    " BatchRequestTooLong InvalidMessageContents ItemCollectionSizeLimitExceededException ValidationException"
    " BatchEntryIdsNotDistinct EmptyBatchRequest InvalidBatchEntryId TooManyEntriesInBatchRequest"
    " UnsupportedOperation InvalidParameterException InvalidParameterValue InvalidRequestException"
    " SerializationException"
)
_STOP = (
    "AuthorizationHeaderMalformed IllegalLocationConstraintException InvalidAddress InvalidBucketName"
    " PermanentRedirect QueueDoesNotExist AWS.SimpleQueueService.NonExistentQueue ResourceNotFoundException"
    " SignatureVersionNotSupported InvalidEndpoint"
)
_OWN_DENIED = (
    "403 AccessDenied AccessDeniedException DecryptionFailure KmsAccessDenied KmsDisabled KmsInvalidKeyUsage"
    " KmsInvalidState KmsNotFound KmsOptInRequired"
)

CODES: Mapping[str, Kind] = MappingProxyType(
    {
        code: kind
        for codes, kind in (
            (_CREDENTIAL, CredentialRejectedError),
            (_THROTTLED, ThrottledError),
            ("403 AccessDenied", AccessDeniedError),
            (_UNAVAILABLE, UnavailableError),
            (_CORRUPT, ChecksumMismatchError),
            (_BUSY, ConcurrentWriteError),
            (_CHANGED, PreconditionFailedError),
            ("NoSuchUpload", UploadGoneError),
            (_GIVE_UP, PermanentError),
            (_STOP, FatalError),
        )
        for code in codes.split()
    }
)
"""What every known code asks of the caller."""

OWN_CODES: Mapping[str, Kind] = MappingProxyType(dict.fromkeys(_OWN_DENIED.split(), RetryableError))
"""Codes that mean something else from this side's own queue, table and secret: a role that is denied (or whose
permissions have not arrived yet) is no fault of any message, so none may be buried for it."""


def error_of(refusal: Refusal) -> DualSyncError:
    """The error that says what the caller should do about `refusal`. Unknown codes fall back on the status."""
    kind = None if refusal.service == "s3" else OWN_CODES.get(refusal.code)
    kind = kind or CODES.get(refusal.code)
    if kind is None and refusal.code.startswith("KMS."):
        kind = PermanentError
    if kind is None:
        kind = _by_status(refusal.status)
    if kind is PermanentError:
        return PermanentError(refusal.code, str(refusal))
    return kind(str(refusal))


def _by_status(status: int) -> Kind:
    if status == 429:
        return ThrottledError
    if status >= 500 or status in (307, 408):
        return UnavailableError
    if status == 409:
        return ConcurrentWriteError
    if status == 412:
        return PreconditionFailedError
    return PermanentError


def refusal_of(error: vendor.ClientError, service: str, target: str) -> Refusal:
    """botocore's error as data."""
    answer = error.response
    details = answer.get("Error", {})
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(details.get("Code") or status)
    return Refusal(service, error.operation_name, target, code, status, str(details.get("Message") or ""))


def translate(error: Exception, service: str, target: str) -> DualSyncError:
    """Any error of boto3 as one of ours. Unknown exceptions come back as `UnavailableError`: their effect is
    unknown."""
    if isinstance(error, DualSyncError):
        return error
    if isinstance(error, vendor.ClientError):
        return error_of(refusal_of(error, service, target))
    text = f"{service} {target}: {type(error).__name__}"
    if isinstance(
        error,
        vendor.NoCredentialsError
        | vendor.PartialCredentialsError
        | vendor.CredentialRetrievalError
        | vendor.TokenRetrievalError
        | vendor.UnauthorizedSSOTokenError
        | vendor.ProfileNotFound,
    ):
        return CredentialRejectedError(text)
    if isinstance(error, vendor.ParamValidationError):
        return PermanentError("InvalidArgument", f"{text}: {' '.join(str(error).split())[:200]}")
    return UnavailableError(f"{text}: {' '.join(str(error).split())[:200]}")
