"""Test the consumer when a credential is rejected or services do not answer."""

from __future__ import annotations

import pytest

from dualsync.runtime.errors import (
    AccessDeniedError,
    CredentialRejectedError,
    DualSyncError,
    OwnAccessDeniedError,
    PermanentError,
    PreconditionFailedError,
    ServiceBlockedError,
    ThrottledError,
    UnavailableError,
)
from dualsync.runtime.log import Outcome, State
from dualsync.runtime.service.circuit_breaker import CIRCUIT_THRESHOLD
from dualsync.runtime.service.consumer import MAX_REJECTIONS
from dualsync.runtime.sync.service_health import REFUSED_KEYS
from tests.support.consumer_harness import VISIBILITY, ConsumerHarness, play, settle

# -- the credential


def test_nothing_is_received_before_the_peer_is_connected() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.queue.add("a")
        await settle()
        assert rig.queue.limits == []
        assert rig.states() == []
        rig.connecting.set()
        await settle()
        assert rig.done == ["a"]

    play(story, connected=False)


def test_stop_while_waiting_for_the_peer_ends_the_worker() -> None:
    async def story(rig: ConsumerHarness) -> None:
        await rig.stop()
        assert rig.task.done()
        assert rig.queue.limits == []
        assert State.RUNNING not in rig.states()

    play(story, connected=False)


def test_rejected_credential_stops_receiving_and_the_messages_are_retried_after_reconnecting() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.connecting.clear()
        rig.fails = {b: [CredentialRejectedError("ExpiredToken")] for b in ("a", "b", "c")}
        rig.queue.add("a", "b", "c")
        await settle()
        assert rig.connects == 2  # one for the start, one for all three
        polls = len(rig.queue.limits)
        rig.queue.add("d")
        await settle()
        rig.queue.add("e")
        await settle()
        assert len(rig.queue.limits) == polls
        assert rig.queue.waiting == ["d", "e"]
        await rig.clock.advance(VISIBILITY / 3)
        assert {body for body, _ in rig.queue.extended} >= {"a", "b", "c"}
        rig.connecting.set()
        await settle()
        assert sorted(rig.done) == ["a", "b", "c", "d", "e"]
        assert sorted(rig.tries) == ["a", "a", "b", "b", "c", "c", "d", "e"]

    play(story, concurrency=8)


def test_rejected_credential_is_retried_with_growing_delays() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.fails = {"a": [CredentialRejectedError("InvalidAccessKeyId") for _ in range(1000)]}
        rig.probe_error = CredentialRejectedError("InvalidAccessKeyId")
        rig.queue.add("a")
        await settle()
        assert len(rig.tries) <= 3
        await rig.clock.advance(600)
        assert 8 <= len(rig.tries) <= 30
        assert rig.connects <= 30
        del rig.fails["a"]
        await rig.clock.advance(61)
        assert rig.done == ["a"]

    play(story)


def test_message_that_alone_is_rejected_is_left_after_the_maximum_of_tries() -> None:
    """An object whose headers S3 signs differently: SignatureDoesNotMatch for this object only."""

    async def story(rig: ConsumerHarness) -> None:
        rig.fails = {"odd": [CredentialRejectedError("SignatureDoesNotMatch") for _ in range(1000)]}
        rig.queue.add("odd")
        for number in range(40):
            rig.queue.add(f"other{number}")
            await rig.clock.advance(1)
        assert rig.tries.count("odd") == MAX_REJECTIONS
        assert rig.connects <= 1 + MAX_REJECTIONS
        assert len(rig.done) == 40
        (line,) = rig.log.of("outcome")
        assert line["outcome"] is Outcome.FAILED
        assert "SignatureDoesNotMatch" in str(line["reason"])

    play(story)


def test_stop_while_the_credential_is_rejected_leaves_the_message() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.connecting.clear()
        rig.fails = {"a": [CredentialRejectedError("ExpiredToken")]}
        rig.queue.add("a")
        await settle()
        await rig.stop()
        assert rig.task.done()
        assert rig.tries == ["a"]
        assert rig.done == []

    play(story)


# -- unanswered requests


def test_message_that_cannot_be_postponed_is_left_and_counted() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.fails = {"a": [UnavailableError("no answer")]}
        rig.queue.add("a", "b")
        await settle()
        assert rig.done == ["b"]
        assert (rig.health.failures_in_a_row, rig.health.last_failure) == (1, "no answer")
        assert rig.tries.count("a") == 1

    play(story)


@pytest.mark.parametrize(
    "error", [ThrottledError("slow down"), UnavailableError("reset"), CredentialRejectedError("expired")]
)
def test_failed_poll_is_repeated_after_a_delay(error: Exception) -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.queue.errors.append(error)
        rig.queue.add("a")
        await settle()
        assert rig.done == []
        await rig.clock.advance(5)
        assert rig.done == ["a"]

    play(story)


async def open_circuit(rig: ConsumerHarness) -> None:
    """Let the services stop answering while a poll is under way."""
    for number in range(CIRCUIT_THRESHOLD):
        rig.health.record_no_answer("s3 PutObject b/k: timed out", f"k{number}")
    rig.queue.add("last")
    await settle()
    assert rig.states()[-1] is State.CIRCUIT_OPEN
    assert "s3 PutObject b/k: timed out" in str(rig.log.of("state")[-1]["reason"])


def test_circuit_opens_and_closes() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.probe_error = UnavailableError("no answer")
        await open_circuit(rig)
        rig.queue.add("a")
        await rig.clock.advance(300)
        assert rig.done == ["last"]
        assert rig.probes == [1, 3, 7, 15, 31, 63, 123, 183, 243]
        rig.probe_error = None
        await rig.clock.advance(60)
        assert rig.done == ["last", "a"]
        assert rig.health.failures_in_a_row == 0
        assert rig.states() == [State.RUNNING, State.CIRCUIT_OPEN, State.RUNNING]

    play(story)


def test_worker_with_an_open_circuit_can_be_stopped() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.probe_error = UnavailableError("no answer")
        await open_circuit(rig)
        await rig.stop()
        assert rig.task.done()

    play(story)


@pytest.mark.parametrize(
    "error", [PermanentError("NoSuchBucket"), PreconditionFailedError("412"), AccessDeniedError("AccessDenied")]
)
def test_refused_probe_closes_the_circuit(error: DualSyncError) -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.probe_error = error
        await open_circuit(rig)
        rig.queue.add("a")
        await rig.clock.advance(1)
        assert rig.done == ["last", "a"]

    play(story)


def test_probe_with_a_rejected_credential_reconnects() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.probe_error = CredentialRejectedError("expired")
        await open_circuit(rig)
        connects = rig.connects
        await rig.clock.advance(1)
        assert rig.connects == connects + 1

    play(story)


def test_single_unanswered_key_does_not_open_the_circuit_if_the_probe_succeeds() -> None:
    async def story(rig: ConsumerHarness) -> None:
        for _ in range(CIRCUIT_THRESHOLD):
            rig.health.record_no_answer("500 InternalError", "poison")
        rig.queue.add("last")
        await settle()
        assert rig.probes == [0]
        assert rig.states() == [State.RUNNING]
        assert rig.health.failures_in_a_row == 0

    play(story)


def test_single_unanswered_key_opens_the_circuit_if_the_probe_fails() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.probe_error = UnavailableError("no route")
        for _ in range(CIRCUIT_THRESHOLD):
            rig.health.record_no_answer("500 InternalError", "poison")
        rig.queue.add("last")
        await settle()
        assert rig.states() == [State.RUNNING, State.CIRCUIT_OPEN]
        rig.probe_error = None
        await rig.clock.advance(1)
        assert rig.states()[-1] is State.RUNNING

    play(story)


# -- refusals of all keys


def refuse(rig: ConsumerHarness, keys: int) -> None:
    for number in range(keys):
        rig.health.record_refusal("s3 PutObject b: NoSuchBucket (404)", f"k{number}")


def test_refusals_of_all_keys_open_the_circuit_until_an_object_is_copied() -> None:
    async def story(rig: ConsumerHarness) -> None:
        refuse(rig, REFUSED_KEYS)
        rig.queue.add("last")
        await settle()
        line = rig.log.of("state")[-1]
        assert line["state"] is State.CIRCUIT_OPEN
        assert "NoSuchBucket" in str(line["reason"])
        rig.queue.add("a", "b", "c")
        rig.hold("a")
        await rig.clock.advance(1)
        assert rig.running == {"a"}
        refuse(rig, 1)
        await rig.finish("a")
        await rig.clock.advance(1)
        assert rig.tries[-1] == "a", "refused again: the next try comes later"
        rig.hold("b")
        await rig.clock.advance(1)
        assert rig.running == {"b"}
        rig.health.record_answer("b", copied=True)
        await rig.finish("b")
        assert rig.done == ["last", "a", "b", "c"]
        assert rig.states()[-1] is State.RUNNING

    play(story)


def test_worker_that_may_not_delete_messages_stops_receiving_and_logs_it_once() -> None:
    """Messages that cannot be deleted return, up to the queue's maximum of receives."""
    denied = OwnAccessDeniedError("sqs DeleteMessageBatch q: AccessDenied (403)")

    async def story(rig: ConsumerHarness) -> None:
        rig.fails = {body: [denied] for body in "abc"}
        rig.queue.add("a", "b", "c")
        await settle()
        (line,) = [line for line in rig.log.of("state") if line["state"] is State.CIRCUIT_OPEN]
        assert "DeleteMessageBatch" in str(line["reason"])
        assert "pulumi up --refresh" in str(line["reason"])
        assert rig.log.of("outcome") == [], "no line per message"
        rig.hold("d")
        rig.queue.add("d", "e")
        await settle()
        assert rig.tries == ["a", "b", "c"], "nothing more is received"
        await rig.clock.advance(1)
        assert rig.running == {"d"}, "one is tried after a pause"

    play(story)


def test_few_refused_keys_do_not_open_the_circuit() -> None:
    async def story(rig: ConsumerHarness) -> None:
        refuse(rig, REFUSED_KEYS - 1)
        refuse(rig, REFUSED_KEYS - 1)  # the same keys again
        rig.queue.add("a")
        await settle()
        assert rig.done == ["a"]
        assert rig.states() == [State.RUNNING]

    play(story)


def test_circuit_stays_open_while_the_probe_is_refused_too() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.probe_error = ServiceBlockedError("s3 HeadObject b: NoSuchBucket (404)")
        refuse(rig, REFUSED_KEYS)
        rig.queue.add("last")
        await settle()
        rig.queue.add("a")
        await rig.clock.advance(600)
        assert rig.done == ["last"]
        rig.probe_error = None
        await rig.clock.advance(60)
        assert rig.done == ["last", "a"]

    play(story)
