"""What a conformity test needs from an implementation of the ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from dualsync.runtime.aws.secrets_manager import PeerSecret
from dualsync.runtime.ports import Bucket, Ledger, Queue

VISIBILITY_SECONDS = 30
"""Visibility time-out of every world's queue."""


class AdapterWorld(Protocol):
    """An empty bucket, queue and ledger. Nothing is shared between two worlds."""

    @property
    def name(self) -> str: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def ledger(self) -> Ledger: ...

    def bucket(self, prefix: str = "") -> Bucket:
        """The world's bucket, which never had versioning, under a prefix."""

    def versioned(self) -> Bucket:
        """Another bucket, with versioning enabled."""

    def remove_version(self, key: str, version_id: str) -> None:
        """A user deletes a version of the versioned bucket."""

    def archive(self, key: str) -> None:
        """An object of the world's bucket moves to GLACIER."""

    def thaw(self, key: str) -> None:
        """It is restored, and that is done at once."""

    def advance(self, seconds: float) -> None:
        """Let the queue's time pass."""

    def dead_letters(self) -> Sequence[tuple[str, str]]:
        """(body, reason) of what was buried."""

    def secrets(self) -> Secrets:
        """What reads the world's one secret; there is none at first."""

    def put_secret(self, text: str) -> None:
        """Create the secret, or give it another text."""

    def delete_secret(self) -> None:
        """Mark it for deletion, to happen in some days."""

    def make_user(self) -> tuple[str, str, str]:
        """A new user: its id, and the two parts of an access key of its."""

    def delete_key(self, access_key_id: str) -> None:
        """DeleteAccessKey."""

    def identity(self, access_key_id: str, secret_access_key: str) -> StsIdentity:
        """STS, asked with this key."""

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
