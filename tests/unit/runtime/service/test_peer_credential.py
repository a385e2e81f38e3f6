"""Test the check of the peer's credential, and the wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from dualsync.runtime.errors import (
    CredentialRejectedError,
    DualSyncError,
    FatalError,
    PermanentError,
    ThrottledError,
    UnavailableError,
)
from dualsync.runtime.log import State
from dualsync.runtime.service.peer_credential import GuardStatus, check_credential, wait_for_peer
from tests.support.builders import Lines
from tests.support.fakes.gate import run

PEER, STRANGER = "AIDAPEER", "AIDASTRANGER"
Answer = str | None | DualSyncError


@dataclass
class Credential:
    """A credential with (promised, real) answers in order; the last one repeats."""

    answers: Sequence[tuple[Answer, Answer]]
    checks: int = 0
    used: int = 0
    wrong: str = ""

    async def expected_user_id(self) -> str | None:
        self.checks += 1
        return self._answer(0)

    async def actual_user_id(self) -> str:
        return self._answer(1) or ""

    async def bucket_problem(self) -> str:
        return self.wrong

    async def use(self) -> None:
        self.used += 1

    def _answer(self, which: int) -> str | None:
        answer_given = self.answers[min(self.checks, len(self.answers)) - 1][which]
        if isinstance(answer_given, DualSyncError):
            raise answer_given
        return answer_given


@dataclass
class Clock:
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return sum(self.slept)

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


READY: tuple[Answer, Answer] = (PEER, PEER)
MISSING: tuple[Answer, Answer] = (None, None)


@pytest.mark.parametrize(
    ("promised", "real", "verdict", "reason"),
    [
        (PEER, PEER, GuardStatus.READY, ""),
        (None, None, GuardStatus.NOT_YET, "secret is not there yet"),
        (PEER, CredentialRejectedError("InvalidClientTokenId"), GuardStatus.NOT_YET, "InvalidClientTokenId"),
        (CredentialRejectedError("no JSON"), None, GuardStatus.NOT_YET, "no JSON"),
        (UnavailableError("time-out"), None, GuardStatus.NOT_YET, "time-out"),
        (PEER, ThrottledError("slow down"), GuardStatus.NOT_YET, "slow down"),
        (PEER, PermanentError("RegionDisabled", "sts"), GuardStatus.NOT_YET, "RegionDisabled"),
        ("", PEER, GuardStatus.REFUSED, "names no user_id"),
        (PEER, STRANGER, GuardStatus.REFUSED, f"promises user '{PEER}', but its key belongs to '{STRANGER}'"),
        (PEER, f"{PEER}:session", GuardStatus.REFUSED, "belongs to"),
        (PEER, "", GuardStatus.REFUSED, "belongs to"),
    ],
)
def test_status_of_the_credential_and_its_reason(
    promised: Answer, real: Answer, verdict: GuardStatus, reason: str
) -> None:
    answer = run(check_credential(Credential([(promised, real)])))
    assert answer.status is verdict
    assert reason in answer.reason


def test_ready_credential_is_used_at_once_without_a_log_line() -> None:
    credential, clock, log = Credential([READY]), Clock(), Lines()
    assert run(wait_for_peer(credential, clock, log)) is GuardStatus.READY
    assert (credential.used, clock.slept, log.kept) == (1, [], [])


def test_wait_grows_and_is_logged_once() -> None:
    credential, clock, log = Credential([MISSING] * 9 + [READY]), Clock(), Lines()
    assert run(wait_for_peer(credential, clock, log)) is GuardStatus.READY
    assert clock.slept == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [line["state"] for line in log.of("state")] == [State.WAITING_FOR_PEER]
    assert credential.used == 1


def test_each_new_reason_is_logged() -> None:
    credential, log = Credential([MISSING, (PEER, STRANGER), (PEER, STRANGER), MISSING, READY]), Lines()
    assert run(wait_for_peer(credential, Clock(), log)) is GuardStatus.READY
    assert [(level, fields["state"]) for level, _, fields in log.kept] == [
        ("WARNING", State.WAITING_FOR_PEER),
        ("ERROR", State.GUARD_REFUSED),
        ("WARNING", State.WAITING_FOR_PEER),
    ]


def test_refused_credential_is_never_used() -> None:
    credential, clock = Credential([(PEER, STRANGER)]), Clock()
    assert run(wait_for_peer(credential, clock, Lines(), tries=20)) is not GuardStatus.READY
    assert (credential.used, credential.checks, len(clock.slept)) == (0, 20, 19)


def test_wait_ends_after_the_given_tries() -> None:
    credential, clock = Credential([MISSING]), Clock()
    assert run(wait_for_peer(credential, clock, Lines(), tries=3)) is not GuardStatus.READY
    assert (credential.checks, clock.slept) == (3, [1, 2])


def test_fatal_error_ends_the_wait() -> None:
    with pytest.raises(FatalError, match="wrong region"):
        run(wait_for_peer(Credential([(FatalError("wrong region"), None)]), Clock(), Lines()))


def test_wrong_buckets_are_refused_and_checked_only_with_a_proven_key() -> None:
    wrong = Credential([READY], wrong="bucket b is not account 2's")
    answer = run(check_credential(wrong))
    assert (answer.status, answer.reason) == (GuardStatus.REFUSED, "bucket b is not account 2's")
    stranger = Credential([(PEER, STRANGER)], wrong="never asked")
    assert "belongs to" in run(check_credential(stranger)).reason
