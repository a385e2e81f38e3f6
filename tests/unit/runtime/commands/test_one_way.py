"""Test the commands with a one-way pair, whose destination has only a bucket and a user."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.records import CONFLICT, FINDER_RUN, HELD_DELETION, Record
from dualsync.runtime.operations.context import AccessKey, ExpectedUser
from dualsync.runtime.settings import Direction, SideName
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import FakeSideMetrics, Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL
OLD = 2 * 3600


@pytest.fixture
def operator() -> Operator:
    operator = Operator(direction=Direction.CN_TO_GLOBAL, versioning=Versioning.ENABLED)
    operator.put(CN, "a")
    operator.put(CN, "b")
    operator.settle(CN)
    operator.time.now += OLD
    asyncio.run(operator.heartbeat())
    record(operator, FINDER_RUN, "last", queued=0)
    return operator


def record(operator: Operator, kind: str, id: str, **data: object) -> None:
    asyncio.run(operator.cn.ledger.record(Record(kind, id, int(operator.time.now), data=data)))


def test_destination_is_not_reported_as_missing(operator: Operator) -> None:
    answer = operator.call("status")
    assert answer.code == 0
    assert "All is well." in answer.out
    assert "one-way: global mirrors cn, and nothing is written at cn" in answer.out
    data = operator.call("status", "--json").data
    assert (data["one_way"], [d["name"] for d in data["directions"]]) == ("cn->global", ["cn->global"])
    assert data["problems"] == []
    assert [key["id"] for key in data["directions"][0]["keys"]] == ["AKIAPEER"]


def test_two_way_pair_is_not_reported_as_one_way() -> None:
    assert Operator().call("status", "--json").data["one_way"] is None


def test_unreachable_destination_is_a_note(operator: Operator) -> None:
    context = operator.context(CN, unreachable={GLOBAL: "sign in"})
    found = asyncio.run(_problems(context))
    assert found == ["note cn->global: global is not visible to you"]


def test_missing_stack_of_the_destination_is_a_problem(operator: Operator) -> None:
    assert any("the other side's stack was not found" in p for p in asyncio.run(_problems(operator.context(CN))))


async def _problems(context: Any) -> list[str]:
    from dualsync.runtime.operations.problems import problems
    from dualsync.runtime.operations.status import read_status

    return [f"{p.weight} {p.direction}: {p.what}" for p in problems(await read_status(context))]


def test_status_reports_problems_of_the_destinations_key(operator: Operator) -> None:
    metrics: Any = operator.global_.metrics
    fake: FakeSideMetrics = metrics._metrics
    fake.access = [AccessKey("AKIAOTHER", int(operator.time.now))]
    (found,) = operator.call("status", "--json").data["problems"]
    assert "is inactive, or gone from global's user" in found["what"]
    assert found["remedy"].startswith("`dualsync rotate-key global --run`")
    fake.access = [AccessKey("AKIAPEER", 0), AccessKey("AKIAOTHER", int(operator.time.now))]
    words = [p["what"] for p in operator.call("status", "--json").data["problems"]]
    assert any(what.startswith("the key of global's user is") for what in words)
    assert any(what.startswith("global's user has a second key AKIAOTHER") for what in words)


def test_key_rotation_is_offered_only_for_the_destination(operator: Operator) -> None:
    answer = operator.call("rotate-key", "global")
    assert answer.code == 0
    assert "global's user has one key" in answer.out
    refused = operator.call("rotate-key", "cn")
    assert refused.code == 2
    assert "cn has no dedicated user: the pair is one-way and copies cn->global only" in refused.err
    assert "\n" not in refused.err.strip()


@pytest.mark.parametrize("command", ["pause", "plan", "smoke", "reconcile", "drain"])
def test_commands_refuse_the_other_direction(operator: Operator, command: str) -> None:
    more = ["--yes"] if command in ("pause", "reconcile") else []
    answer = operator.call(command, "global", *more)
    assert answer.code == 2
    assert "direction 'global': the pair is one-way and copies cn->global only" in answer.err


def test_explain_names_the_source_as_the_only_acting_side(operator: Operator) -> None:
    answer = operator.call("explain", "a")
    assert answer.code == 0
    assert "Both sides hold the same version, written at cn." in answer.out
    assert (
        "the destination of a one-way pair: nothing is copied from here" in operator.call("explain", "a", "--json").out
    )


def test_explain_object_that_exists_only_at_the_destination(operator: Operator) -> None:
    operator.put(GLOBAL, "theirs")
    answer = operator.call("explain", "theirs", "--json")
    assert answer.code == 3
    assert answer.data["verdict"] == (
        "The pair is one-way, and cn would do nothing: only at the destination: it stays there."
    )


def test_explain_object_changed_at_the_destination(operator: Operator) -> None:
    operator.put(GLOBAL, "a", b"other")
    verdict = operator.call("explain", "a", "--json").data["verdict"]
    assert verdict.startswith("The worker of cn has yet to copy it to global (the destination holds another version")


def test_verify_accepts_objects_that_exist_only_at_the_destination(operator: Operator) -> None:
    operator.put(GLOBAL, "theirs")
    operator.time.now += OLD
    answer = operator.call("verify", "--json")
    assert (answer.code, answer.data["causes"]) == (0, {"so by the pair's settings": 1})


def test_verify_finds_objects_missing_or_changed_at_the_destination(operator: Operator) -> None:
    operator.delete(GLOBAL, "a")
    operator.put(GLOBAL, "b", b"other")
    operator.time.now += OLD
    answer = operator.call("verify", "--json")
    assert answer.code == 3
    assert answer.data["causes"] == {"changed on one side since both agreed, and not carried yet": 2}
    expiring = replace(operator.cn.settings, remote_expires=True)
    operator.change(CN, settings=expiring)
    assert operator.call("verify", "--json").data["causes"]["so by the pair's settings"] == 1


def test_plan_and_reconcile_run_the_finder_of_the_source(operator: Operator) -> None:
    operator.delete(GLOBAL, "a")
    operator.put(GLOBAL, "theirs")
    operator.time.now += OLD
    answer = operator.call("plan", "--json")
    (found,) = answer.data["plans"]
    assert found["findings"] == [{"key": "a", "why": "missing at the destination", "deletion": False}]
    assert operator.call("reconcile", "--yes").code == 0
    operator.settle(CN)
    assert operator.content(GLOBAL, "a") == b"hello"
    assert operator.content(CN, "theirs") is None


def test_held_deletions_of_the_source_are_listed_and_approved(operator: Operator) -> None:
    operator.brokers[CN].letters.clear()
    operator.delete(CN, "a")
    operator.brokers[CN].letters.clear()
    operator.time.now += OLD
    record(operator, HELD_DELETION, "held", count=1, reason="too many", sample=["deleted here: a"])
    answer = operator.call("deletions", "list", "--live", "--json")
    assert [(d["key"], d["gone_at"], d["kept_at"]) for d in answer.data["pending"]] == [("a", "cn", "global")]
    assert operator.call("deletions", "approve", "--now", "--yes").code == 0
    operator.settle(CN)
    assert operator.content(GLOBAL, "a") is None


def test_rejected_deletion_leaves_the_object_at_the_destination(operator: Operator) -> None:
    operator.delete(CN, "a")
    operator.brokers[CN].letters.clear()
    operator.time.now += OLD
    answer = operator.call("deletions", "reject", "--yes")
    assert answer.code == 0
    assert "1 objects stay at global as its own" in answer.out
    assert operator.call("plan", "--json").data["plans"][0]["findings"] == []
    assert operator.content(GLOBAL, "a") == b"hello"
    assert operator.content(CN, "a") is None


def test_report_and_version_cover_the_only_direction(operator: Operator) -> None:
    report = operator.call("report", "--since", "1h", "--json").data
    assert [d["name"] for d in report["directions"]] == ["cn->global"]
    assert list(operator.call("version", "--json").data["sides"]) == ["cn"]


def test_secret_with_another_user_is_reported(operator: Operator) -> None:
    metrics: Any = operator.cn.metrics
    metrics.promised = ExpectedUser("AKIAPEER", "AIDASOMEONE")
    words = [p["what"] for p in operator.call("status", "--json").data["problems"]]
    assert words == ["the secret promises user AIDASOMEONE, the peer's stack has AIDAGLOBAL"]


def lines_of(text: str) -> dict[str, str]:
    """Return a table's rows, or a text's lines, by the words before the first two spaces."""
    rows = (line.partition("  ") for line in text.splitlines() if line)
    return {name: rest.strip() for name, _, rest in rows}


BOTH_DIRECTIONS = pytest.mark.parametrize("direction", [Direction.CN_TO_GLOBAL, Direction.GLOBAL_TO_CN])


@BOTH_DIRECTIONS
def test_tables_have_no_column_or_row_of_the_other_direction(direction: Direction, tmp_path: Path) -> None:
    operator = Operator(direction=direction)
    source = direction.source
    assert source is not None
    only, other = f"{source}->{source.peer}", f"{source.peer}->{source}"
    asyncio.run(operator.heartbeat())
    page = tmp_path / "page.html"
    assert operator.call("status", "--html", str(page)).code == 0
    for text in (operator.call("status").out, page.read_text().replace("&gt;", ">")):
        assert only in text
        assert other not in text
        assert f"one-way: {source.peer} mirrors {source}" in text
        assert "echoes" not in text
        assert "conflicts" not in text
    asyncio.run(operator.sides[source].ledger.record(Record(CONFLICT, "old", 1, "k", {"loser": "x", "winner": "y"})))
    assert "conflicts" in lines_of(operator.call("status").out), "a conflict from two-way operation is shown"
    answers = [operator.call(*command.split()).out for command in ("pending", "report", "dlq list")]
    for text in answers[:2]:
        assert only in text
    assert all(other not in text for text in answers)


@BOTH_DIRECTIONS
def test_pending_names_the_only_direction_even_for_two_letters(direction: Direction) -> None:
    operator = Operator(direction=direction)
    source = direction.source
    assert source is not None
    letter = (sync_request_codec.encode(SyncRequest("ice", Cause.FINDER)), "archived")
    operator.brokers[source].dead += [letter, letter]
    answer = operator.call("pending")
    assert answer.code == 3
    assert lines_of(answer.out)["ice"].split()[:3] == ["dead", "letter", f"{source}->{source.peer}"]
    assert f"{source}->{source.peer}: 1 key known; messages in the queue: 0" in answer.out
    assert [d["name"] for d in operator.call("pending", "--json").data["directions"]] == [f"{source}->{source.peer}"]


def test_explain_shows_no_ledger_and_no_queue_at_the_destination(operator: Operator) -> None:
    rows = {name: rest.split()[-1:] for name, rest in lines_of(operator.call("explain", "a").out).items()}
    absent = {name for name, last in rows.items() if last == ["–"]}
    assert absent == {"both held", "deleted", "last event", "queue", "dead letters"}
    sides = operator.call("explain", "a", "--json").data["sides"]
    assert (sides["global"]["queue"], sides["global"]["workers"], sides["global"]["ledger"]) == (None, None, None)
    assert sides["cn"]["queue"] == {"visible": 0, "in_flight": 0, "delayed": 0}
    assert sides["cn"]["workers"] == 1


@pytest.mark.parametrize("change", ["deleted", "written"])
def test_explain_expects_no_event_of_the_destination(operator: Operator, change: str) -> None:
    if change == "deleted":
        operator.delete(GLOBAL, "a")
    else:
        operator.put(GLOBAL, "a", b"other")
    operator.put(CN, "unrelated")
    asyncio.run(operator.heartbeat())
    verdict = operator.call("explain", "a", "--json").data["verdict"]
    assert verdict.startswith("The worker of cn has yet to copy it to global (")
    assert verdict.endswith(
        "); no event reports a change at global: the finder's next run sees to it, or `dualsync reconcile`."
    )


def test_explain_expired_copy_is_not_written_again(operator: Operator) -> None:
    operator.delete(GLOBAL, "a")
    operator.change(CN, settings=replace(operator.cn.settings, remote_expires=True))
    answer = operator.call("explain", "a", "--json")
    assert answer.data["verdict"] == (
        "It is only at cn: a lifecycle rule may have expired it at global, so its absence there stays."
        " Write it again at cn to copy it."
    )
    assert operator.call("plan", "--json").data["plans"][0]["findings"] == []
    operator.put(CN, "a", b"newer")
    operator.settle(CN)
    assert operator.content(GLOBAL, "a") == b"newer"


@BOTH_DIRECTIONS
def test_deletions_list_and_approve_cover_the_source_only(direction: Direction) -> None:
    operator = Operator(direction=direction, versioning=Versioning.ENABLED)
    source = direction.source
    assert source is not None
    for key in ("stays", "goes", "theirs"):
        operator.put(source, key)
    operator.settle(source)
    operator.delete(source.peer, "stays")
    operator.delete(source, "goes")
    operator.brokers[source].letters.clear()
    operator.time.now += OLD
    answer = operator.call("deletions", "list", "--live")
    assert answer.code == 3
    assert [line.split()[:3] for line in answer.out.splitlines()[1:2]] == [["goes", source, source.peer]]
    assert "1 pending now" in answer.out
    refused = operator.call("deletions", "approve", str(source.peer), "--now", "--yes")
    assert refused.code == 2
    assert f"the pair is one-way and copies {source}->{source.peer} only; give that" in refused.err
    assert operator.call("deletions", "approve", str(source), "--now", "--yes").code == 0
    operator.settle(source)
    assert operator.content(source.peer, "goes") is None
    assert operator.content(source, "stays") == b"hello"
