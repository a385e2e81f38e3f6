"""Test tokens that KMS signs, and the role sessions that they are exchanged for."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest

from dualsync.runtime.aws.credentials import NoCredentials
from dualsync.runtime.aws.kms import KmsKeys
from dualsync.runtime.aws.web_identity import (
    REFRESH_BEFORE_SECONDS,
    RETRY_SECONDS,
    SESSION_SECONDS,
    SKEW_SECONDS,
    TOKEN_SECONDS,
    Claims,
    RoleCredentials,
    sign_token,
)
from dualsync.runtime.errors import CredentialRejectedError, PermanentError, RetryableError, UnavailableError
from tests.support.fakes.clock import FakeClock, Time
from tests.support.scripted_server import KEY, ReceivedRequest, answer, scripted

NOW = 1_790_000_000.0
ROLE = "arn:aws-cn:iam::111122223333:role/dth-dual-cn-peer"
CLAIMS = Claims(issuer="https://id.example.com/x", key_id="kid-1", subject="p-global", audience="p-cn")


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_token_contains_issuer_subject_audience_and_expiry() -> None:
    signed: list[bytes] = []

    async def sign(message: bytes) -> bytes:
        signed.append(message)
        return b"signature"

    first, second = await sign_token(CLAIMS, sign, NOW), await sign_token(CLAIMS, sign, NOW)
    head, body, signature = first.split(".")
    assert decoded(head) == {"alg": "RS256", "kid": "kid-1", "typ": "JWT"}
    claims = decoded(body)
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("https://id.example.com/x", "p-global", "p-cn")
    assert (claims["iat"], claims["exp"]) == (NOW - SKEW_SECONDS, NOW + TOKEN_SECONDS)
    assert claims["jti"] != decoded(second.split(".")[1])["jti"]
    assert base64.urlsafe_b64decode(signature) == b"signature"
    assert signed[0] == f"{head}.{body}".encode()


def session(number: int, expires: float) -> bytes:
    """Return an answer of STS (API Reference, AssumeRoleWithWebIdentity)."""
    end = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return answer(
        200,
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
        f"<SessionToken>token{number}</SessionToken><SecretAccessKey>secret{number}</SecretAccessKey>"
        f"<Expiration>{end}</Expiration><AccessKeyId>ASIA{number}</AccessKeyId>"
        "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>".encode(),
    )


def refusal(code: str, status: int = 400) -> bytes:
    return answer(
        status, f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>".encode()
    )


class RoleSession:
    """A role's credentials with a clock that the test sets, and tokens that can fail."""

    def __init__(self, sts: Any) -> None:
        self.time = Time(NOW)
        self.clock = FakeClock(self.time)
        self.made = 0
        self.error: Exception | None = None
        self.credentials = RoleCredentials(sts, ROLE, "p-global", self._token, self.clock)

    async def _token(self) -> str:
        self.made += 1
        if self.error is not None:
            raise self.error
        return f"token-{self.made}"

    async def key(self) -> str:
        return (await self.credentials.get()).access_key_id

    async def settle(self) -> None:
        """Wait for the request in the background."""
        task = self.credentials._finding
        assert task is not None
        await asyncio.wait([task])


async def test_session_is_renewed_in_the_background_before_it_expires() -> None:
    answers = [session(1, NOW + SESSION_SECONDS), session(2, NOW + 2 * SESSION_SECONDS)]
    async with scripted(*answers) as server:
        role = RoleSession(server.caller("sts", NoCredentials()))
        assert await asyncio.gather(*(role.key() for _ in range(20))) == ["ASIA1"] * 20
        assert len(server.requests) == 1
        role.time.now = NOW + SESSION_SECONDS - REFRESH_BEFORE_SECONDS - 1
        assert await role.key() == "ASIA1"
        assert len(server.requests) == 1
        role.time.now += 1
        assert await asyncio.gather(*(role.key() for _ in range(20))) == ["ASIA1"] * 20
        await role.settle()
        assert await role.key() == "ASIA2"
        assert len(server.requests) == role.made == 2


async def test_step_of_the_wall_clock_delays_no_renewal() -> None:
    answers = [session(1, NOW + SESSION_SECONDS), session(2, NOW + 2 * SESSION_SECONDS)]
    async with scripted(*answers) as server:
        role = RoleSession(server.caller("sts", NoCredentials()))
        await role.key()
        role.clock.skew -= 86_400
        role.time.now += SESSION_SECONDS - REFRESH_BEFORE_SECONDS
        assert await role.key() == "ASIA1"
        await role.settle()
        assert await role.key() == "ASIA2"


async def test_request_is_unsigned_and_names_role_session_and_token() -> None:
    async with scripted(session(1, NOW + SESSION_SECONDS)) as server:
        assert (await RoleSession(server.caller("sts", NoCredentials())).credentials.get()).token == "token1"
        request: ReceivedRequest = server.requests[0]
        assert "authorization" not in request.headers
        assert {k: v[0] for k, v in parse_qs(request.body.decode()).items()} == {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": ROLE,
            "RoleSessionName": "p-global",
            "DurationSeconds": str(SESSION_SECONDS),
            "WebIdentityToken": "token-1",
        }


FAULTS: dict[str, Exception] = {
    "KMS is not reachable": UnavailableError("kms"),
    "KMS refuses": PermanentError("DisabledException", "disabled"),
    "a fault of the program": RuntimeError("secret-of-the-fault"),
    "a wrong type": TypeError("x"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_valid_session_is_kept_if_its_renewal_fails(fault: Exception) -> None:
    async with scripted(session(1, NOW + SESSION_SECONDS), session(2, NOW + 2 * SESSION_SECONDS)) as server:
        role = RoleSession(server.caller("sts", NoCredentials()))
        await role.key()
        role.error, role.time.now = fault, NOW + SESSION_SECONDS - REFRESH_BEFORE_SECONDS
        for _ in range(3):
            assert await role.key() == "ASIA1"
            await role.settle()
        assert role.made == 2
        role.time.now += RETRY_SECONDS
        assert await role.key() == "ASIA1"
        await role.settle()
        assert role.made == 3
        role.time.now = NOW + SESSION_SECONDS
        with pytest.raises(CredentialRejectedError) as refused:
            await role.key()
        assert ROLE in str(refused.value)
        assert "secret-of-the-fault" not in str(refused.value)
        role.error = None
        assert await role.key() == "ASIA2"


@pytest.mark.parametrize("code", ["InvalidIdentityToken", "AccessDenied", "ExpiredTokenException", "IDPRejectedClaim"])
async def test_refused_token_rejects_the_credential(code: str) -> None:
    async with scripted(refusal(code, 403)) as server:
        with pytest.raises(CredentialRejectedError, match=code):
            await RoleSession(server.caller("sts", NoCredentials())).key()


@pytest.mark.parametrize(
    "text", [b"<a/>", session(1, NOW).replace(b"Z</Expiration>", b"?</Expiration>").split(b"\r\n\r\n")[1]]
)
async def test_malformed_answer_rejects_the_credential(text: bytes) -> None:
    async with scripted(answer(200, text)) as server:
        with pytest.raises(CredentialRejectedError, match="sts AssumeRoleWithWebIdentity"):
            await RoleSession(server.caller("sts", NoCredentials())).key()


async def test_rejected_session_is_replaced_if_there_is_another() -> None:
    async with scripted(session(1, NOW + 3600), session(2, NOW + 3600), refusal("AccessDenied", 403)) as server:
        role = RoleSession(server.caller("sts", NoCredentials()))
        await role.key()
        assert await role.credentials.renew()
        assert await role.key() == "ASIA2"
        assert not await role.credentials.renew()
        assert await role.key() == "ASIA2"


async def test_kms_requests_name_key_and_algorithm() -> None:
    signature, mac = base64.b64encode(b"signature").decode(), base64.b64encode(b"mac").decode()
    answers = [answer(200, json.dumps(d).encode()) for d in ({"Signature": signature}, {"Mac": mac})]
    async with scripted(*answers) as server:
        keys = KmsKeys(server.caller("kms", KEY), "arn:token", "arn:message")
        assert await keys.sign(b"text") == b"signature"
        assert await keys.mac(b"text") == b"mac"
        message = base64.b64encode(b"text").decode()
        assert [(a.headers["x-amz-target"], json.loads(a.body)) for a in server.requests] == [
            (
                "TrentService.Sign",
                {
                    "KeyId": "arn:token",
                    "Message": message,
                    "MessageType": "RAW",
                    "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
                },
            ),
            (
                "TrentService.GenerateMac",
                {"KeyId": "arn:message", "Message": message, "MacAlgorithm": "HMAC_SHA_256"},
            ),
        ]


@pytest.mark.parametrize("document", [{}, {"Signature": None}, {"Signature": "not base64!"}, {"Signature": 5}])
async def test_malformed_signature_is_a_retryable_error(document: dict[str, Any]) -> None:
    async with scripted(answer(200, json.dumps(document).encode())) as server:
        with pytest.raises(UnavailableError):
            await KmsKeys(server.caller("kms", KEY), "arn:token", "arn:message").sign(b"text")


async def test_denied_kms_request_is_retryable() -> None:
    denied = answer(400, json.dumps({"__type": "AccessDeniedException", "message": "no"}).encode())
    async with scripted(denied) as server:
        with pytest.raises(RetryableError):
            await KmsKeys(server.caller("kms", KEY), "arn:token", "arn:message").mac(b"text")
