"""The identity behind a credential."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.errors import UnavailableError

_FOUND = {name: re.compile(rb"<%s>\s*([^<]+?)\s*</" % name.encode()) for name in ("UserId", "Arn")}


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """The owner of a credential."""

    user_id: str
    """Unique id: a user's `AIDA…`, or a role's with its session, `AROA…:name`."""
    arn: str
    """ARN of the user or of the role's session."""


class StsIdentity:
    """Asks STS, which needs no permission (AWS STS API reference, GetCallerIdentity)."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def close(self) -> None:
        """Close the connections to STS."""
        self._client.close()

    async def user_id(self) -> str:
        """Return the unique id. Raises `CredentialRejectedError` and `RetryableError`."""
        return (await self.caller_identity()).user_id

    async def caller_identity(self) -> CallerIdentity:
        """Return the identity. Raises `CredentialRejectedError` and `RetryableError`."""
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        try:
            answer = await self._client.call("GetCallerIdentity", "caller", "POST", "/", "", headers, body)
        except ServiceError as refused:
            raise error_of(refused.refusal) from None
        return CallerIdentity(_element_text("UserId", answer.body or b""), _element_text("Arn", answer.body or b""))


def unique_id(user_id: str) -> str:
    """Return the id of the user or role: a role's session is `AROA…:name` (IAM User Guide, "IAM identifiers")."""
    return user_id.partition(":")[0]


def _element_text(name: str, body: bytes | bytearray) -> str:
    found = _FOUND[name].search(body)
    if found is None:
        raise UnavailableError(f"sts GetCallerIdentity: the answer has no {name}")
    return found[1].decode()
