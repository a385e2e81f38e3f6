"""Translate vendors' errors to those of `dualsync.runtime.errors`, by error code, not by status.

A status says too little: S3 answers 403 for a wrong key, a denied action, an archived object, a skewed clock and a
denied KMS key alike (Amazon S3 API reference, "Error responses"). So the status decides only for codes that are in
no table, and 403 never means that an object is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    OwnAccessDeniedError,
    PermanentError,
    PreconditionFailedError,
    RetryableError,
    ServiceBlockedError,
    ThrottledError,
    UnavailableError,
    UploadGoneError,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that a service answered with an error."""

    service: str
    """Name of the service, as in signatures."""
    operation: str
    """Name of the API's operation."""
    target: str
    """What the call was about: bucket and key, table and key, queue."""
    code: str
    """The service's error code; the status where there was no body (HEAD)."""
    status: int
    """HTTP status."""
    message: str = ""
    """The service's text."""
    request_id: str = ""
    """What AWS Support asks for (`request_id`)."""

    def __str__(self) -> str:
        text = f"{self.service} {self.operation} {self.target}: {self.code} ({self.status})"
        message = shorten_middle(" ".join(self.message.split()))
        text = f"{text}: {message}" if message else text
        return f"{text} ({self.request_id})" if self.request_id else text


MESSAGE_LENGTH = 1000
"""Most characters of a service's text in an error."""


def shorten_middle(text: str) -> str:
    """Cut the middle out of a long text: IAM's texts name the principal first and the reason last."""
    if len(text) <= MESSAGE_LENGTH:
        return text
    return f"{text[: MESSAGE_LENGTH // 2]} … {text[-(MESSAGE_LENGTH // 2) :]}"


INVALID_HEADER = "Invalid header value"
"""How `http.client` begins its refusal of a header; the value follows, which may be a session's token."""


def without_secrets(text: str) -> str:
    """Return a text without the values of refused headers, and without user and password of an address."""
    text = re.sub(rf"({INVALID_HEADER}).*", r"\1", text, flags=re.DOTALL)
    return re.sub(r"(?<=://)[^/\s'\"]*@", "", text)


def public_text(error: Exception) -> str:
    """Return a vendor's text in one line, not too long, and without secrets."""
    return shorten_middle(without_secrets(" ".join(str(error).split())))


def request_id(headers: Mapping[str, str]) -> str:
    """Return the ids by which AWS Support finds a request; empty if the answer has none.

    Source: "Getting Amazon S3 request IDs for AWS Support", Amazon S3 User Guide.
    """
    # Some other stores send both of the first two, with the same id.
    request = headers.get("x-amz-request-id") or headers.get("x-amzn-requestid", "")
    ids = {"request": request, "host": headers.get("x-amz-id-2", "")}
    return " ".join(f"{name} {value}" for name, value in ids.items() if value)


MISSING_OBJECT = frozenset({"NoSuchKey", "NoSuchVersion"})
"""S3's codes for an object (or version) that does not exist. A bucket that does not exist is another error."""


@contextmanager
def malformed_as_unavailable(call: str) -> Iterator[None]:
    """Raise `UnavailableError` where an answer's fields are missing or of another type: it proves nothing."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, SyntaxError) as error:
        raise UnavailableError(f"{call}: the answer is malformed ({type(error).__name__}: {error})") from None


Kind = type[DualSyncError]

_CREDENTIAL = (
    "AuthFailure AWS.SimpleQueueService.InvalidSecurity ExpiredToken ExpiredTokenException IncompleteSignature"
    " InvalidAccessKeyId InvalidClientTokenId InvalidSecurity InvalidSignatureException InvalidToken"
    " MissingAuthenticationToken MissingAuthenticationTokenException MissingSecurityHeader NotSignedUp"
    " SignatureDoesNotMatch TokenRefreshRequired UnrecognizedClientException"
    " IDPRejectedClaim IDPRejectedClaimException InvalidIdentityToken InvalidIdentityTokenException"
    " MalformedPolicyDocument MalformedPolicyDocumentException PackedPolicyTooLarge PackedPolicyTooLargeException"
    " RegionDisabledException"
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
    " DependencyTimeoutException IDPCommunicationError IDPCommunicationErrorException KeyUnavailableException"
    " KMSInternalException"
)
_CORRUPT = "BadDigest XAmzContentChecksumMismatch XAmzContentSHA256Mismatch"
_BUSY = "ConditionalRequestConflict OperationAborted ReplicatedWriteConflictException TransactionConflictException"
_CHANGED = (
    "ConditionalCheckFailedException DuplicateItemException MessageNotInflight NoSuchKey NoSuchVersion"
    " PreconditionFailed ReceiptHandleIsInvalid"
)
_BLOCKED = (
    "AccessControlListNotSupported AccountProblem AllAccessDisabled InvalidBucketOwnerAWSAccountID InvalidBucketState"
    " InvalidPayer KMS.DisabledException"
    " KMS.InvalidKeyUsageException KMS.KMSInvalidStateException KMS.NotFoundException NoSuchBucket OptInRequired"
    " UnauthorizedAccess UserKeyMustBeSpecified"
)
_GIVE_UP = (
    "EncryptionTypeMismatch EntityTooLarge EntityTooSmall"
    " InvalidArgument InvalidDigest InvalidEncryptionAlgorithmError InvalidObjectState InvalidPart InvalidPartOrder"
    " InvalidRange InvalidRequest InvalidStorageClass InvalidTag InvalidURI InvalidWriteOffset KeyTooLongError"
    " MalformedXML MetadataTooLarge MethodNotAllowed MissingContentLength NotImplemented"
    " ObjectLockConfigurationNotFoundError RequestHeaderSectionTooLarge TooManyParts UnexpectedContent XNotImplemented"
    " BatchRequestTooLong InvalidMessageContents ItemCollectionSizeLimitExceededException ValidationException"
    " BatchEntryIdsNotDistinct EmptyBatchRequest InvalidBatchEntryId TooManyEntriesInBatchRequest"
    " UnsupportedOperation InvalidParameterException InvalidParameterValue InvalidRequestException"
    " DryRunOperationException SerializationException"
)
_STOP = (
    "AuthorizationHeaderMalformed IllegalLocationConstraintException InvalidAddress InvalidBucketName"
    " PermanentRedirect QueueDoesNotExist AWS.SimpleQueueService.NonExistentQueue ResourceNotFoundException"
    " SignatureVersionNotSupported InvalidEndpoint"
)
_OWN_DENIED = "403 AccessDenied AccessDeniedException"
_OWN_REFUSED = (
    "DecryptionFailure DisabledException InvalidGrantTokenException InvalidKeyUsageException KMSInvalidStateException"
    " KmsAccessDenied KmsDisabled KmsInvalidKeyUsage KmsInvalidState KmsNotFound KmsOptInRequired NotFoundException"
)

CODES: Mapping[str, Kind] = MappingProxyType(
    {
        code: kind
        for codes, kind in (
            (_CREDENTIAL, CredentialRejectedError),
            (_THROTTLED, ThrottledError),
            ("403 AccessDenied", AccessDeniedError),
            (_BLOCKED, ServiceBlockedError),
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
"""The error that each known code becomes."""

OWN_CODES: Mapping[str, Kind] = MappingProxyType(
    dict.fromkeys(_OWN_REFUSED.split(), RetryableError) | dict.fromkeys(_OWN_DENIED.split(), OwnAccessDeniedError)
)
"""Codes with another meaning from this side's own queue, table and secret. A role that is denied, or whose permissions
have not arrived yet, is no fault of any message, so no message may go to the dead-letter queue for it."""


def error_of(refusal: Refusal) -> DualSyncError:
    """Return the error that names what the caller should do. Unknown codes are decided by the status."""
    kind = None if refusal.service == "s3" else OWN_CODES.get(refusal.code)
    kind = kind or CODES.get(refusal.code)
    if kind is None and refusal.code.startswith("KMS."):
        kind = ServiceBlockedError  # the key's state or policy, which is the same for every object under it
    if kind is None:
        kind = _by_status(refusal.status)
    if kind is PermanentError:
        return PermanentError(refusal.code, str(refusal))
    return kind(str(refusal))


def _by_status(status: int) -> Kind:
    if status == 429:
        return ThrottledError
    if status >= 500 or status in (302, 303, 307, 308, 407, 408):  # a captive or refusing proxy answers some of them
        return UnavailableError
    if status == 409:
        return ConcurrentWriteError
    if status == 412:
        return PreconditionFailedError
    if status in (401, 402, 403):  # about the account, the bucket or the credential, not about a message
        return ServiceBlockedError
    return PermanentError


def refusal_of(error: vendor.ClientError, service: str, target: str) -> Refusal:
    """Return botocore's error as a `Refusal`."""
    answer = error.response
    details = answer.get("Error", {})
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(details.get("Code") or status)
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    message = str(details.get("Message") or "")
    return Refusal(service, error.operation_name, target, code, status, message, request_id(headers))


def translate(error: Exception, service: str, target: str) -> DualSyncError:
    """Return any error of boto3 as one of ours. Unknown ones become `UnavailableError`, as their effect is unknown."""
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
        return PermanentError("InvalidArgument", f"{text}: {public_text(error)}")
    return UnavailableError(f"{text}: {public_text(error)}")
