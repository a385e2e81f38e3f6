"""Test errors of sign-in, which name the command that fixes them."""

from __future__ import annotations

import pytest
from botocore import exceptions as vendor

from dualsync.runtime.operations.aws.sign_in import sign_in_problem


def refused(code: str, operation: str = "GetCallerIdentity") -> vendor.ClientError:
    return vendor.ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


def login_errors() -> list[Exception]:
    """Return the errors of `aws login`, which the oldest botocore that is allowed does not have."""
    given: dict[str, dict[str, str]] = {"LoginRefreshRequired": {}, "LoginTokenLoadError": {"error_msg": "no"}}
    return [getattr(vendor, name)(**values) for name, values in given.items() if hasattr(vendor, name)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (vendor.SSOTokenLoadError(error_msg="no token"), "is signed out: run `aws sso login --profile x`"),
        (vendor.UnauthorizedSSOTokenError(), "is signed out: run `aws sso login --profile x`"),
        (vendor.TokenRetrievalError(provider="sso", error_msg="e"), "is signed out: run `aws sso login --profile x`"),
        *((error, "is signed out: run `aws login --profile x`") for error in login_errors()),
        (vendor.RefreshWithMFAUnsupportedError(), "needs an MFA code: run `aws sts get-caller-identity --profile x`"),
        (EOFError("EOF when reading a line"), "needs an MFA code"),
        (refused("ExpiredToken"), "has expired (ExpiredToken): sign in again"),
        (refused("InvalidClientTokenId"), "is not accepted (InvalidClientTokenId)"),
        (refused("SignatureDoesNotMatch"), "has a wrong secret key (SignatureDoesNotMatch)"),
        (refused("AccessDenied", "AssumeRole"), "may not AssumeRole"),
        (vendor.NoCredentialsError(), "has no credentials: sign in (`aws sso login --profile x`"),
        (vendor.PartialCredentialsError(provider="p", cred_var="v"), "gives no credentials"),
        (vendor.ConfigParseError(path="/c"), "gives no credentials (Unable to parse config file: /c)"),
        (FileNotFoundError(2, "No such file", "/bin/x"), "gives no credentials ([Errno 2] No such file: '/bin/x')"),
        (ValueError("No closing quotation"), "gives no credentials (ValueError: No closing quotation)"),
        (AttributeError("no attribute 'get'"), "gives no credentials (AttributeError: no attribute 'get')"),
        (vendor.HTTPClientError(error="Invalid header value b'hush\\n'"), "holds a line break or another character"),
    ],
)
def test_sign_in_error_names_the_command(error: Exception, words: str) -> None:
    assert words in sign_in_problem(error, "x")


@pytest.mark.parametrize(
    "error", [vendor.EndpointConnectionError(endpoint_url="https://x"), OSError("reset"), refused("Throttling")]
)
def test_other_errors_are_no_sign_in_problem(error: Exception) -> None:
    assert sign_in_problem(error, "x") == ""
