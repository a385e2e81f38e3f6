"""Test messages that fail, for now or for good: none is lost, handed back or retried without end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.errors import (
    AccessDeniedError,
    ConcurrentWriteError,
    CredentialRejectedError,
    FatalError,
    PermanentError,
    PreconditionFailedError,
    ThrottledError,
    UnavailableError,
)
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from tests.support.builders import Journal, Side, settings
from tests.support.fakes.gate import run
from tests.support.fakes.store import Store
from tests.support.fakes.version import Version


def side(journal: Journal | None = None, **changes: Any) -> Side:
    return Side(settings(**changes)) if journal is None else Side(settings(**changes), gate=journal.gate)


def held(store: Store, key: str = "k") -> bytes | None:
    version = store.current(key)
    return None if version is None else version.body


def postponed(world: Side) -> list[tuple[SyncRequest, float]]:
    """Return the sync requests that wait in the queue, with their remaining delays in seconds."""
    found = []
    for letter in world.broker.letters.values():
        fields = json.loads(letter.body).get("dualsync")
        if fields:
            found.append((sync_request_codec.decode_fields(fields), letter.visible - world.time.now))
    return found


# -- failures


def test_permanent_failure_is_dead_lettered_and_the_other_records_are_processed() -> None:
    journal = Journal()
    world = side(journal)
    world.put("k", b"x")
    archived: Version | None = world.here.current("k")
    assert archived is not None
    archived.seen = replace(archived.seen, archived=True)
    world.work(world.events[-1], world.put("other", b"y"))
    [(_, reason)] = world.broker.dead
    assert reason.startswith("archived: ")
    assert held(world.there, "other") == b"y"
    assert world.outcomes() == {"buried": 1, "copied": 1}
    assert journal.calls.index("queue.send_to_dlq") < journal.calls.index("queue.delete")
    assert not world.broker.letters


@pytest.mark.parametrize("error", [PreconditionFailedError("412"), ConcurrentWriteError("409")])
def test_contended_key_is_postponed_for_a_full_check(error: Exception) -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.put"] = error
    world.work(world.put("k", b"x"))
    [(request, delay)] = postponed(world)
    assert (request.key, request.cause, request.full_check, request.attempt) == ("k", Cause.CREATED, True, 1)
    assert delay == world.settings.retry_delay_seconds
    assert journal.calls[-2:] == ["queue.send", "queue.delete"]
    assert world.outcomes() == {"postponed": 1}


@pytest.mark.parametrize("error", [PreconditionFailedError("revision"), UnavailableError("no answer")])
def test_unrecorded_write_is_passed_to_the_next_request(error: Exception) -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["ledger.put"] = error
    world.work(world.put("k", b"x"))
    assert held(world.there) == b"x"
    [(request, delay)] = postponed(world)
    there = world.there.current("k")
    assert there is not None
    assert request.unrecorded is not None
    assert request.unrecorded.remote.etag == there.seen.etag
    del journal.faults["ledger.put"]
    journal.calls.clear()
    world.time.now += delay
    message = world.broker.take(next(iter(world.broker.letters.values())))
    assert message is not None
    run(world.worker.process(message))
    assert "remote.put" not in journal.calls
    assert world.entry().synced is not None


def test_retry_delay_grows_up_to_the_limit_of_the_queue() -> None:
    journal = Journal()
    journal.faults["remote.head"] = ConcurrentWriteError("409")
    delays = []
    for attempt in range(12):
        world = side(journal)
        request = replace(SyncRequest("k", Cause.CREATED, first_sent=world.time.now, full_check=True), attempt=attempt)
        run(world.worker.process(world.signed(request)))
        delays += [delay for _, delay in postponed(world)]
    assert delays == sorted(delays)
    assert delays[0] == 15
    assert delays[-1] == 900


def test_contended_key_is_dead_lettered_after_the_configured_attempts() -> None:
    journal = Journal()
    journal.faults["remote.head"] = PreconditionFailedError("412")
    world = side(journal, contention_attempts=3)
    world.put("k", b"x")
    for attempt, outcome in ((2, "postponed"), (3, "buried")):
        request = replace(SyncRequest("k", Cause.CREATED, full_check=True), attempt=attempt)
        run(world.worker.process(world.signed(request)))
        assert world.outcomes()[outcome] == 1
    [(_, reason)] = world.broker.dead
    assert reason.startswith("contended: ")


@pytest.mark.parametrize(
    "error", [UnavailableError("time-out"), ThrottledError("slow down"), AccessDeniedError("AccessDenied")]
)
def test_unanswered_request_is_retried_without_counting_an_attempt(error: Exception) -> None:
    journal = Journal()
    world = side(journal, contention_attempts=1)
    journal.faults["remote.put"] = error
    world.work(world.put("k", b"x"))
    for _ in range(5):
        [(request, delay)] = postponed(world)
        assert (request.attempt, request.full_check) == (0, True)
        assert 15 <= delay <= 900
        world.time.now += delay
        [letter] = world.broker.letters.values()
        message = world.broker.take(letter)
        assert message is not None
        run(world.worker.process(message))
    assert world.broker.dead == []
    assert world.health.failures_in_a_row == (
        0 if isinstance(error, AccessDeniedError) else 6
    )  # a refusal is an answer
    del journal.faults["remote.put"]
    [(_, delay)] = postponed(world)
    world.time.now += delay
    message = world.broker.take(next(iter(world.broker.letters.values())))
    assert message is not None
    run(world.worker.process(message))
    assert held(world.there) == b"x"
    assert world.health.failures_in_a_row == 0


def test_request_is_retried_while_the_peer_is_unreachable_for_days() -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.head"] = UnavailableError("no route")
    request = SyncRequest("k", Cause.CREATED, first_sent=world.time.now - 5 * 86400, full_check=True)
    run(world.worker.process(world.signed(request)))
    [(again, delay)] = postponed(world)
    assert (again.first_sent, delay) == (request.first_sent, 900)
    assert world.broker.dead == []


def test_denied_request_is_dead_lettered_after_denied_seconds() -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.head"] = AccessDeniedError("AccessDenied")
    request = SyncRequest(
        "k", Cause.CREATED, denied_since=world.time.now - world.settings.denied_seconds - 1, full_check=True
    )
    run(world.worker.process(world.signed(request)))
    [(_, reason)] = world.broker.dead
    assert reason.startswith("denied: ")


def test_denial_after_days_without_an_answer_starts_a_new_denied_period() -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.head"] = AccessDeniedError("AccessDenied")
    days_ago = world.time.now - 5 * 86400
    first = SyncRequest("k", Cause.CREATED, first_sent=days_ago, full_check=True)
    run(world.worker.process(world.signed(first)))
    [(request, delay)] = postponed(world)
    assert (request.first_sent, request.denied_since, delay) == (
        days_ago,
        world.time.now,
        world.settings.retry_delay_seconds,
    )
    assert world.broker.dead == []


def test_denied_period_is_logged_and_restarts_after_another_error() -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.head"] = AccessDeniedError("AccessDenied")
    request = SyncRequest(
        "k", Cause.CREATED, first_sent=world.time.now, denied_since=world.time.now - 1000, full_check=True
    )
    run(world.worker.process(world.signed(request)))
    [(level, _, line)] = [kept for kept in world.log.kept if kept[1] == "outcome"]
    assert (level, line["outcome"], line["denied_seconds"]) == ("WARNING", "postponed", 1000.0)
    for error, denied in (
        (UnavailableError("time-out"), 0.0),
        (PreconditionFailedError("412"), 0.0),
        (AccessDeniedError("no"), request.denied_since),
    ):
        journal.faults["remote.head"] = error
        world.broker.letters.clear()
        run(world.worker.process(world.signed(request)))
        [(again, _)] = postponed(world)
        assert again.denied_since == denied


@pytest.mark.parametrize(
    "error", [CredentialRejectedError("ExpiredToken"), FatalError("no such table"), ZeroDivisionError()]
)
def test_error_of_the_whole_process_leaves_the_message_in_the_queue(error: Exception) -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.put"] = error
    event = world.put("k", b"x")
    with pytest.raises(type(error)):
        world.work(event)
    assert len(world.broker.letters) == 1
    assert not {"queue.delete", "queue.send", "queue.send_to_dlq"} & set(journal.calls)


@pytest.mark.parametrize(
    ("fault", "call"), [(PreconditionFailedError("412"), "queue.send"), (PermanentError("never"), "queue.send_to_dlq")]
)
def test_message_stays_if_its_retry_or_dead_letter_cannot_be_sent(fault: Exception, call: str) -> None:
    journal = Journal()
    world = side(journal)
    journal.faults = {"remote.put": fault, call: UnavailableError("no queue")}
    event = world.put("k", b"x")
    with pytest.raises(UnavailableError):
        world.work(event)
    assert len(world.broker.letters) == 1
    assert "queue.delete" not in journal.calls
