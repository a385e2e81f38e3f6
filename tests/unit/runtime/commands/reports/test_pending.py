"""Test `dualsync pending`: it lists unfinished keys from ledgers, dead letters and logs, and counts other messages."""

from __future__ import annotations

import asyncio
from typing import Any

from dualsync.runtime.errors import AccessDeniedError
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.records import APPROVAL_ID, DELETION_APPROVAL, HELD_DELETION, HELD_ID, Record
from dualsync.runtime.operations.context import Depth
from dualsync.runtime.operations.reports import pending
from dualsync.runtime.settings import SideName
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord
from tests.support.lost_ledger import lose_ledger
from tests.support.operator_harness import Operator

CN = SideName.CN
UPLOAD = UploadRecord(
    route="local>remote", key="big.iso", target_key="big.iso", size=100, part_length=30, started=1_790_000_000, parts=2
)
HELD = Record(HELD_DELETION, HELD_ID, 1_790_000_100, data={"count": 4711, "sample": ["gone at the peer: a: b.txt"]})


def line(key: str, outcome: str, reason: str = "") -> dict[str, Any]:
    return {"event": "outcome", "outcome": outcome, "key": key, "reason": reason, "time": "2026-09-21T14:13:20Z"}


def record(operator: Operator, *records: Record) -> None:
    for each in records:
        asyncio.run(operator.cn.ledger.record(each))


def keys(operator: Operator, side: int = 0) -> list[tuple[str, str, str]]:
    found = operator.call("pending", "--json").data["directions"][side]["keys"]
    return [(key["key"], key["state"], key["reason"]) for key in found]


def test_nothing_is_pending_in_an_idle_pair() -> None:
    answer = Operator().call("pending")
    assert answer.code == 0
    assert "cn->global: 0 keys known; messages in the queue: 0" in answer.out


def test_keys_of_all_sources_are_listed_in_order_of_state() -> None:
    operator = Operator()
    history: Any = operator.cn.history
    history.lines += [
        line("slow", "postponed", "SlowDown"),
        line("done", "postponed"),
        line("broken", "failed", "an error"),
        line("slow", "postponed", "SlowDown again"),
        line("done", "copied"),
        line("parts", "carried"),
    ]
    operator.brokers[CN].dead.append((sync_request_codec.encode(SyncRequest("ice", Cause.FINDER)), "archived"))
    record(operator, upload_record_codec.encode(UPLOAD), HELD)
    assert keys(operator) == [
        ("big.iso", "upload under way", "2 of 4 parts when last noted, 100 bytes"),
        ("a: b.txt", "deletion held", "gone at the peer"),
        ("ice", "dead letter", "archived"),
        ("broken", "postponed", "an error"),
        ("parts", "postponed", ""),
        ("slow", "postponed", "SlowDown again"),
    ]
    assert keys(operator, 1) == []
    answer = operator.call("pending")
    assert answer.code == 3
    assert "cn->global: 6 keys known, 4711 deletions held" in answer.out.replace("\u202f", "")
    assert "since 2026-09-21" not in answer.out
    assert "09-21 14:13" in answer.out


def test_deletion_held_by_both_sides_is_one_row() -> None:
    operator = Operator()
    record(operator, HELD)
    asyncio.run(operator.global_.ledger.record(HELD))
    out = operator.call("pending").out
    assert out.count("a: b.txt") == 1
    assert "both" in out


def test_approved_deletions_are_not_pending() -> None:
    operator = Operator()
    record(operator, HELD, Record(DELETION_APPROVAL, APPROVAL_ID, 1_790_000_200))
    assert keys(operator) == []
    assert operator.call("pending").code == 0


def test_messages_without_a_key_are_counted() -> None:
    operator = Operator()
    metrics: Any = operator.cn.metrics

    async def depth() -> Depth:
        return Depth(visible=3, in_flight=2, delayed=1)

    metrics.queue_depth = depth
    assert "cn->global: 0 keys known; messages in the queue: 6" in operator.call("pending").out
    assert operator.call("pending", "--json").data["directions"][0]["messages"] == 6


def test_unreadable_sources_are_named() -> None:
    operator = Operator()
    history, dead, metrics = (
        operator.cn.history,
        operator.cn.dead_letter_queue,
        operator.cn.metrics,
    )  # type: Any, Any, Any
    history.hidden = True

    async def denied(*_: Any) -> Any:
        raise AccessDeniedError("sqs:ReceiveMessage is denied")

    dead.hold, metrics.queue_depth = denied, denied
    text = " ".join(operator.call("pending").out.split())
    assert "cn->global: not listed: dead letters: sqs:ReceiveMessage is denied" in text
    assert "cn->global: not listed: postponed keys: the logs are not visible to you" in text
    assert "cn->global: 0 keys known; messages in the queue: unknown" in text
    assert "global->cn: 0 keys known; messages in the queue: 0" in text


def test_missing_ledger_leaves_the_other_sources_and_direction() -> None:
    operator = Operator()
    operator.brokers[CN].dead.append((sync_request_codec.encode(SyncRequest("ice", Cause.FINDER)), "archived"))
    asyncio.run(operator.global_.ledger.record(upload_record_codec.encode(UPLOAD)))
    lose_ledger(operator)
    answer = operator.call("pending")
    text = " ".join(answer.out.split())
    assert "cn->global: not listed: uploads under way and held deletions: the ledger can't be read: dynamodb" in text
    assert keys(operator) == [("ice", "dead letter", "archived")]
    assert keys(operator, 1) == [("big.iso", "upload under way", "2 of 4 parts when last noted, 100 bytes")]


def test_unreadable_upload_record_is_named_and_the_others_are_listed() -> None:
    operator = Operator()
    bad = upload_record_codec.encode(UPLOAD)
    record(operator, Record(bad.kind, "bad", bad.time, "k", {**bad.data, "size": "x"}), bad)
    assert [key for key, *_ in keys(operator)] == ["big.iso"]
    assert "the record of the upload of 'k' is unreadable" in operator.call("pending").out
    assert operator.call("explain", "k").code != 1


def test_truncated_list_reports_how_much_it_leaves_out(monkeypatch: Any) -> None:
    operator = Operator()
    history: Any = operator.cn.history
    history.lines += [line(f"k{number}", "postponed") for number in range(3)]
    operator.brokers[CN].dead.extend((sync_request_codec.encode(SyncRequest(f"d{n}", Cause.FINDER)), "") for n in "12")
    monkeypatch.setattr(pending, "MAX_LOG_LINES", 3)
    monkeypatch.setattr(pending, "MAX_LETTERS", 2)
    unseen = operator.call("pending", "--json").data["directions"][0]["unseen"]
    assert unseen == ["dead letters beyond the first 2", "postponed keys beyond 3 log lines of the last 35 minutes"]
    answer = operator.call("pending", "--limit", "1")
    assert "… and 4 more: --limit, or --json for all" in answer.out


def test_keys_print_no_control_characters() -> None:
    operator = Operator()
    history: Any = operator.cn.history
    history.lines += [line("a\x1b[2Jb", "postponed", "[red]x[/red]")]
    out = operator.call("pending").out
    assert "\x1b" not in out
    assert "[red]x[/red]" in out


def test_two_dead_letters_of_a_key_are_one_row() -> None:
    operator = Operator()
    letter = (sync_request_codec.encode(SyncRequest("ice", Cause.FINDER)), "archived")
    operator.brokers[CN].dead += [letter, letter]
    (row,) = [line for line in operator.call("pending").out.splitlines() if line.startswith("ice")]
    assert row.split()[1:4] == ["dead", "letter", "cn->global"]
    assert "cn->global: 1 key known" in operator.call("pending").out
