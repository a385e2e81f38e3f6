"""Test one message from receipt to acknowledgement: all records are processed before it is acknowledged."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.log import ECHO_LINE
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.settings import Events, OnLifecycleExpiry
from tests.support.builders import DEDICATED, USER, Journal, Side, settings
from tests.support.fakes.gate import Step, kill, run, stepping_gate
from tests.support.fakes.notification import TEST_EVENT, body
from tests.support.fakes.store import Store
from tests.support.handlers import handler_of


def side(journal: Journal | None = None, **changes: Any) -> Side:
    return Side(settings(**changes)) if journal is None else Side(settings(**changes), gate=journal.gate)


def held(store: Store, key: str = "k") -> bytes | None:
    version = store.current(key)
    return None if version is None else version.body


# -- changes are applied at the peer


def test_user_write_is_copied_with_its_stamp_and_recorded() -> None:
    world = side()
    event = world.put("k", b"abc")
    world.work()
    here, there = world.here.current("k"), world.there.current("k")
    assert here is not None
    assert there is not None
    assert there.body == b"abc"
    proof = world.entry().synced
    assert proof is not None
    assert there.seen.stamp == world.context.stamp("k", proof.version, 3)
    assert (proof.version.etag, proof.local.etag, proof.remote.etag) == (event.etag, event.etag, there.seen.etag)
    assert world.outcomes() == {"copied": 1}
    assert not world.broker.letters


def test_user_deletion_is_applied_and_leaves_a_tombstone() -> None:
    world = side()
    world.put("k", b"abc")
    world.work()
    world.delete("k")
    world.work()
    assert held(world.there) is None
    assert world.entry().synced is None
    assert len(world.entry().deleted_versions) == 1
    assert world.outcomes() == {"copied": 1, "deleted": 1}


def test_all_records_of_a_message_are_processed() -> None:
    world = side()
    world.put("gone", b"x")
    world.work()
    events = [world.put("a b", b"1"), world.put("é/+", b"2"), world.delete("gone"), world.put("c", b"3")]
    world.work(*events)
    assert {key: held(world.there, key) for key in ("a b", "é/+", "gone", "c")} == {
        "a b": b"1",
        "é/+": b"2",
        "gone": None,
        "c": b"3",
    }
    assert not world.broker.letters


def test_a_second_length_of_sequencers_is_logged_once() -> None:
    world = side()
    events = [world.put(f"k{n}", b"1") for n in range(4)]
    shorter, longer = "5A17C3B2D5F60011", "005A17C3B2D5F60022"
    for event, sequencer in zip(events, (shorter, longer, longer, "not hexadecimal"), strict=True):
        world.work(replace(event, sequencer=sequencer))
    [line] = world.log.of("sequencer")
    assert line["reason"] == (
        "sequencers of 16, 18 digits: the shorter ones are padded on the left to compare them, as AWS's pages disagree"
    )


def test_late_event_copies_the_current_version() -> None:
    world = side()
    first = world.put("k", b"old")
    world.put("k", b"new")
    world.work(first)
    assert held(world.there) == b"new"


def test_event_older_than_the_synced_version_changes_nothing() -> None:
    journal = Journal()
    world = side(journal)
    first = world.put("k", b"old")
    world.work(world.put("k", b"new"))
    journal.calls.clear()
    world.work(first)
    assert [c for c in journal.calls if not c.startswith(("ledger.get", "local.head", "queue."))] == []
    assert held(world.there) == b"new"


def test_message_received_twice_writes_once() -> None:
    journal = Journal()
    world = side(journal)
    message = world.message(body(world.put("k", b"abc")))
    run(world.worker.process(message))
    journal.calls.clear()
    message.receives = 2
    run(world.worker.process(message))
    assert "remote.put" not in journal.calls
    assert world.outcomes()["copied"] == 1


def test_deletion_of_a_version_that_was_never_synced_deletes_nothing() -> None:
    world = side()
    world.there.put("k", b"theirs", USER)
    world.here.put("k", b"mine", USER)
    world.work(world.delete("k"))
    assert held(world.there) == b"theirs"


def test_deletion_of_a_key_that_was_written_again_deletes_nothing() -> None:
    world = side()
    world.work(world.put("k", b"1"))
    deletion = world.delete("k")
    world.put("k", b"2")
    world.work(deletion)
    assert held(world.there) in (b"1", b"2")


def test_deletion_is_not_applied_if_only_creations_are_synced() -> None:
    world = side(events=Events.CREATE)
    world.work(world.put("k", b"1"))
    world.work(world.delete("k"))
    assert held(world.there) == b"1"


@pytest.mark.parametrize(
    ("choice", "kept"), [(OnLifecycleExpiry.IGNORE, b"1"), (OnLifecycleExpiry.PROPAGATE, None)], ids=str
)
def test_expiry_is_applied_only_if_configured(choice: OnLifecycleExpiry, kept: bytes | None) -> None:
    world = side(on_lifecycle_expiry=choice)
    world.work(world.put("k", b"1"))
    world.time.now += 1
    world.here.expire("k")
    world.work()
    assert held(world.there) == kept


@pytest.mark.parametrize("expires", [False, True])
def test_deletion_waits_for_an_arrival_event_of_the_same_second_if_objects_expire(expires: bool) -> None:
    """A user deletes, writes again within the second, and the second version expires; its events come last."""
    world = side(local_expires=expires, on_lifecycle_expiry=OnLifecycleExpiry.IGNORE)
    world.put("k", b"old")
    world.work()
    before = world.entry()
    deletion = world.delete("k")
    world.here.put("k", b"new", USER)
    arrival = world.events[-1]
    world.work(arrival)
    # As if another event had led to the copy: the arrival time and the earlier deletion are unknown.
    entry = replace(world.entry(), first_event="", last_event="", sequencer=before.sequencer)
    world.ledger.table.entries["k"] = replace(entry, previous=None, previous_last_event="", last_deletion="")
    world.here.expire("k")
    world.work(deletion)
    if not expires:
        assert held(world.there) is None, "without lifecycle rules only a user can have deleted it"
        return
    assert held(world.there) == b"new"
    assert world.outcomes()["postponed"] == 1
    world.work(arrival)
    world.time.now += 900
    again = [letter for letter in world.broker.letters.values() if not letter.deleted and letter.receives == 0]
    assert len(again) == 1
    message = world.broker.take(again[0])
    assert message is not None
    run(world.worker.process(message))
    assert held(world.there) == b"new"
    assert world.log.of("outcome")[-1]["reason"] == "gone here: the deletion's own event will say so"


# -- messages that change nothing


@pytest.mark.parametrize("named", ["AWS:", ""])
def test_echo_writes_no_object_and_logs_the_echo_line(named: str) -> None:
    journal = Journal()
    world = side(journal)
    world.there.put("k", b"abc", USER)
    theirs = world.there.current("k")
    assert theirs is not None
    identity = world.context.observe_remote(theirs.seen, world.entry()).version
    world.here.put("k", b"abc", DEDICATED, Attributes(), world.context.stamp("k", identity, 3))
    event = world.events[-1]
    world.work(replace(event, principal=named + DEDICATED))
    writes = ("local.put", "local.delete", "remote.put", "remote.delete", "queue.send")
    assert not set(journal.calls) & set(writes)
    assert world.outcomes() == {"cancelled": 1}
    assert world.log.of("outcome")[0]["message"] == ECHO_LINE
    proof = world.entry().synced
    assert proof is not None
    assert proof.version == identity


def test_a_test_event_is_acknowledged() -> None:
    world = side()
    run(world.worker.process(world.message(TEST_EVENT)))
    assert not world.broker.letters
    assert world.log.kept == []


@pytest.mark.parametrize("key", ["out/k", "in/", "in"])
def test_key_outside_the_prefix_is_only_acknowledged(key: str) -> None:
    journal = Journal()
    world = side(journal, local_prefix="in/")
    world.here.put(key, b"x", USER)
    world.work()
    assert journal.calls == ["queue.delete"]


def test_prefix_of_one_side_is_replaced_by_that_of_the_other() -> None:
    world = side(local_prefix="in/", remote_prefix="copy/of/")
    world.work(world.put("in/k", b"x"))
    assert held(world.there, "copy/of/k") == b"x"
    assert world.entry("k").synced is not None


@pytest.mark.parametrize("text", ["garbage", "{}", '{"Records": [{}]}'])
def test_unreadable_message_stays_in_the_queue_with_its_reason_logged(text: str) -> None:
    journal = Journal()
    world = side(journal)
    run(world.worker.process(world.message(text)))
    assert len(world.broker.letters) == 1
    assert journal.calls == []
    [line] = world.log.of("outcome")
    assert line["outcome"] == "failed"
    assert "unreadable" in str(line["reason"])


def test_message_with_one_unreadable_record_stays_in_the_queue() -> None:
    world = side()
    good = json.loads(body(world.put("k", b"x")))
    good["Records"].append({"eventName": "ObjectCreated:Put"})
    run(world.worker.process(world.message(json.dumps(good))))
    assert len(world.broker.letters) == 1


# -- nothing is acknowledged before its effect


def test_acknowledgement_follows_the_write_and_the_ledger_update() -> None:
    journal = Journal()
    world = side(journal)
    world.work(world.put("k", b"x"))
    wanted = ["remote.put", "ledger.put", "queue.delete"]
    assert [c for c in journal.calls if c in wanted] == wanted
    journal.calls.clear()
    world.work(world.delete("k"))
    wanted = ["remote.delete", "ledger.put", "queue.delete"]
    assert [c for c in journal.calls if c in wanted] == wanted


@pytest.mark.parametrize("deletion", [False, True])
def test_message_stays_until_its_effects_are_durable_wherever_the_worker_is_killed(deletion: bool) -> None:
    for steps in range(100):
        world = Side(settings(), gate=stepping_gate)
        world.put("k", b"x")
        if deletion:
            run(world.worker.process(world.message(body(world.events[-1]))))
            world.delete("k")
        coroutine = world.worker.process(world.message(body(world.events[-1])))
        ended = False
        try:
            for _ in range(steps + 1):
                assert isinstance(coroutine.send(None), Step)
        except StopIteration:
            ended = True
        else:
            kill(coroutine)
        done = held(world.there) == (None if deletion else b"x") and (world.entry().synced is None) is deletion
        assert done or world.broker.letters
        if ended:
            assert done
            assert not world.broker.letters
            return
        [letter] = world.broker.letters.values() or [None]
        if letter is not None:
            world.time.now += 1000
            again = world.broker.take(letter)
            assert again is not None
            run(world.worker.process(again))
            while world.broker.letters:
                world.time.now += 1000
                for left in list(world.broker.letters.values()):
                    later = world.broker.take(left)
                    assert later is not None
                    run(world.worker.process(later))
        assert held(world.there) == (None if deletion else b"x")
        assert world.broker.dead == []
    raise AssertionError("the handler never returns")


def test_event_times_are_reported_and_finder_request_times_are_not() -> None:
    world, reported = side(), list[float]()
    worker = handler_of(world.context, on_event=reported.append)
    event = world.put("k", b"abc")
    run(worker.process(world.message(body(event))))
    run(worker.process(world.signed(SyncRequest("k", Cause.FINDER, first_sent=1.0, full_check=True))))
    assert reported == [pytest.approx(event.time, abs=0.001)]
