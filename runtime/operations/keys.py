"""A dedicated user's key: its age, who uses it, and where its rotation stands."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dualsync.runtime.errors import FatalError, PermanentError
from dualsync.runtime.log import State
from dualsync.runtime.model.records import WORKER, is_alive
from dualsync.runtime.operations.context import AccessKey, ExpectedUser, OperatorContext, Side

LOOK_SECONDS = 5.0
STDERR = 2


class Phase(StrEnum):
    """Where the key stands."""

    STEADY = "steady"
    ROTATING = "rotating"
    """Two keys: a rotation is under way, or one was broken off and must be completed before the next."""
    BROKEN = "broken"
    """The secret in the peer's account names a key that the user does not have."""
    UNKNOWN = "unknown"
    """This operator may not see the user's keys or the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """The key of `side`'s dedicated user, which the peer's workers work with. Nothing secret is in it."""

    side: Side
    keys: Sequence[AccessKey] | None
    promise: ExpectedUser | None
    alive: int
    """Living workers of the peer."""
    ready: int
    """Those of them that have proven the key, and are not waiting for another."""
    now: int = 0

    @property
    def phase(self) -> Phase:
        """Where the key stands."""
        if self.keys is None or self.promise is None:
            return Phase.UNKNOWN
        active = [key.id for key in self.keys if key.active]
        if self.promise.key_id not in active:
            return Phase.BROKEN
        return Phase.STEADY if len(self.keys) == 1 else Phase.ROTATING

    @property
    def used(self) -> AccessKey | None:
        """The key that the secret names."""
        if self.promise is None:
            return None
        return next((key for key in self.keys or () if key.id == self.promise.key_id), None)

    @property
    def age(self) -> int | None:
        """Seconds since the key in use was made."""
        return self.now - self.used.created if self.used else None

    @property
    def fine(self) -> bool:
        """One key, in the secret, proven by every living worker of the peer."""
        return self.phase is Phase.STEADY and 0 < self.alive == self.ready


async def key_state(context: OperatorContext, side: Side) -> KeyState:
    """Look at the user's keys here, and at the secret and the workers there."""
    cn, global_ = context.both()
    peer = global_ if side is cn else cn
    keys, promise = await asyncio.gather(side.metrics.keys(), peer.metrics.promise())
    user, alive, ready = side.facts.get("userId", ""), 0, 0
    async for record in peer.ledger.records(WORKER):
        if is_alive(record, context.clock.now()):
            alive += 1
            waits = record.data.get("state") in (State.WAITING_FOR_PEER, State.GUARD_REFUSED)
            ready += not waits and record.data.get("guard") == user
    return KeyState(side=side, keys=keys, promise=promise, alive=alive, ready=ready, now=context.now())


async def until_rotated(context: OperatorContext, side: Side, before: KeyState, seconds: float) -> KeyState:
    """Wait for another key than before, in use by all workers; the last state after `seconds` without that."""
    end = context.clock.now() + seconds
    former = before.promise.key_id if before.promise else ""
    while True:
        now = await key_state(context, side)
        changed = now.promise is not None and now.promise.key_id != former
        if (changed and now.fine) or context.clock.now() >= end:
            return now
        await context.clock.sleep(LOOK_SECONDS)


def commands(stack: str, version: str) -> list[list[str]]:
    """What rotates the key: the next key version, and an update of the side's own stack."""
    return [
        ["pulumi", "config", "set", "dualsync:keyVersion", version, "--stack", stack],
        ["pulumi", "up", "--stack", stack],
    ]


def present_version(project: Path, stack: str) -> int:
    """The stack's `keyVersion`; 1 when it is not set there. Raises `FatalError` without Pulumi."""
    command = ["pulumi", "config", "get", "dualsync:keyVersion", "--stack", stack, "--cwd", str(project)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    except (FileNotFoundError, subprocess.TimeoutExpired):
        raise FatalError("pulumi is not installed here, or does not answer: run this in the program's folder") from None
    text = done.stdout.strip()
    return int(text) if done.returncode == 0 and text.isdigit() else 1


def run(project: Path, steps: Sequence[Sequence[str]]) -> None:
    """Run them in the program's folder; what they say goes to standard error, as standard output is the result's.

    Raises `PermanentError` at the first that fails.
    """
    for step in steps:
        command = [*step, "--cwd", str(project), *(["--yes"] if step[1] == "up" else [])]
        if subprocess.run(command, check=False, stdout=STDERR).returncode:  # noqa: S603
            raise PermanentError(
                "rotation", f"`{' '.join(step)}` failed: mend it and run it again; the old key still works"
            )
