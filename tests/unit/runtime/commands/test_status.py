"""Test `dualsync status`: state, backlog, problems and their remedies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.log import Outcome, State
from dualsync.runtime.model.records import CONFLICT, DELETION_APPROVAL, FINDER_RUN, HELD_DELETION, Record
from dualsync.runtime.operations.context import AccessKey, ExpectedUser
from dualsync.runtime.service.circuit_breaker import BLOCKED
from dualsync.runtime.service.operator_controls import DirectionControls
from dualsync.runtime.settings import SideName
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord
from tests.support.operator_harness import FakeSideMetrics, Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


@pytest.fixture
def operator() -> Operator:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    for side in operator.sides.values():
        asyncio.run(side.ledger.record(Record(FINDER_RUN, "last", int(operator.time.now), data={"queued": 0})))
    return operator


def record(operator: Operator, side: SideName, kind: str, id: str, **data: object) -> None:
    asyncio.run(operator.sides[side].ledger.record(Record(kind, id, int(operator.time.now), data=data)))


def metrics(operator: Operator, side: SideName) -> FakeSideMetrics:
    found: Any = operator.sides[side].metrics
    assert isinstance(found, FakeSideMetrics)
    return found


def problems(operator: Operator) -> list[str]:
    return [f"{p['weight']} {p['direction']}: {p['what']}" for p in operator.call("status", "--json").data["problems"]]


def test_healthy_pair_exits_with_zero(operator: Operator) -> None:
    answer = operator.call("status")
    assert answer.code == 0
    assert "All is well." in answer.out
    assert "cn->global" in answer.out
    assert "\x1b[" not in answer.out  # no colours in a pipe
    data = operator.call("status", "--json").data
    assert data["healthy"] is True
    assert [d["state"] for d in data["directions"]] == ["RUNNING", "RUNNING"]


def test_json_option_is_accepted_before_and_after_the_command(operator: Operator) -> None:
    assert operator.call("--json", "status").data["pair"] == operator.call("status", "--json").data["pair"] == "p"


def test_counts_and_latencies_are_shown(operator: Operator) -> None:
    operator.put(CN, "a")
    operator.put(CN, "b")
    operator.time.now += 8
    operator.settle()
    operator.delete(CN, "a")
    operator.settle()
    asyncio.run(operator.heartbeat())
    cn, global_ = operator.call("status", "--json").data["directions"]
    assert cn["total"][Outcome.COPIED] == 2
    assert cn["total"][Outcome.DELETED] == 1
    assert global_["total"][Outcome.CANCELLED] == 3
    assert cn["puts"]["count"] == 2
    assert cn["puts"]["median"] == pytest.approx(8, rel=0.2)
    assert cn["deletes"]["count"] == 1


def test_missing_worker_is_a_problem(operator: Operator) -> None:
    operator.time.now += 3600
    answer = operator.call("status")
    assert answer.code == 3
    assert "NO WORKER" in answer.out
    assert "no worker is alive" in answer.out


def test_each_problem_has_a_remedy(operator: Operator) -> None:
    record(operator, CN, HELD_DELETION, "held", count=12, reason="one side is empty")
    record(operator, GLOBAL, CONFLICT, "x", winner="w", loser="l")
    operator.brokers[CN].dead.append(("{}", "archived: restore it first"))
    operator.brokers[CN].dead.append(("{}", "received too often"))
    metrics(operator, CN).age = 5000
    metrics(operator, GLOBAL).access = [AccessKey("AKIA1", int(operator.time.now) - 200 * 86400)]
    metrics(operator, GLOBAL).promised = ExpectedUser("AKIA", "AIDASOMEBODY")
    answer = operator.call("status", "--json")
    assert answer.code == 3
    found = answer.data["problems"]
    assert all(problem["remedy"] for problem in found)
    texts = " | ".join(problem["what"] for problem in found)
    assert "12 deletions are held: one side is empty" in texts
    assert "2 dead letters: archived: restore it first (1); received five times" in texts
    assert "1 conflict resolved" in texts
    assert "has waited 5000 s" in texts
    assert "200 days old" in texts
    assert "promises user AIDASOMEBODY, the peer's stack has AIDACN" in texts
    assert [problem["weight"] for problem in found] == sorted(
        (problem["weight"] for problem in found), key=["stopped", "waiting", "note"].index
    )
    assert len(operator.brokers[CN].dead) == 2


def test_dead_letters_with_similar_reasons_are_grouped(operator: Operator) -> None:
    for number in range(5):
        operator.brokers[CN].dead.append(("{}", f"denied: s3 PutObject b/{number}: AccessDenied"))
    operator.brokers[CN].dead.append(("{}", "archived: restore it first"))
    (problem,) = operator.call("status", "--json").data["problems"]
    text = problem["what"]
    assert text.startswith("6 dead letters: denied, as s3 PutObject b/0: AccessDenied (5); archived: restore it first")
    assert text.count("PutObject") == 1
    listed = operator.call("dlq", "list").out
    assert "5 × denied, as s3 PutObject b/0" in listed


def test_many_applied_deletions_are_noted_with_the_commands_that_restore_them(operator: Operator) -> None:
    for _ in range(1000):
        operator.vitals[CN].line("INFO", "outcome", outcome=Outcome.DELETED, key="k", lag_seconds=1.0)
    asyncio.run(operator.heartbeat())
    assert not problems(operator)
    operator.vitals[CN].line("INFO", "outcome", outcome=Outcome.REMOVED, key="k")
    asyncio.run(operator.heartbeat())
    (problem,) = operator.call("status", "--json").data["problems"]
    assert (problem["weight"], problem["direction"]) == ("note", "cn->global")
    assert problem["what"] == "1001 objects were deleted within the last minute"
    for command in (
        "`dualsync pause cn --wait`",
        "`dualsync deletions reject`",
        "`dualsync deletions restore --since 1h`",
    ):
        assert command in problem["remedy"]


def test_reasons_from_a_sample_of_dead_letters_are_marked_as_such(operator: Operator) -> None:
    for number in range(30):
        operator.brokers[CN].dead.append(("{}", f"denied: s3 PutObject b/{number}: AccessDenied"))
    (problem,) = operator.call("status", "--json").data["problems"]
    assert problem["what"].startswith("30 dead letters: denied, as s3 PutObject b/0: AccessDenied (10 of 10 read)")


@pytest.mark.parametrize(("key", "explained"), [("k", True), (None, False)])
def test_explain_is_offered_only_for_a_message_with_a_key(operator: Operator, key: str | None, explained: bool) -> None:
    fields = {"key": key} if key else {}
    operator.vitals[CN].line(
        "ERROR", "outcome", outcome=Outcome.FAILED, reason="unreadable message: not JSON", **fields
    )
    asyncio.run(operator.heartbeat())
    (problem,) = operator.call("status", "--json").data["problems"]
    assert ("explain" in problem["remedy"]) is explained
    assert "`dualsync dlq list`" in problem["remedy"]


def test_approved_deletions_are_a_note(operator: Operator) -> None:
    record(operator, CN, HELD_DELETION, "held", count=12, reason="too many")
    record(operator, CN, DELETION_APPROVAL, "approval", up_to=12)
    answer = operator.call("status")
    assert answer.code == 0
    assert "12 deletions are approved" in answer.out


def test_refusal_of_all_keys_is_a_problem_to_fix(operator: Operator) -> None:
    """It ends only after an operator has acted, so the remedy is not to wait."""
    reason = f"{BLOCKED}; the last: sqs DeleteMessageBatch q: AccessDenied (403)"
    operator.vitals[CN].line("ERROR", "state", state=State.CIRCUIT_OPEN, reason=reason)
    asyncio.run(operator.heartbeat())
    (found,) = operator.call("status", "--json").data["problems"]
    assert found["what"] == f"nothing is received: {reason}"
    assert "once the cause is fixed (runbook: ServiceBlockedError)" in found["remedy"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.GUARD_REFUSED, "the guard refuses: why"),
        (State.WAITING_FOR_PEER, "waiting for the peer: why"),
        (State.WAITING_FOR_LIST, "waiting for the prefix list: why"),
        (State.CIRCUIT_OPEN, "services do not answer, nothing is received until they do: why"),
    ],
)
def test_state_that_stops_a_direction_is_a_problem(operator: Operator, state: State, words: str) -> None:
    operator.vitals[CN].line("ERROR", "state", state=state, reason="why")
    asyncio.run(operator.heartbeat())
    found = problems(operator)
    assert len(found) == 1
    assert found[0].startswith("stopped cn->global:")
    assert words in found[0]


@pytest.mark.parametrize(("seconds", "weight"), [(5.0, "note"), (930.0, "waiting")])
def test_denied_key_is_reported_with_its_call(operator: Operator, seconds: float, weight: str) -> None:
    why = "s3 PutObject there/k: AccessDenied (403)"
    line = {"outcome": Outcome.POSTPONED, "key": "k", "reason": why, "denied_seconds": seconds}
    operator.vitals[CN].line("WARNING", "outcome", **line)
    asyncio.run(operator.heartbeat())
    assert problems(operator) == [f"{weight} cn->global: access is denied, for {seconds:.0f} s now: 'k' {why}"]
    assert operator.call("status").code == (3 if weight == "waiting" else 0)
    operator.time.now += 1801  # no request was refused since: repaired, or another worker's
    asyncio.run(operator.heartbeat())
    assert problems(operator) == []


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("the peer's secret promises user A, but its key belongs to B", "`pulumi up` of global"),
        ("bucket b is not account 222222222222's", "correct bucket, accountId, region or prefix"),
        ("ledger t is about local prefix 'in/', the settings say ''", "correct bucket, accountId, region or prefix"),
    ],
)
def test_wrong_key_and_wrong_bucket_have_their_own_remedies(operator: Operator, reason: str, remedy: str) -> None:
    operator.vitals[CN].line("ERROR", "state", state=State.GUARD_REFUSED, reason=reason)
    asyncio.run(operator.heartbeat())
    (problem,) = operator.call("status", "--json").data["problems"]
    assert (problem["weight"], problem["what"]) == ("stopped", f"the guard refuses: {reason}")
    assert remedy in problem["remedy"]


def test_revoked_key_is_reported_with_the_rotation_command(operator: Operator) -> None:
    metrics(operator, CN).promised = ExpectedUser("AKIA1", "AIDAGLOBAL")
    metrics(operator, GLOBAL).access = [AccessKey("AKIA1", int(operator.time.now))]
    assert not problems(operator)
    metrics(operator, GLOBAL).access = [AccessKey("AKIA1", int(operator.time.now), active=False)]
    operator.vitals[CN].line("WARNING", "state", state=State.WAITING_FOR_PEER, reason="the key is not accepted")
    asyncio.run(operator.heartbeat())
    (problem,) = operator.call("status", "--json").data["problems"]
    assert problem["weight"] == "stopped"
    assert problem["direction"] == "cn->global"
    assert "AKIA1" in problem["what"]
    assert "`dualsync rotate-key global --run`" in problem["remedy"]


def test_pause_is_reported_with_operator_and_reason(operator: Operator) -> None:
    asyncio.run(operator.cn.ledger.record(DirectionControls(paused=True, by="ann", reason="moving").record(1)))
    assert problems(operator) == ["stopped cn->global: paused by ann: moving"]
    assert operator.call("status", "--json").data["directions"][0]["state"] == "PAUSED"


def test_repeated_worker_crashes_are_reported(operator: Operator) -> None:
    for number in range(20):
        record(operator, CN, "worker", f"done-{number}", state="STOPPED")
        record(operator, CN, "worker", f"old-{number}", state="RUNNING")
    operator.time.now += 4000
    asyncio.run(operator.heartbeat())
    assert not any("crashed" in problem for problem in problems(operator))
    record(operator, CN, "worker", "killed-1", state="RUNNING")
    record(operator, CN, "worker", "killed-2", state="RUNNING")
    record(operator, CN, "worker", "fatal", state="STOPPED", reason="Stop: the bucket is gone")
    operator.time.now += 300
    asyncio.run(operator.heartbeat())
    assert "3 workers crashed within an hour, the last: Stop: the bucket is gone" in problems(operator)[0]
    assert problems(operator)[0].startswith("waiting")
    operator.time.now += 900
    asyncio.run(operator.heartbeat())
    assert problems(operator)[0].startswith("note")


def test_failed_message_is_noted(operator: Operator) -> None:
    operator.vitals[CN].line("ERROR", "outcome", outcome=Outcome.FAILED, reason="unreadable message: not JSON")
    asyncio.run(operator.heartbeat())
    assert problems(operator) == ["note cn->global: a message failed lately: unreadable message: not JSON"]


def test_missing_stack_of_the_other_side_is_a_problem(operator: Operator) -> None:
    answer = operator.call("status", "--json", only=CN)
    assert answer.code == 3
    assert [d["name"] for d in answer.data["directions"]] == ["cn->global"]
    assert "the other side's stack was not found" in answer.data["problems"][0]["what"]


def test_uploads_under_way_are_counted_with_their_size(operator: Operator) -> None:
    plan = UploadRecord(route="local>remote", key="k", target_key="k", size=3 << 30, part_length=8 << 20, upload_id="u")
    asyncio.run(operator.cn.ledger.record(upload_record_codec.encode(plan)))
    asyncio.run(operator.cn.ledger.record(upload_record_codec.encode(replace(plan, target_key="another"))))
    answer = operator.call("status", "--json")
    assert answer.data["directions"][0]["uploads"] == [3 << 30, 3 << 30]
    assert "2, 6.0 GiB" in operator.call("status").out


def test_disabled_side_is_shown_as_disabled() -> None:
    operator = Operator()
    side = operator.sides[CN]
    operator.sides[CN] = replace(side, settings=replace(side.settings, enabled=False))
    metrics(operator, CN).age = 86400
    cn = operator.call("status", "--json").data["directions"][0]
    assert cn["state"] == "DISABLED"
    assert [p for p in problems(operator) if "cn->global" in p] == [
        "stopped cn->global: synchronisation is off (enableSynchronization: false)"
    ]


def test_bucket_without_events_is_reported_with_its_remedy(operator: Operator) -> None:
    now = int(operator.time.now)
    record(operator, GLOBAL, FINDER_RUN, "last", no_events_since=now - 1800, without_event=3)
    (problem,) = operator.call("status", "--json").data["problems"]
    assert problem["direction"] == "global->cn"
    assert problem["what"] == (
        "the bucket of global sends no events: none has come for changes of the last 30 minutes, which only the finder"
        " copies"
    )
    assert "`pulumi up --refresh` of stack global" in problem["remedy"]
    record(operator, GLOBAL, FINDER_RUN, "last", queued=0)
    assert problems(operator) == []
