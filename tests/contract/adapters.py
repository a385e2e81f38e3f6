"""Define what a contract test needs from an implementation of the ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from dualsync.runtime.aws.secrets_manager import PeerSecret
from dualsync.runtime.ports import Bucket, Ledger, Queue

VISIBILITY_SECONDS = 30
"""Visibility timeout of the queue in all worlds, in seconds."""


class AdapterWorld(Protocol):
    """An empty bucket, queue and ledger. Nothing is shared between two worlds."""

    @property
    def name(self) -> str: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def ledger(self) -> Ledger: ...

    def bucket(self, prefix: str = "") -> Bucket:
        """Return the world's bucket, which never had versioning, under a prefix."""

    def versioned(self) -> Bucket:
        """Return another bucket, with versioning enabled."""

    def remove_version(self, key: str, version_id: str) -> None:
        """Delete a version of the versioned bucket, as a user does."""

    def archive(self, key: str) -> None:
        """Move an object of the world's bucket to GLACIER."""

    def thaw(self, key: str) -> None:
        """Restore an archived object at once."""

    def advance(self, seconds: float) -> None:
        """Let the queue's time pass."""

    def dead_letters(self) -> Sequence[tuple[str, str]]:
        """Return (body, reason) of the messages in the dead-letter queue."""

    def secrets(self) -> Secrets:
        """Return the reader of the world's one secret, which does not exist at first."""

    def put_secret(self, text: str) -> None:
        """Create the secret, or replace its text."""

    def delete_secret(self) -> None:
        """Mark the secret for deletion in some days."""

    def make_user(self) -> tuple[str, str, str]:
        """Create a user, and return its id and the two parts of its access key."""

    def delete_key(self, access_key_id: str) -> None:
        """Delete the access key (DeleteAccessKey)."""

    def identity(self, access_key_id: str, secret_access_key: str) -> StsIdentity:
        """Return STS as called with this key."""

    def close(self) -> None: ...


class Secrets(Protocol):
    """`dualsync.runtime.aws.secrets_manager.PeerSecrets`, as it is used."""

    async def read(self) -> PeerSecret | None: ...


class StsIdentity(Protocol):
    """`dualsync.runtime.aws.sts.StsIdentity`, as it is used."""

    async def user_id(self) -> str: ...


def differs(world: AdapterWorld, name: str, how: str, page: str) -> None:
    """Skip a test for an emulator that is known to be wrong, naming the page of AWS's documentation that decides."""
    if world.name == name:
        pytest.skip(f"{name} {how}; decided by: {page}")
