"""Test a short chaos run, the judgement of recorded histories, and that a seed determines the plan."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualsync.runtime.settings import SideName
from tests.e2e.chaos.__main__ import main, report
from tests.e2e.chaos.plan import (
    KEYS,
    PREFIX,
    VISIBILITY_SECONDS,
    ActionKind,
    FaultGenerator,
    ProcessFault,
    ProxyFault,
    UserAction,
    content,
    process_faults,
    user_actions,
)
from tests.e2e.chaos.record import KeyRecord, Shown, digest, judge_all
from tests.e2e.chaos.run import Result, chaos

A, B = digest(b"a"), digest(b"b")
BOTH = frozenset(("cn", "global"))


def plan_of(seed: int) -> tuple[list[UserAction], list[object], list[ProxyFault]]:
    """Return all actions and faults of a seed."""
    generator = FaultGenerator(seed)
    users = [action for side in SideName for writer in range(2) for action in user_actions(seed, side, writer, 120)]
    return users, list(process_faults(seed, 120)), [generator.fault() for _ in range(2000)]


def test_equal_seeds_give_equal_plans_and_other_seeds_others() -> None:
    assert plan_of(7) == plan_of(7)
    assert plan_of(7) != plan_of(8)


def test_a_plan_has_every_kind_of_action_and_fault_and_different_content_per_version() -> None:
    users, _, faults = plan_of(3)
    written = [action for action in users if action.name]
    assert {action.kind for action in users} == {*ActionKind}
    assert len({action.name for action in written}) == len(written)
    assert content(3, written[0]) == content(3, written[0])
    assert content(3, written[0]) != content(4, written[0])
    assert {action.key for action in users} == {f"{PREFIX}{round}/{key}" for round in range(6) for key in range(KEYS)}
    assert {*faults} == {*ProxyFault}
    assert {one.fault for one in process_faults(3, 40)} == {*ProcessFault}
    assert all(one.seconds > VISIBILITY_SECONDS for one in process_faults(3, 300))


def written(record: KeyRecord) -> None:
    """Let a user write a version and a worker copy it; the ledger records it."""
    record.user_wrote("cn", "a", A, 10, "ea", "", upload=False)
    record.worker_wrote("global", "a", "ea")


def overwritten(record: KeyRecord) -> None:
    """Let a user of the other side overwrite the copy."""
    written(record)
    record.user_wrote("global", "b", B, 12, "eb", "ea", upload=False)


def deleted(record: KeyRecord) -> None:
    """Let a user of the other side delete the copy."""
    written(record)
    record.user_deleted("global", 12, "ea")


def deleted_unread(record: KeyRecord) -> None:
    """Let a user delete a copy before the ledger has recorded it; a worker writes it again."""
    written(record)
    record.user_deleted("global", 12, "")
    record.worker_wrote("global", "a", "ea")


def crossed(record: KeyRecord) -> None:
    """Let users of both sides write before any worker does."""
    record.user_wrote("cn", "a", A, 10, "ea", "", upload=False)
    record.user_wrote("global", "b", B, 12, "eb", "", upload=False)


def echoed(record: KeyRecord) -> None:
    """Let a worker copy its own copy back, which is a fault."""
    written(record)
    record.worker_wrote("cn", "a", "ea")


@pytest.mark.parametrize(
    ("happens", "cn", "there", "wrong"),
    [
        (written, ("a", A), ("a", A), ""),
        (written, ("a", A), None, "the sides differ"),
        (written, None, None, "a is lost"),
        (written, ("a", B), ("a", B), "no user wrote this content"),
        (overwritten, ("b", B), ("b", B), ""),
        (overwritten, ("a", A), ("a", A), "a is back"),
        (deleted, None, None, ""),
        (deleted, ("a", A), ("a", A), "a is back"),
        (crossed, ("b", B), ("b", B), ""),
        (crossed, ("a", A), ("a", A), "a should have lost"),
        (echoed, ("a", A), ("a", A), "an echo was written"),
    ],
)
def test_a_final_state_is_judged_by_the_versions_that_users_wrote(
    happens: Callable[[KeyRecord], None], cn: Shown, there: Shown, wrong: str
) -> None:
    record = KeyRecord("k", BOTH)
    happens(record)
    verdict = judge_all({"k": record}, {"k": {"cn": cn, "global": there}})
    assert bool(verdict.wrong) == bool(wrong)
    assert wrong in " ".join(verdict.wrong.get("k", ()))
    assert not verdict.excused


def test_a_documented_exception_is_named_and_not_wrong() -> None:
    record = KeyRecord("k", frozenset())
    deleted_unread(record)
    verdict = judge_all({"k": record}, {"k": {"cn": ("a", A), "global": ("a", A)}})
    assert not verdict.wrong
    assert dict(verdict.excused) == {"copy deleted before its echo was read, and no version kept": 1}


def test_a_key_that_no_user_wrote_is_wrong() -> None:
    verdict = judge_all({}, {"k": {"cn": ("a", A), "global": None}})
    assert "no user wrote this key" in verdict.wrong["k"][0]
    assert not Result(1, True, verdict=verdict).good


def test_a_run_without_judged_keys_fails() -> None:
    assert not Result(1, True).good


def test_a_wrong_key_is_reported_with_its_history() -> None:
    record = KeyRecord("k", BOTH)
    deleted(record)
    result = Result(5, True, verdict=judge_all({"k": record}, {"k": {"cn": ("a", A), "global": ("a", A)}}))
    text = report(result, 1)
    assert "WRONG k" in text
    assert "global: a user deletes (second 12)" in text
    assert "1 keys, 3 changes, 1 keys wrong" in text


def test_an_invalid_duration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0"]) == 2
    assert "use a number from 0.2 to 600" in capsys.readouterr().err


def test_a_run_of_half_a_minute_ends_with_equal_sides() -> None:
    result = chaos(1, 24, versioned=True)
    assert result.good, report(result, 0)
    assert result.verdict.judged >= KEYS
    assert sum(result.actions.values()) > 30
    assert sum(result.faults.values()) > 20
    assert result.process_faults[ProcessFault.STOP] >= 1
    assert result.process_faults[ProcessFault.KILL] >= 1
