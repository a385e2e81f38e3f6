"""Test `dualsync explain`: one sentence says why an object is, or is not, on both sides."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dualsync.runtime.log import State
from dualsync.runtime.model.ledger_entry import LedgerEntry
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.records import HELD_DELETION, Record
from dualsync.runtime.service.operator_controls import DirectionControls
from dualsync.runtime.settings import SideName
from dualsync.runtime.transfer import upload_record_codec
from dualsync.runtime.transfer.upload_record import UploadRecord
from tests.support.fakes.version import Versioning
from tests.support.operator_harness import FakeHistory, Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


@pytest.fixture
def operator() -> Operator:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    return operator


def verdict(operator: Operator, key: str = "k") -> str:
    asyncio.run(operator.heartbeat())
    return str(operator.call("explain", key, "--json").data["verdict"])


def forget_events(operator: Operator) -> None:
    for broker in operator.brokers.values():
        broker.letters.clear()


def test_synced_object_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    operator.settle()
    answer = operator.call("explain", "k", "--json")
    assert answer.code == 0
    assert answer.data["verdict"] == "Both sides hold the same version, written at cn."
    cn, global_ = answer.data["sides"]["cn"], answer.data["sides"]["global"]
    assert (cn["replica"], global_["replica"]) == (False, True)
    assert cn["identity"] == global_["identity"]
    assert global_["ledger"]["agreed"]["identity"]["origin"] == "cn"
    text = operator.call("explain", "k").out
    assert "Both sides hold the same version" in text
    assert "none: written by a user" in text


def test_explain_changes_nothing(operator: Operator) -> None:
    operator.put(CN, "k")
    before = (len(operator.brokers[CN].letters), operator.stores[GLOBAL].rows())
    operator.call("explain", "k")
    assert (len(operator.brokers[CN].letters), operator.stores[GLOBAL].rows()) == before


def test_object_waiting_in_the_queue_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    answer = operator.call("explain", "k")
    assert answer.code == 3
    assert (
        "The worker of cn has yet to copy it to global (new here); its message is probably among the 1 in cn's queue"
        in answer.out
    )


def test_lost_event_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    forget_events(operator)
    assert "its event may still be on its way" in verdict(operator)
    operator.time.now += 3600
    assert "its event was lost: the finder's next run sees to it" in verdict(operator)


def test_pause_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    asyncio.run(operator.cn.ledger.record(DirectionControls(paused=True, by="ann").record(1)))
    assert "cn->global is paused by ann: `dualsync resume cn`" in verdict(operator)


def test_missing_worker_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    operator.time.now += 3600
    assert "no worker of cn is alive" in operator.call("explain", "k").out


def test_dead_letter_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    (letter,) = operator.brokers[CN].letters.values()
    operator.brokers[CN].dead.append((letter.body, "archived: restore it first"))
    forget_events(operator)
    assert verdict(operator) == "A message about it is a dead letter at cn: archived: restore it first."


def test_synced_deletion_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    operator.settle()
    operator.delete(CN, "k")
    operator.settle()
    answer = operator.call("explain", "k")
    assert answer.code == 0
    assert "It is on neither side: it was deleted, and the ledger of" in answer.out


def test_unknown_key_is_explained(operator: Operator) -> None:
    assert "no ledger has the key" in verdict(operator, "nothing/here")


def test_delete_marker_is_explained() -> None:
    operator = Operator(versioning=Versioning.ENABLED)
    operator.put(CN, "k")
    operator.delete(CN, "k")
    forget_events(operator)
    assert "a delete marker covers it" in verdict(operator)
    assert len(operator.call("explain", "k", "--json").data["sides"]["cn"]["versions"]) == 2


def test_pending_deletion_names_the_side_where_it_happened(operator: Operator) -> None:
    operator.put(CN, "k")
    operator.settle()
    operator.delete(GLOBAL, "k")
    assert "The worker of global has yet to delete it at cn" in verdict(operator)
    asyncio.run(operator.global_.ledger.record(DirectionControls(paused=True, by="ann").record(1)))
    assert "`dualsync resume global`" in verdict(operator)


def test_key_absent_on_both_sides_needs_nothing(operator: Operator) -> None:
    assert "nothing: gone on both sides" in operator.call("explain", "never").out
    assert "0 messages, 1 worker " in operator.call("explain", "never").out


def test_held_deletion_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    operator.settle()
    operator.delete(CN, "k")
    forget_events(operator)
    record = Record(HELD_DELETION, "held", 1, data={"count": 1})
    asyncio.run(operator.cn.ledger.record(record))
    asyncio.run(operator.global_.ledger.record(record))
    assert "holds its deletions until an operator decides" in verdict(operator)


def test_last_decisions_are_listed(operator: Operator) -> None:
    line = {"event": "outcome", "key": "k", "outcome": "postponed", "reason": "changed under it", "time": "then"}
    operator.change(CN, history=FakeHistory([line]))
    assert "postponed  changed under it" in operator.call("explain", "k").out


def test_brackets_and_control_characters_are_shown_as_text(operator: Operator) -> None:
    out = operator.call("explain", "a[bold]b\x1b[31m").out
    assert "a[bold]b\\x1b[31m" in out


def test_upload_under_way_is_explained(operator: Operator) -> None:
    operator.put(CN, "k", b"x" * 30)
    asyncio.run(_begin(operator, "k"))
    assert verdict(operator).endswith("it is on its way: 1 of 3 parts are there.")
    answer = operator.call("explain", "k", "--json")
    (upload,) = answer.data["sides"]["cn"]["uploads"]
    assert (upload["route"], upload["parts"], upload["of"]) == ("local>remote", 1, 3)
    assert answer.data["sides"]["global"]["uploads"] == []
    assert "1 of 3 parts are there" in operator.call("explain", "k").out
    operator.stores[GLOBAL].uploads.clear()
    assert "parts are there" not in verdict(operator)


async def _begin(operator: Operator, key: str) -> None:
    store = operator.stores[GLOBAL]
    upload_id = store.create_upload(key)
    store.put_part(upload_id, 2, b"y" * 10)
    plan = UploadRecord(
        route="local>remote",
        key=key,
        target_key=key,
        etag="e",
        size=30,
        part_length=10,
        stamp="",
        attributes="",
        upload_id=upload_id,
    )
    await operator.cn.ledger.record(upload_record_codec.encode(plan))
    await operator.cn.ledger.record(upload_record_codec.encode(replace(plan, key="other", target_key="other")))


@pytest.mark.parametrize(
    "text",
    [
        "in/a b.txt",
        "/in/a b.txt",
        "s3://bucket-cn/in/a b.txt",
        "s3://bucket-global/in/a b.txt",
        "in/a%20b.txt",
        "a b.txt",
    ],
)
def test_pasted_key_or_uri_is_resolved(text: str) -> None:
    operator = Operator(local_prefix="in/", remote_prefix="in/")
    asyncio.run(operator.heartbeat())
    operator.put(CN, "in/a b.txt")
    answer = operator.call("explain", text, "--json")
    assert answer.data["key"] == "a b.txt"
    assert answer.data["sides"]["cn"]["object"] is not None


def test_existing_key_that_begins_with_the_prefix_is_preferred() -> None:
    operator = Operator(local_prefix="in/", remote_prefix="in/")
    operator.put(CN, "in/in/k")
    assert operator.call("explain", "in/k", "--json").data["key"] == "in/k"


def test_object_outside_the_prefix_is_explained() -> None:
    operator = Operator(local_prefix="in/", remote_prefix="in/")
    operator.put(CN, "other/k")
    for text in ("other/k", "/other/k", "s3://bucket-cn/other/k"):
        answer = operator.call("explain", text, "--json")
        assert answer.code == 3
        assert "'in/'" in answer.data["verdict"]
        assert "outside the synchronised prefix" in answer.data["verdict"]
        assert "it is at cn" in answer.data["verdict"]


@pytest.mark.parametrize("text", ["s3://bucket-cn", "s3://bucket-cn/"])
def test_uri_without_a_key_is_refused(operator: Operator, text: str) -> None:
    answer = operator.call("explain", text)
    assert answer.code == 2
    assert "names a bucket and no object; give s3://bucket-cn/KEY" in answer.err


def test_prefix_itself_is_no_key_below_it() -> None:
    operator = Operator(local_prefix="in/", remote_prefix="in/")
    operator.put(CN, "in/")
    answer = operator.call("explain", "s3://bucket-cn/in/", "--json")
    assert (answer.code, answer.data["same"]) == (3, None)
    assert answer.data["verdict"] == "in/ is the synchronised prefix itself, and is not synchronised."


def test_uri_of_another_bucket_is_refused(operator: Operator) -> None:
    answer = operator.call("explain", "s3://elsewhere/k")
    assert answer.code == 2
    assert "bucket 'elsewhere' is not of this pair; give a key of bucket-cn or bucket-global" in answer.err


def test_incomplete_upload_of_a_user_is_explained(operator: Operator) -> None:
    async def begin() -> None:
        await operator.cn.bucket.create_upload("k", Attributes(), None)

    asyncio.run(begin())
    operator.time.now += 130
    text = verdict(operator)
    assert "an upload of it was begun at cn 2 min ago" in text
    assert "not complete" in text


def test_held_deletion_is_named_before_a_pause(operator: Operator) -> None:
    operator.put(CN, "k")
    operator.settle()
    operator.delete(CN, "k")
    forget_events(operator)
    asyncio.run(operator.cn.ledger.record(Record(HELD_DELETION, "held", 1, data={"count": 1})))
    asyncio.run(operator.cn.ledger.record(DirectionControls(paused=True, by="ann").record(1)))
    assert "holds its deletions until an operator decides" in verdict(operator)


def test_open_circuit_is_explained(operator: Operator) -> None:
    operator.put(CN, "k")
    operator.vitals[CN].line("ERROR", "state", state=State.CIRCUIT_OPEN, reason="s3: no answer")
    text = verdict(operator)
    assert "services do not answer (s3: no answer)" in text


def test_undecodable_ledger_entry_is_explained(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    operator.put(CN, "k")
    operator.settle()
    broken = LedgerEntry("k", 1, unreadable="synced version: null is not an ETag")

    async def unreadable(key: str) -> LedgerEntry:
        return broken

    monkeypatch.setattr(operator.cn.ledger, "get", unreadable)
    answer = operator.call("explain", "k", "--json")
    assert "(table ledger-cn) can't be read: synced version: null is not an ETag" in answer.data["verdict"]
    assert "full check" in answer.data["verdict"]
    assert answer.data["sides"]["cn"]["ledger_problem"] == "synced version: null is not an ETag"


def test_unreadable_ledger_entry_is_explained(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    operator.put(CN, "k")
    operator.settle()

    async def unreadable(key: str) -> None:
        raise ValueError("ledger entry: field 'v' is 99, not a known version")

    monkeypatch.setattr(operator.cn.ledger, "get", unreadable)
    answer = operator.call("explain", "k", "--json")
    assert (
        "entry in cn's ledger (table ledger-cn) can't be read: ledger entry: field 'v' is 99" in answer.data["verdict"]
    )
    assert answer.data["sides"]["cn"]["object"] is not None
    assert answer.data["sides"]["cn"]["ledger_problem"]
    assert answer.data["sides"]["global"]["ledger"] is not None
