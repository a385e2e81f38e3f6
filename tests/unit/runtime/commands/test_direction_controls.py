"""Test pause, resume, limit and drain: the orders in the ledger, the audit trail, and waiting."""

from __future__ import annotations

import asyncio

import pytest

from dualsync.runtime.log import State
from dualsync.runtime.service.consumer import WAIT_SECONDS
from dualsync.runtime.service.operator_controls import CONTROL_POLL_SECONDS, DirectionControls, read_controls
from dualsync.runtime.settings import SideName
from tests.support.fakes.clock import FakeClock
from tests.support.operator_harness import Operator

CN, GLOBAL = SideName.CN, SideName.GLOBAL


def orders(operator: Operator, side: SideName) -> DirectionControls:
    return asyncio.run(read_controls(operator.sides[side].ledger))


@pytest.mark.parametrize("direction", ["cn", "cn->global"])
def test_pause_and_resume_apply_to_one_direction(direction: str) -> None:
    operator = Operator()
    answer = operator.call("pause", direction, "--reason", "moving", "--yes")
    assert answer.code == 0
    assert orders(operator, CN) == DirectionControls(
        paused=True, reason="moving", by="ann", since=int(operator.time.now)
    )
    assert not orders(operator, GLOBAL).paused
    assert operator.call("resume", direction).code == 0
    assert not orders(operator, CN).paused


def test_a_change_is_announced_with_the_time_until_it_takes_effect() -> None:
    """A pause waits for the long poll under way. What ends a pause, or limits, holds as soon as it is read."""
    operator = Operator()
    for arguments, seconds in (
        (["pause", "cn", "--yes"], CONTROL_POLL_SECONDS + WAIT_SECONDS),
        (["resume", "cn"], CONTROL_POLL_SECONDS),
        (["limit", "cn", "--bytes", "1M", "--yes"], CONTROL_POLL_SECONDS),
    ):
        assert f"in effect within {seconds:.0f} s;" in " ".join(operator.call(*arguments).out.split())


def test_pause_waits_until_all_workers_are_paused() -> None:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    answer = operator.call("pause", "--wait", "--timeout", "20", "--yes", "--json")
    assert answer.code == 3
    assert answer.data["still"] is False
    for vitals in operator.vitals.values():
        vitals.line("INFO", "state", state=State.PAUSED)
    asyncio.run(operator.heartbeat())
    answer = operator.call("pause", "--wait", "--yes", "--json")
    assert answer.code == 0
    assert answer.data["still"] is True


class Stepping(FakeClock):
    """A clock that steps back by an hour during the first sleep."""

    async def sleep(self, seconds: float) -> None:
        self.skew = -3600.0
        await super().sleep(seconds)


@pytest.mark.parametrize("arguments", [("pause", "--wait", "--yes"), ("drain",)])
def test_step_of_the_wall_clock_prolongs_no_wait(arguments: tuple[str, ...]) -> None:
    operator = Operator()
    asyncio.run(operator.heartbeat())
    operator.put(CN, "k")
    operator.clock = Stepping(operator.time)
    begun = operator.time.now
    assert operator.call(*arguments, "--timeout", "20").code == 3
    assert operator.time.now - begun == 20


def test_pause_requires_confirmation() -> None:
    operator = Operator()
    answer = operator.call("pause")
    assert answer.code == 2
    assert "--yes" in answer.err
    assert not orders(operator, CN).paused


def test_unknown_direction_is_refused() -> None:
    answer = Operator().call("pause", "north", "--yes")
    assert answer.code == 2
    assert "use cn" in answer.err


def test_limits_are_stored_and_changed_separately() -> None:
    operator = Operator()
    assert operator.call("limit", "cn", "--bytes", "20M", "--yes").code == 0
    assert operator.call("limit", "cn", "--requests", "50", "--yes").code == 0
    found = orders(operator, CN)
    assert (found.bytes_per_second, found.requests_per_second) == (20_000_000, 50)
    assert operator.call("limit", "cn", "--bytes", "0", "--yes").code == 0
    assert orders(operator, CN).bytes_per_second == 0
    assert operator.call("limit", "--yes").code == 2
    assert "use a whole number" in operator.call("limit", "--bytes", "fast", "--yes").err
    operator.call("limit", "cn", "--bytes", "1Gi", "--yes")
    assert orders(operator, CN).bytes_per_second == 1 << 30


def test_changing_commands_are_in_the_audit_trail() -> None:
    operator = Operator()
    operator.call("pause", "cn", "--reason", "night", "--yes")
    operator.time.now += 5
    operator.call("resume", "cn")
    acts = operator.call("audit", "--json").data["acts"]
    assert [(a["command"], a["state"], a["who"], a["sides"]) for a in acts] == [
        ("pause", "done", "arn:ann", ["cn"]),
        ("resume", "done", "arn:ann", ["cn"]),
    ]
    assert acts[1]["result"]["before"]["reason"] == "night"
    assert "resume" in operator.call("audit").out


def test_drain_names_a_paused_direction() -> None:
    operator = Operator()
    operator.put(CN, "k")
    operator.call("pause", "cn", "--yes")
    answer = operator.call("drain", "--timeout", "1")
    assert answer.code == 3
    assert "cn->global is paused: `dualsync resume cn`" in answer.out
    assert "cn paused: nothing travels there" in answer.err


def test_drain_waits_for_an_empty_queue() -> None:
    operator = Operator()
    operator.put(CN, "k")
    answer = operator.call("drain", "--timeout", "30", "--json")
    assert answer.code == 3
    assert answer.data["left"] == {"cn->global": 1, "global->cn": 0}
    operator.settle()
    answer = operator.call("drain", "--then-pause", "--yes", "--json")
    assert answer.code == 0
    assert answer.data["paused"] is True
    assert orders(operator, CN).paused


def test_timetable_of_limits_is_stored_and_shown() -> None:
    operator = Operator()
    answer = operator.call("limit", "cn", "--timetable", "19:00 off, 08:00 20M", "--zone", "Asia/Shanghai", "--yes")
    assert answer.code == 0, answer.err
    assert "08:00 20 MB/s, 19:00 off (Asia/Shanghai)" in answer.out
    given = orders(operator, CN).timetable
    assert given is not None
    assert [(c.minute, c.bytes_per_second) for c in given.changes] == [(480, 20_000_000), (1140, 0)]
    asyncio.run(operator.heartbeat())
    assert "by time: 08:00 20 MB/s, 19:00 off" in " ".join(operator.call("status").out.split())
    operator.call("pause", "cn", "--yes")
    assert orders(operator, CN).timetable == given, "a pause keeps the timetable"
    operator.call("limit", "cn", "--bytes", "0", "--yes")
    assert orders(operator, CN).timetable is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--timetable", "8 o'clock"), "use a time and a limit"),
        (("--timetable", "08:00 20M, 08:00 1M"), "given twice"),
        (("--timetable", "08:00 fast"), "--timetable 'fast'"),
        (("--timetable", "08:00 1M", "--zone", "Mars/X"), "is not a time zone"),
        (("--timetable", "08:00 1M", "--bytes", "1M"), "not both"),
    ],
)
def test_malformed_timetable_is_refused(arguments: tuple[str, ...], words: str) -> None:
    answer = Operator().call("limit", "cn", *arguments, "--yes")
    assert answer.code == 2
    assert words in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--bytes", "9" * 5000),
        ("--bytes", "9" * 400),
        ("--bytes", "1000001G"),
        ("--timetable", f"08:00 {'9' * 40}"),
        ("--requests", "9" * 20),
    ],
    ids=lambda arguments: arguments[0],
)
def test_limit_that_is_a_slip_of_the_hand_is_refused(arguments: tuple[str, ...]) -> None:
    operator = Operator()
    answer = operator.call("limit", "cn", *arguments, "--yes")
    assert answer.code == 2
    assert len(answer.err) < 1000
    assert operator.call("audit").out == "nothing yet\n"
    assert operator.call("limit", "cn", "--bytes", "1000000G", "--yes").code == 0


def test_second_pause_keeps_the_first_reason_if_it_gives_none() -> None:
    operator = Operator()
    operator.call("pause", "cn", "--reason", "weekend", "--yes")
    operator.call("pause", "cn", "--yes")
    assert (orders(operator, CN).paused, orders(operator, CN).reason) == (True, "weekend")
    operator.call("pause", "cn", "--reason", "moving", "--yes")
    assert orders(operator, CN).reason == "moving"
    assert operator.call("resume", "cn").code == 0
    assert operator.call("pause", "cn", "--yes").code == 0
    assert (orders(operator, CN).paused, orders(operator, CN).reason) == (True, "")
