"""Errors of sign-in, with the command that ends them."""

from __future__ import annotations

from botocore import exceptions as vendor
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from dualsync.runtime.aws.errors import INVALID_HEADER, public_text
from dualsync.runtime.errors import CredentialRejectedError, DualSyncError

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"})
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "IncompleteSignature", "InvalidSignatureException"})
_UNUSABLE = (
    vendor.PartialCredentialsError,
    vendor.CredentialRetrievalError,
    vendor.InvalidConfigError,
    vendor.ConfigNotFound,
    vendor.ConfigParseError,
    FileNotFoundError,
    PermissionError,
)
"""Errors of a profile, its files and its credential process, which botocore reads at the first call."""
_CALL = (vendor.BotoCoreError, ClientError, HTTPError, OSError, EOFError, DualSyncError)
"""Errors of a call. Any other comes from what a profile's settings or its credential process hold."""


def sign_in_problem(error: Exception, profile: str) -> str:
    """Return what is wrong with a profile's sign-in, and the command that ends it; empty for another kind of error.

    Classes are compared by name, as botocore adds new ones: `LoginError` and its children came in 2025.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    option = f" --profile {profile}" if profile else ""
    if names & {"SSOError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "PendingAuthorizationExpiredError"}:
        return f"is signed out: run `aws sso login{option}`"
    if any(name.startswith("Login") and name.endswith(("Error", "Required")) for name in names):
        return f"is signed out: run `aws login{option}`"
    if isinstance(error, vendor.TokenRetrievalError):
        return f"is signed out: run `aws sso login{option}`"
    text = public_text(error)
    if "MFA" in text or "MultiFactorAuthentication" in text or "EOF when reading" in text:
        return f"needs an MFA code: run `aws sts get-caller-identity{option}` and enter it, then try again"
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _EXPIRED:
            return f"has expired ({code}): sign in again (`aws sso login{option}`, or renew the keys)"
        if code in _UNKNOWN:
            return f"is not accepted ({code}): sign in again, or correct the profile's keys (`aws configure{option}`)"
        if code in _WRONG_SECRET:
            return f"has a wrong secret key ({code}): correct it (`aws configure{option}`), or check this clock"
        if code in ("AccessDenied", "403") and error.operation_name != "GetCallerIdentity":
            return f"may not {error.operation_name}: {text[:200]}"
    if isinstance(error, vendor.NoCredentialsError):
        what = "has no credentials" if profile else "was not found"
        return f"{what}: sign in (`aws sso login{option}`, or `aws configure{option}`)"
    if isinstance(error, CredentialRejectedError):
        return f"is not accepted ({text[:200]}): sign in again"
    if INVALID_HEADER in text:
        return f"holds a line break or another character that no header may have: correct it (`aws configure{option}`)"
    if isinstance(error, _UNUSABLE):
        return f"gives no credentials ({text[:200]}): correct it (`aws configure{option}`)"
    if not isinstance(error, _CALL):
        return f"gives no credentials ({type(error).__name__}: {text[:200]}): correct it (`aws configure{option}`)"
    return ""
