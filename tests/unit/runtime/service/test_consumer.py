"""The worker's process: what it receives, how many at a time, how long it hides them, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.errors import FatalError, PermanentError, UnavailableError
from dualsync.runtime.log import State
from dualsync.runtime.service.consumer import BATCH, RECEIVERS
from tests.support.consumer_harness import VISIBILITY, ConsumerHarness, play, settle


def test_it_receives_handles_and_stops() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.queue.add("a", "b")
        await settle()
        assert sorted(rig.done) == ["a", "b"]
        await rig.stop()
        assert rig.task.done()
        assert rig.states() == [State.RUNNING, State.DRAINING, State.STOPPED]

    play(story)


def test_stop_drains_what_was_received_and_receives_no_more() -> None:
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


def test_what_a_poll_brings_while_stopping_is_done_too() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.loop.stop()
        rig.queue.add("a")
        await settle()
        assert rig.done == ["a"]
        assert rig.task.done()

    play(story)


def test_no_more_than_so_many_at_a_time() -> None:
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


def test_a_full_worker_stops_too() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("a", "b")
        rig.queue.add("a", "b", "c")
        await settle()
        await rig.stop()
        await rig.finish("a", "b")
        assert rig.task.done()
        assert rig.queue.waiting == ["c"]

    play(story, concurrency=2)


def test_a_poll_asks_for_ten_at_most() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.queue.add(*(f"m{i}" for i in range(25)))
        await settle()
        assert len(rig.done) == 25
        assert set(rig.queue.limits) == {BATCH}

    play(story, concurrency=64)


def test_while_polls_come_back_full_several_are_under_way() -> None:
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
        assert len(rig.queue.limits) == 2 + RECEIVERS  # not full any more: one is enough

    play(story, concurrency=64)


def test_polls_under_way_have_their_room() -> None:
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


def test_all_polls_under_way_are_heard_at_the_end() -> None:
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


def test_the_heartbeat_extends_what_is_worked_on_and_nothing_else() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow", "quick")
        await rig.clock.pass_(VISIBILITY)
        assert rig.queue.extended == [("slow", VISIBILITY)] * 3
        await rig.finish("slow")
        await rig.clock.pass_(VISIBILITY)
        assert len(rig.queue.extended) == 3

    play(story)


def test_the_heartbeat_goes_on_while_draining() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow")
        await settle()
        await rig.stop()
        await rig.clock.pass_(VISIBILITY / 3)
        assert rig.queue.extended == [("slow", VISIBILITY)]

    play(story)


def test_a_heartbeat_that_fails_beats_again() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow")
        rig.queue.extend_error = UnavailableError("time-out")
        await rig.clock.pass_(VISIBILITY / 3)
        rig.queue.extend_error = None
        await rig.clock.pass_(VISIBILITY / 3)
        assert rig.queue.extended == [("slow", VISIBILITY)]
        assert "time-out" in str(rig.log.of("heartbeat"))

    play(story)


# -- the end


@pytest.mark.parametrize("error", [FatalError("no such table"), ZeroDivisionError("a fault of the program")])
def test_a_fatal_error_stops_the_worker_after_the_others_are_done(error: Exception) -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.fails = {"bad": [error]}
        rig.queue.add("slow", "bad")
        await settle()
        rig.queue.close()
        await settle()
        assert not rig.task.done()
        await rig.finish("slow")
        assert rig.done == ["slow"]

    with pytest.raises(type(error), match=str(error)):
        play(story)


@pytest.mark.parametrize("error", [FatalError("no such queue"), PermanentError("InvalidParameterValue")])
def test_a_poll_that_can_never_succeed_stops_the_worker_after_the_others_are_done(error: Exception) -> None:
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


def test_a_wrong_setting_found_while_connecting_stops_the_worker() -> None:
    async def story() -> None:
        rig = ConsumerHarness()
        rig.connect_error = FatalError("wrong region")
        await asyncio.wait_for(rig.task, 20)

    with pytest.raises(FatalError, match="wrong region"):
        asyncio.run(story())


def test_a_heartbeat_with_a_fault_of_the_program_stops_the_worker() -> None:
    async def story(rig: ConsumerHarness) -> None:
        rig.hold("slow")
        rig.queue.add("slow")
        rig.queue.extend_error = ZeroDivisionError("a fault of the program")
        await rig.clock.pass_(VISIBILITY / 3)
        rig.queue.close()
        await rig.finish("slow")

    with pytest.raises(ZeroDivisionError):
        play(story)
