"""OIDC federation: the documents of issuers, and the exchange of their tokens for sessions of a role.

moto hands out a session for any token, of any role. Here a token is verified as IAM does: against the identity provider
in the role's account, the keys that the issuer publishes, and the role's trust policy. Published documents are put and
read below `/published/`, as the emulator reaches no issuer on the internet.
Sources: AWS STS API Reference, "AssumeRoleWithWebIdentity" (errors); IAM User Guide, "Create an OpenID Connect (OIDC)
identity provider in IAM", "Create a role for OpenID Connect federation".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.iam.models import iam_backends
from moto.sts import responses
from moto.sts.models import sts_backends

from sandbox.cloud.accounts import ACCOUNTS
from sandbox.cloud.patches.replace import replace
from sandbox.cloud.policies import Request, Verdict, evaluate

PATH = "/published/"
"""Path below which documents are put and read: `/published/HOST/PATH` for `https://HOST/PATH`."""

PUBLISHED: dict[str, bytes] = {}
"""Documents by address."""

_ACTION = "sts:AssumeRoleWithWebIdentity"
_ROLE = re.compile(r"arn:(?P<partition>[a-z-]+):iam::(?P<account>[0-9]{12}):role/(?P<name>.+)")


class InvalidIdentityTokenError(ServiceException):
    """The token could not be validated."""

    code = "InvalidIdentityToken"


class ExpiredTokenError(ServiceException):
    """The token has expired."""

    code = "ExpiredTokenException"


class AccessDeniedError(ServiceException):
    """The role does not trust the token."""

    code = "AccessDenied"


class ValidationError(ServiceException):
    """The role does not allow such a session."""

    code = "ValidationError"


def apply() -> None:
    """Replace moto's exchange of tokens."""
    replace(responses.TokenResponse, "assume_role_with_web_identity", _assume_role_with_web_identity)


def serve(environ: dict[str, Any]) -> tuple[str, bytes]:
    """Put or read a document; return status and body."""
    address = "https://" + environ["PATH_INFO"].removeprefix(PATH)
    if environ["REQUEST_METHOD"] == "PUT":
        PUBLISHED[address] = environ["wsgi.input"].read()
        return "200 OK", b""
    found = PUBLISHED.get(address)
    return ("404 Not Found", b"") if found is None else ("200 OK", found)


def _assume_role_with_web_identity(self: Any) -> ActionResult:
    arn, name = str(self._get_param("RoleArn")), str(self._get_param("RoleSessionName"))
    duration = self._get_int_param("DurationSeconds", 3600)
    match = _ROLE.fullmatch(arn)
    account = next((a for a in ACCOUNTS.values() if match and a.account_id == match["account"]), None)
    if match is None or account is None or match["partition"] != account.partition:
        raise AccessDeniedError(f"Not authorized to perform {_ACTION}")
    known = iam_backends[account.account_id][account.partition]
    claims, provider_arn = _verified(known, str(self._get_param("WebIdentityToken")))
    role = next((r for r in known.roles.values() if r.arn == arn), None)
    if role is None or not _is_trusted(role, provider_arn, claims):
        raise AccessDeniedError(f"Not authorized to perform {_ACTION}")
    if duration > int(role.max_session_duration or 3600):
        raise ValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    session = sts_backends[account.account_id][account.partition].assume_role(
        region_name=account.region,
        role_session_name=name,
        role_arn=arn,
        policy="",
        duration=duration,
        external_id="",
    )
    return ActionResult(
        {
            "Credentials": session,
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
            "SubjectFromWebIdentityToken": claims["sub"],
            "Audience": claims["aud"],
            "Provider": provider_arn,
        }
    )


def _verified(known: Any, token: str) -> tuple[Mapping[str, Any], str]:
    """Return the claims of a valid token and the ARN of its identity provider."""
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
        issuer, audience, key_id = str(claims["iss"]), str(claims["aud"]), str(header["kid"])
        expires = int(claims["exp"])
        claims["sub"], claims["iat"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise InvalidIdentityTokenError("The ID Token provided is not a valid JWT") from None
    bare = issuer.removeprefix("https://")
    provider = next((p for p in known.open_id_providers.values() if p.url == bare), None)
    if provider is None:
        raise InvalidIdentityTokenError(f"No OpenIDConnect provider found in your account for {issuer}")
    key = _key(issuer, key_id)
    try:
        if header.get("alg") != "RS256" or key is None:
            raise InvalidSignature
        numbers = RSAPublicNumbers(*(int.from_bytes(_decoded(key[n]), "big") for n in ("e", "n")))
        numbers.public_key().verify(_decoded(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        problem = "Couldn't retrieve verification key from your identity provider"
        raise InvalidIdentityTokenError(problem if key is None else "Invalid signature") from None
    if audience not in provider.client_id_list:
        raise InvalidIdentityTokenError("Incorrect token audience")
    if expires <= time.time():
        raise ExpiredTokenError("Token expired: current date/time must be before the expiration date/time")
    return claims, str(provider.arn)


def _key(issuer: str, key_id: str) -> Mapping[str, str] | None:
    """Return a key of the issuer as it is published."""
    try:
        discovery = json.loads(PUBLISHED[f"{issuer}/.well-known/openid-configuration"])
        keys = json.loads(PUBLISHED[discovery["jwks_uri"]])["keys"] if discovery["issuer"] == issuer else ()
    except (KeyError, ValueError, TypeError):
        return None
    return next((key for key in keys if key.get("kid") == key_id), None)


def _is_trusted(role: Any, provider_arn: str, claims: Mapping[str, Any]) -> bool:
    document = role.assume_role_policy_document
    text = document if isinstance(document, str) else json.dumps(document)
    prefix = provider_arn.partition(":oidc-provider/")[2].lower()
    context = {f"{prefix}:{name}": str(claims[name]) for name in ("aud", "sub")}
    return evaluate(text, Request(_ACTION, "*", frozenset({provider_arn}), context)) is Verdict.ALLOWED


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
