"""The credential for the peer's bucket, and the guard that verifies its user and both buckets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dualsync.runtime.errors import CredentialRejectedError, PermanentError, RetryableError
from dualsync.runtime.log import Log, State
from dualsync.runtime.ports import Clock

FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS = 1.0, 60.0
"""Seconds between two reads of the peer's secret: doubling from the first to the last."""


class GuardStatus(StrEnum):
    """Result of the guard's check of the peer's credential."""

    READY = "ready"
    """The key belongs to the expected user, and both buckets are the right ones."""
    NOT_YET = "not yet"
    """There is no secret, or its key is not accepted yet: new keys need up to a minute."""
    REFUSED = "refused"
    """The key belongs to another user than the secret names, so the peer would return its writes as users' writes.
    Or a bucket is not the deployed one, so its missing keys would look like deletions."""


@dataclass(frozen=True, slots=True)
class GuardResult:
    """Result of one check."""

    status: GuardStatus
    """Whether the credential may be used."""

    reason: str = ""
    """Why not, and what to do; empty when it may."""


class Credential(Protocol):
    """The peer's secret, the user of its key, and the clients that use the key."""

    async def expected_user_id(self) -> str | None:
        """Return the `user_id` in the secret: None without a secret, empty if it names none."""

    async def actual_user_id(self) -> str:
        """Return the id of the key's user, from STS. Raises `CredentialRejectedError`, `RetryableError`."""

    async def bucket_problem(self) -> str:
        """Return what is wrong with the buckets (owner or region) or with the ledger's record of them.

        The text is empty if nothing is wrong. Raises `RetryableError`.
        """

    async def use(self) -> None:
        """Use this key for the remote bucket from now on."""


async def check_credential(credential: Credential) -> GuardResult:
    """Check once whether there is a credential and whether it is the peer's dedicated user's."""
    try:
        expected = await credential.expected_user_id()
        if expected is None:
            return GuardResult(GuardStatus.NOT_YET, "the peer's secret is not there yet: deploy the peer's stack")
        if not expected:
            return GuardResult(
                GuardStatus.REFUSED,
                "the peer's secret names no user_id: without it nothing proves that the peer recognises our writes as"
                " echoes; let the peer's stack write the secret, or add user_id to it",
            )
        actual = await credential.actual_user_id()
        wrong = await credential.bucket_problem() if actual == expected else ""
    except CredentialRejectedError as e:
        return GuardResult(GuardStatus.NOT_YET, f"the peer's key is not accepted (new keys need up to a minute): {e}")
    except (RetryableError, PermanentError) as e:
        return GuardResult(GuardStatus.NOT_YET, str(e))
    if actual != expected:
        return GuardResult(
            GuardStatus.REFUSED,
            f"the peer's secret promises user {expected!r}, but its key belongs to {actual!r}: the peer would take our"
            " writes for users' writes and copy them back for ever; let the peer's stack write the secret again",
        )
    if wrong:
        return GuardResult(GuardStatus.REFUSED, wrong)
    return GuardResult(GuardStatus.READY)


async def wait_for_peer(credential: Credential, clock: Clock, log: Log, *, tries: int | None = None) -> GuardStatus:
    """Wait until the credential may be used, and use it. Return the guard's last status after `tries` checks.

    A missing or refused credential is logged and checked again; it never raises.
    """
    pause, announced = FIRST_WAIT_SECONDS, None
    checks = 0
    while True:
        answer = await check_credential(credential)
        checks += 1
        if answer.status is GuardStatus.READY:
            await credential.use()
            return answer.status
        if answer != announced:
            refused = answer.status is GuardStatus.REFUSED
            state = State.GUARD_REFUSED if refused else State.WAITING_FOR_PEER
            log.line("ERROR" if refused else "WARNING", "state", state=state, reason=answer.reason)
            announced = answer
        if tries is not None and checks >= tries:
            return answer.status
        await clock.sleep(pause)
        pause = min(MAX_WAIT_SECONDS, pause * 2)
