"""Keys to sign with: given ones, or the machine's own as the AWS SDK finds them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from botocore.session import Session

from dualsync.runtime.errors import CredentialRejectedError
from dualsync.runtime.platform import SystemClock
from dualsync.runtime.ports import Clock

REFRESH_SECONDS = 60.0
"""How long a key that was found is used before the SDK is asked again."""


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key."""

    access_key_id: str
    """Public half of the key."""
    secret_access_key: str = field(repr=False)
    """Secret half of the key."""
    token: str = field(default="", repr=False)
    """Session token of a temporary key, else empty."""


class Credentials(Protocol):
    """The source of a client's key."""

    async def get(self) -> Credential | None:
        """Return the key to use now, None to send without a signature.

        Raises `CredentialRejectedError` when there is none.
        """

    async def renew(self) -> bool:
        """Look for another key after this one was refused; return False if there is no other."""


class FixedCredentials:
    """One key that never changes."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    async def get(self) -> Credential:
        return self._credential

    async def renew(self) -> bool:
        return False


class NoCredentials:
    """No key: requests are sent without a signature."""

    async def get(self) -> None:
        return None

    async def renew(self) -> bool:
        return False


class ExpiringCredentials:
    """Keys that expire, one after the other.

    One request for a key is under way at a time. A key that is still valid stays in use meanwhile, and when the request
    fails, whatever the failure.
    """

    def __init__(self, clock: Clock, retry_seconds: float, missing: str) -> None:
        """Start without a key.

        Args:
            clock: The time, with which a key's end is compared, and a steady one for the pauses.
            retry_seconds: Pause after a failed request while the present key is valid.
            missing: What is wrong when a request succeeds without a key.
        """
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._missing = missing
        self._kept: Credential | None = None
        self._expires = float("inf")
        self._next_from = 0.0
        """From when another key is requested, in seconds of `Clock.monotonic`."""
        self._finding: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _next(self) -> tuple[Credential | None, float, float]:
        """Return another key, when it expires, and the seconds until the one after it is requested."""
        raise NotImplementedError

    def _failure(self, error: Exception) -> str:
        """Return what went wrong, without a secret."""
        raise NotImplementedError

    async def get(self) -> Credential:
        """Return the present key. Raises `CredentialRejectedError` when there is no valid one."""
        if self._kept is None or self._clock.now() >= self._expires:
            await self._refresh()
        elif self._clock.monotonic() >= self._next_from:
            self._begin()
        if self._kept is None:
            raise CredentialRejectedError(self._missing)
        return self._kept

    async def renew(self) -> bool:
        """Request another key after this one was refused; return whether there is one."""
        before = self._kept
        try:
            await self._refresh()
        except CredentialRejectedError:
            return False
        return self._kept != before

    async def _refresh(self) -> None:
        await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[None]:
        """Return the one request under way, or start it."""
        loop = asyncio.get_running_loop()
        if self._finding is None or self._finding.done() or self._loop is not loop:
            self._loop = loop
            self._finding = loop.create_task(self._find())
            self._finding.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._finding

    async def _find(self) -> None:
        try:
            self._kept, self._expires, seconds = await self._next()
            self._next_from = self._clock.monotonic() + seconds
        except Exception as error:  # whatever a source raises is no more than the lack of a key
            self._next_from = self._clock.monotonic() + self._retry_seconds
            if self._kept is not None and self._clock.now() < self._expires:
                return
            raise CredentialRejectedError(self._failure(error)) from None


class MachineCredentials(ExpiringCredentials):
    """The SDK's chain: environment, profile, container, instance role.

    The SDK may block for many seconds when the metadata service does not answer. So it is asked in a thread of its own
    (the event loop's own threads resolve host names).
    """

    def __init__(self, session: Session, clock: Clock | None = None) -> None:
        missing = "this machine has no AWS credential: give it a role, a profile or variables"
        super().__init__(clock or SystemClock(), REFRESH_SECONDS, missing)
        self._session = session
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="credentials")

    async def _next(self) -> tuple[Credential | None, float, float]:
        found, expires = await asyncio.get_running_loop().run_in_executor(self._thread, _sdk_credential, self._session)
        return found, expires, REFRESH_SECONDS

    def _failure(self, error: Exception) -> str:
        return f"this machine's credential: {type(error).__name__}"


def _sdk_credential(session: Session) -> tuple[Credential | None, float]:
    """Return the key that the SDK finds, and when it expires in seconds since the epoch."""
    found = session.get_credentials()
    frozen = found.get_frozen_credentials() if found else None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        return None, float("inf")
    # botocore has no public name for it; without one the key is used until the SDK finds another.
    expires = getattr(found, "_expiry_time", None)
    until = expires.timestamp() if isinstance(expires, datetime) else float("inf")
    return Credential(frozen.access_key, frozen.secret_key, frozen.token or ""), until
