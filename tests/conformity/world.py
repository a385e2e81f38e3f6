"""What a conformity test needs from an implementation of the ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from runtime.ports import Bucket, Ledger, Queue

VISIBILITY_SECONDS = 30
"""Visibility time-out of every world's queue."""


class World(Protocol):
    """An empty bucket, queue and ledger. Nothing is shared between two worlds."""

    name: str
    queue: Queue
    ledger: Ledger

    def bucket(self, prefix: str = "") -> Bucket:
        """The world's bucket, which never had versioning, under a prefix."""

    def versioned(self) -> Bucket:
        """Another bucket, with versioning enabled."""

    def remove_version(self, key: str, version_id: str) -> None:
        """A user deletes a version of the versioned bucket."""

    def advance(self, seconds: float) -> None:
        """Let the queue's time pass."""

    def dead_letters(self) -> Sequence[tuple[str, str]]:
        """(body, reason) of what was buried."""

    def close(self) -> None: ...


def differs(world: World, name: str, how: str, page: str) -> None:
    """Skip a test for a stand-in that is known to be wrong, naming the page of AWS's documentation that decides."""
    if world.name == name:
        pytest.skip(f"{name} {how}; decided by: {page}")
