"""Who a credential belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dualsync.runtime.aws.errors import error_of
from dualsync.runtime.aws.http.client import ServiceClient, ServiceError
from dualsync.runtime.errors import UnavailableError

_FOUND = {name: re.compile(rb"<%s>\s*([^<]+?)\s*</" % name.encode()) for name in ("UserId", "Arn")}


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller: its unique id (a user's `AIDA…`, or a role's with its session, `AROA…:name`), and its ARN."""

    user_id: str
    arn: str


class StsIdentity:
    """Asks STS, which needs no permission for it (AWS STS API reference, GetCallerIdentity)."""

    def __init__(self, caller: ServiceClient) -> None:
        self._caller = caller

    async def user_id(self) -> str:
        """The caller's unique id. Raises `CredentialRejectedError` and `RetryableError`."""
        return (await self.who()).user_id

    async def who(self) -> Identified:
        """The caller. Raises `CredentialRejectedError` and `RetryableError`."""
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        try:
            answer = await self._caller.call("GetCallerIdentity", "caller", "POST", "/", "", headers, body)
        except ServiceError as refused:
            raise error_of(refused.refusal) from None
        return Identified(_found("UserId", answer.body or b""), _found("Arn", answer.body or b""))


def _found(name: str, body: bytes | bytearray) -> str:
    found = _FOUND[name].search(body)
    if found is None:
        raise UnavailableError(f"sts GetCallerIdentity: the answer has no {name}")
    return found[1].decode()
