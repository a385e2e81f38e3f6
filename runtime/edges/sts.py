"""Who a credential belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.edges.threads import Threads

if TYPE_CHECKING:
    from mypy_boto3_sts.client import STSClient


class StsIdentity:
    """Asks STS, which needs no permission for it (AWS STS API reference, GetCallerIdentity)."""

    def __init__(self, client: STSClient, *, threads: Threads) -> None:
        self._client = client
        self._threads = threads

    async def user_id(self) -> str:
        """The caller's unique id: a user's (`AIDA…`), or a role's with its session (`AROA…:name`).

        Raises `CredentialRejected` and `Retry`.
        """
        answer = await self._threads.ask("sts", "caller identity", self._client.get_caller_identity)
        return answer["UserId"]
