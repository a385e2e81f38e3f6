"""Keys to sign with: given ones, or the machine's own as the AWS SDK finds them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

from botocore.exceptions import BotoCoreError
from botocore.session import Session

from dualsync.runtime.errors import CredentialRejectedError

_KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key, with a session token where it is temporary."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str = field(default="", repr=False)


class Credentials(Protocol):
    """Where a caller's key comes from."""

    async def get(self) -> Credential:
        """The key to use now. Raises `CredentialRejectedError` when there is none."""

    async def renew(self) -> bool:
        """The key was refused: look for another one; false if there is no other."""


class FixedCredentials:
    """One key that is what it is."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def get(self) -> Credential:
        return self._credential

    async def renew(self) -> bool:
        return False


class MachineCredentials:
    """The SDK's chain: environment, profile, container, instance role. Refreshing may block, so it has a thread."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: Credential | None = None
        self._until = 0.0

    async def get(self) -> Credential:
        if self._kept is None or time.monotonic() > self._until:
            self._kept = await asyncio.to_thread(self._find)
            self._until = time.monotonic() + _KEPT_SECONDS
        return self._kept

    async def renew(self) -> bool:
        before, self._kept = self._kept, None
        return await self.get() != before

    def _find(self) -> Credential:
        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except BotoCoreError as error:
            raise CredentialRejectedError(f"this machine's credential: {type(error).__name__}") from None
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise CredentialRejectedError("this machine has no AWS credential: give it a role, a profile or variables")
        return Credential(frozen.access_key, frozen.secret_key, frozen.token or "")
