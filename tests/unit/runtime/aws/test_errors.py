"""Vendors' errors as ours: every code that botocore's service models declare for the calls in use is known."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.session
import pytest
from botocore import exceptions as vendor

from dualsync.runtime.aws.errors import CODES, OWN_CODES, Refusal, error_of, translate
from dualsync.runtime.errors import (
    Busy,
    Changed,
    CredentialRejected,
    Denied,
    GiveUp,
    Retry,
    Stop,
    Throttled,
    Unavailable,
    UploadGone,
)

CALLS = {
    "s3": (
        "HeadObject GetObject PutObject CreateMultipartUpload UploadPart CompleteMultipartUpload AbortMultipartUpload"
        " DeleteObject ListObjectsV2 GetObjectTagging ListParts ListMultipartUploads"
    ),
    "sqs": "ReceiveMessage DeleteMessageBatch ChangeMessageVisibility SendMessage SendMessageBatch",
    "dynamodb": "GetItem BatchGetItem PutItem DeleteItem Query",
    "sts": "GetCallerIdentity",
    "secretsmanager": "GetSecretValue",
}


def refusal(code: str, status: int = 400, service: str = "s3") -> Refusal:
    return Refusal(service, "Call", "target", code, status, "a message")


@pytest.mark.parametrize("service", CALLS)
def test_every_declared_code_is_known(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    declared = {
        code
        for call in CALLS[service].split()
        for shape in model.operation_model(call).error_shapes
        for code in (shape.name, shape.error_code)
    }
    assert declared - set(CODES) - set(OWN_CODES) == set()


def test_every_call_in_use_is_listed() -> None:
    """What the edges ask for by name, they ask in CALLS."""
    names = re.compile(
        r'"((?:Head|Get|Batch|Put|Create|Upload|Complete|Abort|Delete|List|Send|Receive|Query)[A-Z]\w*)"'
    )
    edges = Path(translate.__code__.co_filename).parent
    texts = [
        (edges / f"{name}.py").read_text() for name in ("s3/bucket", "sqs", "dynamodb/ledger", "sts", "secrets_manager")
    ]
    used = {name for text in texts for name in names.findall(text)}
    assert len(used) > 10
    used -= {"SenderFault", "UploadId"}
    assert used <= {call for calls in CALLS.values() for call in calls.split()}


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("SlowDown", 503, Throttled),
        ("InternalError", 500, Unavailable),
        ("RequestTimeout", 400, Unavailable),
        ("RequestTimeTooSkewed", 403, Unavailable),
        ("ConditionalRequestConflict", 409, Busy),
        ("OperationAborted", 409, Busy),
        ("PreconditionFailed", 412, Changed),
        ("NoSuchKey", 404, Changed),
        ("NoSuchUpload", 404, UploadGone),
        ("InvalidAccessKeyId", 403, CredentialRejected),
        ("SignatureDoesNotMatch", 403, CredentialRejected),
        ("ExpiredToken", 400, CredentialRejected),
        ("AccessDenied", 403, Denied),
        ("403", 403, Denied),
        ("TemporaryRedirect", 307, Unavailable),
        ("InvalidObjectState", 403, GiveUp),
        ("NoSuchBucket", 404, GiveUp),
        ("KMS.DisabledException", 400, GiveUp),
        ("PermanentRedirect", 301, Stop),
        ("AuthorizationHeaderMalformed", 400, Stop),
    ],
)
def test_codes_decide_not_the_status(code: str, status: int, kind: type[Exception]) -> None:
    assert type(error_of(refusal(code, status))) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (307, Unavailable),
        (400, GiveUp),
        (403, GiveUp),
        (404, GiveUp),
        (409, Busy),
        (412, Changed),
        (429, Throttled),
        (500, Unavailable),
    ],
)
def test_the_status_speaks_for_unknown_codes(status: int, kind: type[Exception]) -> None:
    assert type(error_of(refusal("NeverHeardOf", status))) is kind


@pytest.mark.parametrize("service", ["sqs", "dynamodb", "secretsmanager"])
def test_a_denial_of_our_own_services_is_no_fault_of_a_message(service: str) -> None:
    error = error_of(refusal("AccessDeniedException", 400, service))
    assert isinstance(error, Retry)


def test_an_error_names_service_call_target_and_code_in_one_line() -> None:
    error = error_of(Refusal("s3", "PutObject", "bucket/k", "NoSuchBucket", 404, "The bucket\nis gone. " + "x" * 500))
    assert isinstance(error, GiveUp)
    assert error.reason == "NoSuchBucket"
    assert str(error).startswith("NoSuchBucket: s3 PutObject bucket/k: NoSuchBucket (404): The bucket is gone. xxx")
    assert "\n" not in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (vendor.NoCredentialsError(), CredentialRejected),
        (vendor.EndpointConnectionError(endpoint_url="http://x"), Unavailable),
        (vendor.ReadTimeoutError(endpoint_url="http://x"), Unavailable),
        (vendor.ParamValidationError(report="no"), GiveUp),
        (OSError("reset"), Unavailable),
        (Throttled("ours"), Throttled),
        (vendor.ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"), Changed),
    ],
)
def test_boto3s_exceptions(error: Exception, kind: type[Exception]) -> None:
    assert type(translate(error, "s3", "bucket")) is kind
