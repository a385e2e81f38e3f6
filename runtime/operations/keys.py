"""A dedicated user's key: its age, the workers that use it, and the state of its rotation."""

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

POLL_SECONDS = 5.0
STDERR = 2


class Phase(StrEnum):
    """The state of the key."""

    STEADY = "steady"
    """One key, and the secret names it."""
    ROTATING = "rotating"
    """Two keys: a rotation is under way, or one was interrupted and must be completed before the next."""
    SECOND_KEY = "second-key"
    """Two keys, and neither secret nor stack names the other: made by hand, or by an interrupted `pulumi up`."""
    BROKEN = "broken"
    """The secret in the peer's account names a key that the user does not have."""
    ROLE = "role"
    """The peer acts as a role: there is no key to rotate."""
    UNKNOWN = "unknown"
    """This operator may not read the user's keys or the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKeyState:
    """The key of `side`'s dedicated user, which the peer's workers write with. It holds no secret."""

    side: Side
    """The side of the user."""
    keys: Sequence[AccessKey] | None
    """The user's keys."""
    expected_user: ExpectedUser | None
    """What the secret in the peer's account states."""
    alive: int
    """Living workers of the peer."""
    ready: int
    """Those of them that have proven the key, and are not waiting for another."""
    now: int = 0
    """Seconds since the epoch."""

    @property
    def phase(self) -> Phase:
        """The state of the key."""
        if self.keys is None or self.expected_user is None:
            return Phase.UNKNOWN
        if self.expected_user.role_arn:
            return Phase.ROLE
        active = [key.id for key in self.keys if key.active]
        if self.expected_user.key_id not in active:
            return Phase.BROKEN
        if len(self.keys) == 1:
            return Phase.STEADY
        return Phase.SECOND_KEY if self.side.facts.get("keyId") == self.expected_user.key_id else Phase.ROTATING

    @property
    def unnamed_keys(self) -> list[AccessKey]:
        """Keys that the secret does not name."""
        return [
            key for key in self.keys or () if self.expected_user is not None and key.id != self.expected_user.key_id
        ]

    @property
    def key_in_use(self) -> AccessKey | None:
        """The key that the secret names."""
        if self.expected_user is None:
            return None
        return next((key for key in self.keys or () if key.id == self.expected_user.key_id), None)

    @property
    def age(self) -> int | None:
        """Seconds since the key in use was made."""
        return self.now - self.key_in_use.created if self.key_in_use else None

    @property
    def is_healthy(self) -> bool:
        """One key, in the secret, or the role; proven by every living worker of the peer."""
        return self.phase in (Phase.STEADY, Phase.ROLE) and 0 < self.alive == self.ready


async def key_state(context: OperatorContext, side: Side) -> AccessKeyState:
    """Read the user's keys here, and the secret and the workers at the peer.

    Raises `FatalError` for a one-way pair's source, which has no such user.
    """
    cn, global_ = context.both()
    if not side.settings.direction.receives(side.name):
        raise FatalError(
            f"{side.name} has no dedicated user: the pair is one-way and copies {context.one_way} only; use"
            f" `dualsync rotate-key {side.name.peer}`"
        )
    peer = global_ if side is cn else cn
    keys, promise = await asyncio.gather(side.metrics.access_keys(), peer.metrics.expected_user())
    user, alive, ready = side.facts.get("userId", ""), 0, 0
    async for record in peer.ledger.records(WORKER):
        if is_alive(record, context.clock.now()):
            alive += 1
            waits = record.data.get("state") in (State.WAITING_FOR_PEER, State.GUARD_REFUSED)
            ready += not waits and record.data.get("guard") == user
    return AccessKeyState(side=side, keys=keys, expected_user=promise, alive=alive, ready=ready, now=context.now())


async def until_rotated(context: OperatorContext, side: Side, before: AccessKeyState, seconds: float) -> AccessKeyState:
    """Wait for another key than before, in use by all workers; return the last state after `seconds`."""
    end = context.clock.monotonic() + seconds
    former = before.expected_user.key_id if before.expected_user else ""
    while True:
        now = await key_state(context, side)
        changed = now.expected_user is not None and now.expected_user.key_id != former
        if (changed and now.is_healthy) or context.clock.monotonic() >= end:
            return now
        await context.clock.sleep(POLL_SECONDS)


def rotation_commands(stack: str, version: str) -> list[list[str]]:
    """Return the commands that rotate the key: the next key version, and an update of the side's own stack."""
    return [
        ["pulumi", "config", "set", "dualsync:keyVersion", version, "--stack", stack],
        ["pulumi", "up", "--stack", stack],
    ]


def delete_command(state: AccessKeyState, profile: str) -> list[str]:
    """Return the command that deletes the key which neither secret nor stack names."""
    user = state.side.facts.get("userName", "")
    command = ["aws", "iam", "delete-access-key", "--user-name", user, "--access-key-id", state.unnamed_keys[0].id]
    return [*command, *(["--profile", profile] if profile else [])]


def clear_command(stack: str) -> list[str]:
    """Return the command that removes a half-made key of an interrupted `pulumi up` from the stack's state."""
    return ["pulumi", "refresh", "--clear-pending-creates", "--stack", stack]


def refuse_role(side: str) -> None:
    """Raise `PermanentError`: there is no access key."""
    raise PermanentError(
        "rotation",
        f"side {side!r}: its peer acts as a role, which has no access key; to renew the keys that sign, follow the"
        " runbook: Renew the signing keys",
    )


def present_version(project: Path, stack: str) -> int:
    """Return the stack's `keyVersion`; 1 when it is not set there. Raises `FatalError` without Pulumi."""
    command = ["pulumi", "config", "get", "dualsync:keyVersion", "--stack", stack, "--cwd", str(project)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    except (FileNotFoundError, subprocess.TimeoutExpired):
        raise FatalError("pulumi is not installed here, or does not answer: run this in the program's folder") from None
    text = done.stdout.strip()
    return int(text) if done.returncode == 0 and text.isdigit() else 1


def run_commands(project: Path, steps: Sequence[Sequence[str]]) -> None:
    """Run them in the program's folder. Their output goes to standard error, as standard output holds the result.

    Raises `PermanentError` at the first that fails.
    """
    for step in steps:
        command = [*step, "--cwd", str(project), *(["--yes"] if step[1] in ("up", "refresh") else [])]
        if subprocess.run(command, check=False, stdout=STDERR).returncode:  # noqa: S603
            raise PermanentError(
                "rotation",
                f"`{' '.join(step)}` failed: repair the cause and run it again; the old key still works",
            )
