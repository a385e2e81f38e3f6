"""The way to the peer's bucket: its credential, the guard that checks whose it is and that both buckets are the right
ones, and waiting until it is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dualsync.runtime.errors import CredentialRejectedError, PermanentError, RetryableError
from dualsync.runtime.log import Log, State
from dualsync.runtime.ports import Clock

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds between two looks for the peer's secret: doubling from the first to the longest."""


class GuardStatus(StrEnum):
    """What the guard says of the peer's credential."""

    READY = "ready"
    NOT_YET = "not yet"
    """No secret, or its key is not known yet: new keys need up to a minute."""
    REFUSED = "refused"
    """The key belongs to somebody else than the secret says: its writes would come back as users' writes, for ever.
    Or a bucket is not the one that was deployed: its emptiness would read as deletions."""


@dataclass(frozen=True, slots=True)
class GuardResult:
    """A verdict with its reason for people."""

    verdict: GuardStatus
    reason: str = ""


class Credential(Protocol):
    """Reads the peer's secret, says whose key it holds, and turns the remote bucket to it."""

    async def user_id_promised(self) -> str | None:
        """The `user_id` in the secret; None while there is no secret, empty when it names none."""

    async def user_id_real(self) -> str:
        """Whose key it is, as STS says. Raises `CredentialRejectedError`, `RetryableError`."""

    async def premises(self) -> str:
        """What is wrong with the buckets that it leads to (their owner or region), or with taking this ledger for
        theirs; empty for nothing. Raises `RetryableError`."""

    async def use(self) -> None:
        """From now on the remote bucket is reached with this key."""


async def inspect(credential: Credential) -> GuardResult:
    """One look: is there a credential, and is it the peer's dedicated user's?"""
    try:
        promised = await credential.user_id_promised()
        if promised is None:
            return GuardResult(GuardStatus.NOT_YET, "the peer's secret is not there yet: deploy the peer's stack")
        if not promised:
            return GuardResult(
                GuardStatus.REFUSED,
                "the peer's secret names no user_id: without it nothing proves that the peer knows our writes as"
                " echoes; let the peer's stack write the secret, or add user_id to it",
            )
        real = await credential.user_id_real()
        wrong = await credential.premises() if real == promised else ""
    except CredentialRejectedError as e:
        return GuardResult(GuardStatus.NOT_YET, f"the peer's key is not accepted (new keys need up to a minute): {e}")
    except (RetryableError, PermanentError) as e:
        return GuardResult(GuardStatus.NOT_YET, str(e))
    if real != promised:
        return GuardResult(
            GuardStatus.REFUSED,
            f"the peer's secret promises user {promised}, but its key belongs to {real}: the peer would take our writes"
            " for users' writes and send them back, for ever; let the peer's stack write the secret again",
        )
    if wrong:
        return GuardResult(GuardStatus.REFUSED, wrong)
    return GuardResult(GuardStatus.READY)


async def wait_for_peer(credential: Credential, clock: Clock, log: Log, *, tries: int | None = None) -> GuardStatus:
    """Come back when the credential is there and the guard agrees; what it says after `tries` looks if not.

    Never raises for a missing or refused credential: it says so, and looks again.
    """
    pause, said = FIRST_WAIT, None
    looked = 0
    while True:
        answer = await inspect(credential)
        looked += 1
        if answer.verdict is GuardStatus.READY:
            await credential.use()
            return answer.verdict
        if answer != said:
            refused = answer.verdict is GuardStatus.REFUSED
            state = State.GUARD_REFUSED if refused else State.WAITING_FOR_PEER
            log.line("ERROR" if refused else "WARNING", "state", state=state, reason=answer.reason)
            said = answer
        if tries is not None and looked >= tries:
            return answer.verdict
        await clock.sleep(pause)
        pause = min(LONGEST_WAIT, pause * 2)
