"""Test the translation of service errors: all codes that botocore declares for the calls in use are known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import exceptions as vendor

from dualsync.runtime.aws.errors import CODES, OWN_CODES, Refusal, error_of, request_id, translate
from dualsync.runtime.errors import (
    AccessDeniedError,
    ConcurrentWriteError,
    CredentialRejectedError,
    FatalError,
    PermanentError,
    PreconditionFailedError,
    RetryableError,
    ServiceBlockedError,
    ThrottledError,
    UnavailableError,
    UploadGoneError,
)

CALLS = {
    "s3": (
        "HeadObject GetObject PutObject CreateMultipartUpload UploadPart CompleteMultipartUpload AbortMultipartUpload"
        " DeleteObject ListObjectsV2 GetObjectTagging ListParts ListMultipartUploads"
    ),
    "sqs": "ReceiveMessage DeleteMessageBatch ChangeMessageVisibilityBatch SendMessage SendMessageBatch",
    "dynamodb": "GetItem BatchGetItem PutItem DeleteItem Query",
    "sts": "GetCallerIdentity AssumeRoleWithWebIdentity",
    "secretsmanager": "GetSecretValue",
    "kms": "Sign GenerateMac",
}


def refusal(code: str, status: int = 400, service: str = "s3") -> Refusal:
    return Refusal(service, "Call", "target", code, status, "a message")


@pytest.mark.parametrize("service", CALLS)
def test_all_declared_error_codes_are_known(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    shapes: list[Any] = [s for call in CALLS[service].split() for s in model.operation_model(call).error_shapes]
    declared = {code for shape in shapes for code in (shape.name, shape.error_code)}
    assert declared - set(CODES) - set(OWN_CODES) == set()


def test_all_calls_in_use_are_listed() -> None:
    """Check that the adapters name no operation that CALLS lacks."""
    names = re.compile(
        r'"((?:Head|Get|Batch|Put|Create|Upload|Complete|Abort|Delete|List|Send|Receive|Query)[A-Z]\w*)"'
    )
    edges = Path(translate.__code__.co_filename).parent
    texts = [
        (edges / f"{name}.py").read_text()
        for name in ("s3/bucket", "sqs", "dynamodb/ledger", "sts", "web_identity", "secrets_manager", "kms")
    ]
    used = {name for text in texts for name in names.findall(text)}
    assert len(used) > 10
    used -= {"SenderFault", "UploadId", "GetQueueAttributes"}  # the last one declares only errors common to SQS
    assert used <= {call for calls in CALLS.values() for call in calls.split()}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("SlowDown", 503, ThrottledError),
        ("InternalError", 500, UnavailableError),
        ("RequestTimeout", 400, UnavailableError),
        ("RequestTimeTooSkewed", 403, UnavailableError),
        ("ConditionalRequestConflict", 409, ConcurrentWriteError),
        ("OperationAborted", 409, ConcurrentWriteError),
        ("PreconditionFailed", 412, PreconditionFailedError),
        ("NoSuchKey", 404, PreconditionFailedError),
        ("NoSuchUpload", 404, UploadGoneError),
        ("InvalidAccessKeyId", 403, CredentialRejectedError),
        ("SignatureDoesNotMatch", 403, CredentialRejectedError),
        ("ExpiredToken", 400, CredentialRejectedError),
        ("AccessDenied", 403, AccessDeniedError),
        ("403", 403, AccessDeniedError),
        ("TemporaryRedirect", 307, UnavailableError),
        ("InvalidObjectState", 403, PermanentError),
        ("NoSuchBucket", 404, ServiceBlockedError),
        ("KMS.DisabledException", 400, ServiceBlockedError),
        ("AccountProblem", 403, ServiceBlockedError),
        ("OptInRequired", 403, ServiceBlockedError),
        ("PermanentRedirect", 301, FatalError),
        ("AuthorizationHeaderMalformed", 400, FatalError),
    ],
)
def test_error_code_takes_precedence_over_the_status(code: str, status: int, kind: type[Exception]) -> None:
    assert type(error_of(refusal(code, status))) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (307, UnavailableError),
        (400, PermanentError),
        (403, ServiceBlockedError),
        (404, PermanentError),
        (409, ConcurrentWriteError),
        (412, PreconditionFailedError),
        (429, ThrottledError),
        (500, UnavailableError),
    ],
)
def test_status_decides_for_unknown_codes(status: int, kind: type[Exception]) -> None:
    assert type(error_of(refusal("UnknownCode", status))) is kind


@pytest.mark.parametrize(
    ("service", "code", "status", "kind"),
    [
        ("kms", "KMSInternalException", 500, UnavailableError),
        ("kms", "DependencyTimeoutException", 500, UnavailableError),
        ("kms", "DisabledException", 400, RetryableError),
        ("kms", "KMSInvalidStateException", 400, RetryableError),
        ("kms", "ThrottlingException", 400, ThrottledError),
        ("sts", "IDPCommunicationError", 400, UnavailableError),
        ("sts", "InvalidIdentityToken", 400, CredentialRejectedError),
        ("sts", "Throttling", 400, ThrottledError),
        ("sqs", "OverLimit", 403, ThrottledError),
        ("sqs", "RequestThrottled", 403, ThrottledError),
        ("dynamodb", "RequestLimitExceeded", 400, ThrottledError),
        ("dynamodb", "LimitExceededException", 400, ThrottledError),
        ("s3", "InvalidBucketState", 409, ServiceBlockedError),
        ("s3", "InvalidBucketOwnerAWSAccountID", 400, ServiceBlockedError),
    ],
)
def test_codes_are_translated_per_service(service: str, code: str, status: int, kind: type[Exception]) -> None:
    assert type(error_of(refusal(code, status, service))) is kind


@pytest.mark.parametrize("service", ["sqs", "dynamodb", "secretsmanager"])
def test_denial_of_the_sides_own_services_is_retryable(service: str) -> None:
    error = error_of(refusal("AccessDeniedException", 400, service))
    assert isinstance(error, RetryableError)


def test_error_names_service_call_target_and_code_in_one_line() -> None:
    error = error_of(Refusal("s3", "PutObject", "bucket/k", "KeyTooLongError", 400, "Too\nlong.", "request 4F"))
    assert isinstance(error, PermanentError)
    assert error.reason == "KeyTooLongError"
    assert str(error) == ("KeyTooLongError: s3 PutObject bucket/k: KeyTooLongError (400): Too long. (request 4F)")


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, ""),
        ({"x-amz-request-id": "1A", "x-amz-id-2": "2B="}, "request 1A host 2B="),
        ({"x-amzn-requestid": "c-3"}, "request c-3"),
        ({"x-amz-request-id": "1A", "x-amzn-requestid": "1A"}, "request 1A"),
    ],
)
def test_request_id_is_named_once(headers: dict[str, str], text: str) -> None:
    assert request_id(headers) == text


def test_long_message_keeps_its_start_and_end() -> None:
    """IAM's message starts with the principal and ends with the policy type that does not allow the action."""
    text = "User: arn is not authorized to perform: s3:PutObject on resource: x because no identity-based policy"
    text = text.replace("resource: x", f"resource: {'x' * 300}")
    assert str(error_of(Refusal("s3", "PutObject", "b/k", "AccessDenied", 403, text))).endswith(text)
    cut = str(error_of(Refusal("s3", "PutObject", "b/k", "AccessDenied", 403, text.replace("x", "x" * 50))))
    assert len(cut) < 1100
    assert "User: arn is not authorized" in cut
    assert cut.endswith("because no identity-based policy")


@pytest.mark.parametrize("status", [302, 303, 407])
def test_proxy_answers_are_retryable(status: int) -> None:
    assert isinstance(error_of(Refusal("s3", "PutObject", "b/k", str(status), status)), UnavailableError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (vendor.NoCredentialsError(), CredentialRejectedError),
        (vendor.EndpointConnectionError(endpoint_url="http://x"), UnavailableError),
        (vendor.ReadTimeoutError(endpoint_url="http://x"), UnavailableError),
        (vendor.ParamValidationError(report="no"), PermanentError),
        (OSError("reset"), UnavailableError),
        (ThrottledError("ours"), ThrottledError),
        (vendor.ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"), PreconditionFailedError),
    ],
)
def test_boto3_exceptions_are_translated(error: Exception, kind: type[Exception]) -> None:
    assert type(translate(error, "s3", "bucket")) is kind


@pytest.mark.parametrize(
    "text",
    [
        "Invalid header value b'hush\\r'",
        'Could not connect to the endpoint URL: "http://user:hush@127.0.0.1:9/x"',
        "Failed to connect to proxy URL: 'https://hush@proxy:3128'",
    ],
)
def test_secrets_in_a_vendors_text_are_left_out(text: str) -> None:
    error = translate(vendor.HTTPClientError(error=text), "sts", "caller identity")
    assert "hush" not in str(error)
    assert text[:20] in str(error)
