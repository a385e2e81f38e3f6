"""Test the consumer: what it receives, how many messages at a time, visibility extensions and shutdown."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.errors import FatalError, PermanentError, PreconditionFailedError, UnavailableError
from dualsync.runtime.log import Outcome, State
from dualsync.runtime.service.consumer import BATCH, RECEIVERS
from tests.support.consumer_harness import VISIBILITY, ConsumerHarness, play, settle


def test_consumer_receives_processes_and_stops() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.queue.add("a", "b")
        await settle()
        assert sorted(rig.done) == ["a", "b"]
        await rig.stop()
        assert rig.task.done()
        assert rig.states() == [State.RUNNING, State.DRAINING, State.STOPPED]

    play(story)


def test_stop_drains_received_messages_and_ends_receiving() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("a", "b")
        rig.queue.add("a", "b")
        await settle()
        await rig.stop()
        rig.queue.add("c")
        await rig.finish("a")
        assert not rig.task.done()
        assert rig.log.of("state")[-1] == {"state": State.DRAINING, "in_flight": 2}
        await rig.finish("b")
        assert rig.task.done()
        assert sorted(rig.done) == ["a", "b"]
        assert rig.queue.waiting == ["c"]

    play(story)


def test_messages_of_a_poll_under_way_are_processed_while_stopping() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.loop.stop()
        rig.queue.add("a")
        await settle()
        assert rig.done == ["a"]
        assert rig.task.done()

    play(story)


def test_concurrency_limits_the_messages_in_process() -> None:
    async def story(rig: ConsumerHarness) -> None:
        bodies = [f"m{i}" for i in range(12)]
        rig.hold(*bodies)
        rig.queue.add(*bodies)
        await settle()
        assert len(rig.running) == 3
        await rig.finish("m0")
        assert len(rig.running) == 3
        await rig.finish(*bodies)
        assert sorted(rig.done) == sorted(bodies)
        assert rig.most == 3
        assert max(rig.queue.limits) == 3

    play(story, concurrency=3)


def test_worker_at_its_concurrency_limit_stops() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("a", "b")
        rig.queue.add("a", "b", "c")
        await settle()
        await rig.stop()
        await rig.finish("a", "b")
        assert rig.task.done()
        assert rig.queue.waiting == ["c"]

    play(story, concurrency=2)


def test_poll_requests_ten_messages_at_most() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.queue.add(*(f"m{i}" for i in range(25)))
        await settle()
        assert len(rig.done) == 25
        assert set(rig.queue.limits) == {BATCH}

    play(story, concurrency=64)


def test_several_polls_run_while_polls_return_full() -> None:
    async def story(rig: ConsumerHarness) -> None:
        await settle()
        assert len(rig.queue.limits) == 1
        rig.queue.add(*(f"m{i}" for i in range(BATCH)))
        await settle()
        assert len(rig.queue.limits) == 1 + RECEIVERS
        rig.queue.add("last")
        await settle()
        rig.queue.empty()
        await settle()
        assert len(rig.queue.limits) == 2 + RECEIVERS  # polls are no longer full: one is enough

    play(story, concurrency=64)


def test_parallel_polls_stay_within_the_concurrency_limit() -> None:
    async def story(rig: ConsumerHarness) -> None:
        bodies = [f"m{i}" for i in range(60)]
        rig.hold(*bodies)
        rig.queue.add(*bodies)
        await settle()
        assert len(rig.running) == 20
        assert rig.most == 20
        await rig.finish(*bodies)
        assert sorted(rig.done) == sorted(bodies)
        assert rig.most == 20

    play(story, concurrency=20)


def test_messages_of_all_polls_under_way_are_processed_at_the_end() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.queue.add(*(f"m{i}" for i in range(BATCH)))
        await settle()
        rig.loop.stop()
        rig.queue.add("late", "later")
        rig.queue.close()
        await settle()
        assert sorted(rig.done)[:2] == ["late", "later"]
        assert rig.task.done()

    play(story, concurrency=64)


# -- visibility


def test_visibility_is_extended_for_messages_in_process_only() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow", "quick")
        await rig.clock.advance(VISIBILITY)
        assert rig.queue.extended == [("slow", VISIBILITY)] * 3
        await rig.finish("slow")
        await rig.clock.advance(VISIBILITY)
        assert len(rig.queue.extended) == 3

    play(story)


def test_visibility_is_extended_while_draining() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow")
        await settle()
        await rig.stop()
        await rig.clock.advance(VISIBILITY / 3)
        assert rig.queue.extended == [("slow", VISIBILITY)]

    play(story)


def test_failed_visibility_extension_is_repeated() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow")
        rig.queue.extend_error = UnavailableError("time-out")
        await rig.clock.advance(VISIBILITY / 3)
        rig.queue.extend_error = None
        await rig.clock.advance(VISIBILITY / 3)
        assert rig.queue.extended == [("slow", VISIBILITY)]
        assert "time-out" in str(rig.log.of("heartbeat"))

    play(story)


# -- the end


def test_error_in_one_message_leaves_other_messages_running() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.fails = {
            "fault": [ZeroDivisionError("a fault of the program")],
            "refused": [PermanentError("InvalidMessageContents", "the retried message")],
            "changed": [PreconditionFailedError("412")],
        }
        rig.queue.add("slow", "fault", "refused", "changed")
        await settle()
        rig.queue.add("next")
        await settle()
        assert rig.done == ["next"]
        failed = rig.log.of("outcome")
        assert {line["outcome"] for line in failed} == {Outcome.FAILED}
        reasons = " ".join(str(line["reason"]) for line in failed)
        assert "ZeroDivisionError: a fault of the program" in reasons
        assert "InvalidMessageContents" in reasons
        assert "consumer_harness.py" in str(failed[0]["where"])
        assert rig.tries.count("fault") == 1, "left in the queue, for its next receive or the dead-letter queue"
        await rig.finish("slow")
        assert not rig.task.done()

    play(story)


def test_fatal_error_in_one_message_opens_the_circuit_and_keeps_the_process() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.fails = {"a": [FatalError("dynamodb ledger: ResourceNotFoundException")], "b": [FatalError("still so")]}
        rig.queue.add("a")
        await settle()
        rig.queue.empty()
        await settle()
        line = rig.log.of("state")[-1]
        assert line["state"] is State.CIRCUIT_OPEN
        assert "ResourceNotFoundException" in str(line["reason"])
        polls = len(rig.queue.limits)
        rig.queue.add("b", "c", "d")
        await settle()
        assert len(rig.queue.limits) == polls
        await rig.clock.advance(1)
        assert rig.queue.limits[polls:] == [1], "one message is tried, and no second one at the same time"
        assert rig.tries == ["a", "b"]
        await rig.clock.advance(1)
        assert rig.done == []
        await rig.clock.advance(2)
        assert rig.done == ["c", "d"]
        rig.queue.add(*"efghijkl")
        await rig.clock.advance(1)
        assert sorted(rig.done) == list("cdefghijkl")
        assert rig.states()[-1] is State.RUNNING

    play(story)


@pytest.mark.parametrize("error", [FatalError("no such queue"), PermanentError("InvalidParameterValue")])
def test_permanent_poll_error_stops_the_worker_after_draining(error: Exception) -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow")
        await settle()
        rig.queue.errors.append(error)
        rig.queue.close()
        await settle()
        assert not rig.task.done()
        await rig.finish("slow")
        assert rig.done == ["slow"]

    with pytest.raises(type(error), match=str(error)):
        play(story)


def test_fatal_error_while_connecting_stops_the_worker() -> None:
    async def story() -> None:
        rig = ConsumerHarness()
        rig.connect_error = FatalError("wrong region")
        await asyncio.wait_for(rig.task, 20)

    with pytest.raises(FatalError, match="wrong region"):
        asyncio.run(story())


def test_visibility_extension_is_repeated_after_a_program_fault() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow")
        rig.queue.extend_error = ZeroDivisionError("a fault of the program")
        await rig.clock.advance(VISIBILITY / 3)
        assert "ZeroDivisionError" in str(rig.log.of("heartbeat"))
        rig.queue.extend_error = None
        await rig.clock.advance(VISIBILITY / 3)
        assert rig.queue.extended == [("slow", VISIBILITY)]

    play(story)


def test_hanging_visibility_extension_delays_no_other_message() -> None:
    async def story(rig: ConsumerHarness) -> None:
        bodies = [f"m{i:02}" for i in range(4 * BATCH)]
        rig.hold(*bodies)
        rig.queue.add(*bodies)
        await settle()
        assert len(rig.running) == len(bodies)
        rig.queue.hanging = {bodies[0]}
        for _ in range(3):
            await rig.clock.advance(VISIBILITY / 3)
        others = {body: rig.queue.extended.count((body, VISIBILITY)) for body in bodies[BATCH:]}
        assert min(others.values()) >= 2, "extended again before its visibility ends"
        assert "not extended in time" in str(rig.log.of("heartbeat"))
        rig.queue.hanging = set()
        await rig.clock.advance(VISIBILITY / 3)
        assert (bodies[0], VISIBILITY) in rig.queue.extended
        await rig.finish(*bodies)

    play(story, concurrency=64)
