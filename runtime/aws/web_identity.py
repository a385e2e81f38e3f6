"""Sessions of a role in the peer's account, obtained with tokens that a KMS key of this side signs.

A token is a JSON Web Token (RFC 7519) with the signature RS256 (RFC 7515). IAM in the peer's account verifies it with
the public key that this side's issuer publishes (IAM User Guide, "OIDC federation").
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from dualsync.runtime.aws.credentials import Credential, ExpiringCredentials
from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.errors import DualSyncError, UnavailableError
from dualsync.runtime.platform import SystemClock
from dualsync.runtime.ports import Clock

TOKEN_SECONDS = 300
"""Lifetime of a token, which is exchanged at once."""

SESSION_SECONDS = 3600
"""Lifetime of a session, the role's longest."""

REFRESH_BEFORE_SECONDS = 900.0
"""Remaining lifetime from which the next session is requested, while the present one stays in use."""

RETRY_SECONDS = 30.0
"""Pause after a failed refresh while the present session is valid."""

SKEW_SECONDS = 30
"""Time by which a token's start is put back, as the clocks of two partitions differ."""

_FIELDS = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")
_FOUND = {name: re.compile(rb"<%s>\s*([^<]+?)\s*</" % name.encode()) for name in _FIELDS}


@dataclass(frozen=True, slots=True)
class Claims:
    """Content of a token that does not change."""

    issuer: str
    """Address of this side's issuer."""
    key_id: str
    """Id of the key, by which IAM finds it among the issuer's."""
    subject: str
    """Who asks: this side of the pair."""
    audience: str
    """Whom the token is for: the other side of the pair."""


async def sign_token(claims: Claims, sign: Callable[[bytes], Awaitable[bytes]], now: float) -> str:
    """Return a signed token that is valid from now on. Raises what `sign` raises."""
    header = {"alg": "RS256", "kid": claims.key_id, "typ": "JWT"}
    body = {
        "iss": claims.issuer,
        "sub": claims.subject,
        "aud": claims.audience,
        "iat": int(now) - SKEW_SECONDS,
        "exp": int(now) + TOKEN_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    text = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(body).encode())}"
    return f"{text}.{_encoded(await sign(text.encode()))}"


class RoleCredentials(ExpiringCredentials):
    """Sessions of one role, one after the other."""

    def __init__(
        self,
        sts: ServiceClient,
        role_arn: str,
        session_name: str,
        make_token: Callable[[], Awaitable[str]],
        clock: Clock | None = None,
    ) -> None:
        """Create the source of sessions. `sts` is STS in the peer's region, without a credential of its own."""
        super().__init__(clock or SystemClock(), RETRY_SECONDS, f"there is no session of {role_arn}")
        self.role_arn = role_arn
        self._sts = sts
        self._name = session_name
        self._make_token = make_token

    async def _next(self) -> tuple[Credential | None, float, float]:
        found, expires = await self._assume(await self._make_token())
        return found, expires, expires - REFRESH_BEFORE_SECONDS - self._clock.now()

    def _failure(self, error: Exception) -> str:
        reason = str(error) if isinstance(error, DualSyncError) else type(error).__name__
        return f"no session of {self.role_arn}: {reason}"

    async def _assume(self, web_identity_token: str) -> tuple[Credential, float]:
        """Exchange a token for a session. Raises `DualSyncError`."""
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": self.role_arn,
            "RoleSessionName": self._name,
            "DurationSeconds": str(SESSION_SECONDS),
            "WebIdentityToken": web_identity_token,
        }
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        operation = form["Action"]
        try:
            answer = await self._sts.call(operation, self._name, "POST", "/", "", headers, urlencode(form).encode())
        except ServiceError as refused:
            raise error_of(refused.refusal) from None
        values = {name: pattern.search(answer.body or b"") for name, pattern in _FOUND.items()}
        texts = {name: match[1].decode() for name, match in values.items() if match is not None}
        if len(texts) < len(_FIELDS):
            raise UnavailableError(f"sts {operation} {self._name}: the answer holds no session")
        try:
            expires = datetime.fromisoformat(texts["Expiration"]).timestamp()
        except ValueError:
            raise UnavailableError(f"sts {operation} {self._name}: the answer's end is no time") from None
        return Credential(texts["AccessKeyId"], texts["SecretAccessKey"], texts["SessionToken"]), expires


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
