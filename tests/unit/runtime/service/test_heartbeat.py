"""Test the heartbeat record: it repeats what the worker logged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dualsync.runtime.log import Outcome, State
from dualsync.runtime.model.records import HELD_DELETION, WORKER, WORKER_STALE_SECONDS, Record, is_alive
from dualsync.runtime.service import latency_histogram
from dualsync.runtime.service.heartbeat import LOG_INTERVAL_SECONDS, TICK_SECONDS, WINDOW_SECONDS, HeartbeatLog
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.ledger import FakeLedger
from tests.unit.runtime.service.test_operator_controls import Lines


def vitals(time: Time, log: Lines | None = None) -> HeartbeatLog:
    return HeartbeatLog(log or Lines(), FakeClock(time), "w1")


def data(vitals: HeartbeatLog) -> Any:
    return vitals.record(3).data


def test_lines_are_passed_to_the_log() -> None:
    log = Lines()
    vitals(Time(), log).line("INFO", "outcome", outcome=Outcome.COPIED, key="k")
    assert log.lines == [{"level": "INFO", "event": "outcome", "outcome": "copied", "key": "k"}]


def test_outcomes_are_counted() -> None:
    v = vitals(Time())
    v.line("INFO", "outcome", outcome=Outcome.COPIED, key="k", bytes=10, lag_seconds=1.0)
    v.line("INFO", "outcome", outcome=Outcome.COPIED, key="k", bytes=5, lag_seconds=8, conflict=True)
    v.line("INFO", "outcome", outcome=Outcome.DELETED, key="k", lag_seconds=2.0)
    v.line("WARNING", "outcome", outcome=Outcome.BURIED, key="bad", reason="archived: restore it first")
    found = data(v)
    assert found["total"] == {"copied": 2, "conflict": 1, "deleted": 1, "buried": 1}
    assert (found["bytes"], found["in_flight"]) == (15, 3)
    assert sum(found["put_lags"].values()) == 2
    assert sum(found["delete_lags"].values()) == 1
    assert [(p["key"], p["outcome"]) for p in found["problems"]] == [("k", "copied"), ("bad", "buried")]


def test_longest_denied_key_is_recorded_until_it_succeeds() -> None:
    v = vitals(Time())
    for key, seconds in (("a", 0.0), ("k", 930.4)):
        v.line("WARNING", "outcome", outcome=Outcome.POSTPONED, key=key, reason="AccessDenied", denied_seconds=seconds)
    assert {name: data(v)["denied"][name] for name in ("key", "seconds", "reason")} == {
        "key": "k",
        "seconds": 930,
        "reason": "AccessDenied",
    }
    v.line("INFO", "outcome", outcome=Outcome.COPIED, key="a")
    assert data(v)["denied"]["key"] == "k"
    v.line("INFO", "outcome", outcome=Outcome.COPIED, key="k")
    assert data(v)["denied"] == {}


def test_lags_cover_the_last_window() -> None:
    time = Time()
    v = vitals(time)
    v.line("INFO", "outcome", outcome=Outcome.COPIED, lag_seconds=1.0)
    time.now += WINDOW_SECONDS
    v.line("INFO", "outcome", outcome=Outcome.COPIED, lag_seconds=1.0)
    assert sum(data(v)["put_lags"].values()) == 2
    time.now += WINDOW_SECONDS
    assert sum(data(v)["put_lags"].values()) == 1
    time.now += 2 * WINDOW_SECONDS
    assert data(v)["put_lags"] == {}
    assert data(v)["total"] == {"copied": 2}


def test_state_is_that_of_the_last_logged_state() -> None:
    time = Time()
    v = vitals(time)
    assert data(v)["state"] == "STARTING"
    time.now += 5
    v.line("WARNING", "state", state=State.GUARD_REFUSED, reason="another user's key")
    time.now += 5
    found = data(v)
    assert (found["state"], found["reason"], found["state_since"]) == (
        "GUARD_REFUSED",
        "another user's key",
        time.now - 5,
    )


def test_record_size_is_bounded() -> None:
    v = vitals(Time())
    for number in range(2000):
        v.line("WARNING", "outcome", outcome=Outcome.BURIED, key="k" * 1024, reason="r" * 1000, lag_seconds=1.1**number)
    assert len(str(data(v))) < 8000


def test_worker_is_alive_until_it_stops_or_its_record_is_stale() -> None:
    time, ledger = Time(), FakeLedger()
    v = vitals(time)
    record = v.record(0)
    assert is_alive(record, time.now + WORKER_STALE_SECONDS)
    assert not is_alive(record, time.now + WORKER_STALE_SECONDS + 1)
    assert record.expires > record.time
    asyncio.run(v.write_last(ledger))
    assert not is_alive(ledger.table.records[WORKER, "w1"], time.now)


def test_state_is_logged_once_per_minute_with_the_held_deletions() -> None:
    """An alarm uses this line, however the finder was started that holds the deletions."""
    time, ledger, log = Time(), FakeLedger(), Lines()
    v = vitals(time, log)
    v.line("INFO", "state", state=State.RUNNING)

    async def story(beats: int) -> None:
        beating = v.beat(ledger, lambda: 0)
        clock = StoppingClock(time, beats)
        v._clock = clock
        with pytest.raises(Enough):
            await beating

    beats = int(LOG_INTERVAL_SECONDS / TICK_SECONDS) + 1
    asyncio.run(story(beats))
    ledger.table.records[HELD_DELETION, "held"] = Record(HELD_DELETION, "held", int(time.now), data={"count": 12})
    asyncio.run(story(beats))
    assert [(line["state"], line.get("held")) for line in log.lines] == [
        ("RUNNING", None),
        ("RUNNING", None),
        ("RUNNING", 12),
    ]


def test_step_of_the_wall_clock_stops_no_heartbeat() -> None:
    """A worker without heartbeats counts as gone, and the others take its share of the limits."""
    time, ledger, log = Time(), FakeLedger(), Lines()
    v = vitals(time, log)
    v.line("INFO", "state", state=State.RUNNING)
    written: list[int] = []

    async def write(*_: object) -> None:
        written.append(int(time.now))

    async def story() -> None:
        v.write = write  # type: ignore[assignment, method-assign]
        v._clock = StoppingClock(time, int(2 * LOG_INTERVAL_SECONDS / TICK_SECONDS), step=-3600.0)
        with pytest.raises(Enough):
            await v.beat(ledger, lambda: 0)

    asyncio.run(story())
    assert [at - written[0] for at in written] == [0, 30, 60, 90, 120]
    assert [line["event"] for line in log.lines] == ["state"] * 3


def test_step_of_the_wall_clock_moves_no_window() -> None:
    time = Time()
    clock = FakeClock(time)
    v = HeartbeatLog(Lines(), clock, "w1")
    v.line("INFO", "outcome", outcome=Outcome.COPIED)
    clock.skew -= 3600
    time.now += WINDOW_SECONDS
    v.line("INFO", "outcome", outcome=Outcome.COPIED)
    assert (data(v)["window_seconds"], data(v)["window"]) == (int(WINDOW_SECONDS), {"copied": 2})
    time.now += 2 * WINDOW_SECONDS
    assert data(v)["window"] == {}


class Enough(Exception):
    """The test's number of sleeps is over."""


class StoppingClock(FakeClock):
    """A clock that raises `Enough` after this number of sleeps, and that jumps by `step` during the first."""

    def __init__(self, time: Time, sleeps: int, step: float = 0.0) -> None:
        super().__init__(time)
        self.left = sleeps
        self.step = step

    async def sleep(self, seconds: float) -> None:
        if not self.left:
            raise Enough
        self.left -= 1
        self.skew = self.step
        await super().sleep(seconds)


@pytest.mark.parametrize("seconds", [0.01, 0.06, 1, 30, 3600, 86400])
def test_percentile_of_one_lag_is_within_13_percent(seconds: float) -> None:
    classes = {latency_histogram.class_of(seconds): 1}
    assert latency_histogram.percentile(classes, 0.5) == pytest.approx(max(seconds, 0.05), rel=0.13)


def test_percentiles_of_merged_histograms() -> None:
    one = {latency_histogram.class_of(1): 98}
    other = {latency_histogram.class_of(100): 2}
    both = latency_histogram.merge((one, other))
    assert latency_histogram.percentile(both, 0.5) == pytest.approx(1, rel=0.13)
    assert latency_histogram.percentile(both, 0.99) == pytest.approx(100, rel=0.13)
    assert latency_histogram.percentile({}, 0.5) is None


def test_newest_event_time_is_recorded_and_limited_to_now() -> None:
    time = Time()
    v = vitals(time)
    assert data(v)["last_event"] == 0
    for happened in (time.now - 10, time.now - 30, time.now + 600):
        v.record_event(happened)
    assert data(v)["last_event"] == int(time.now)
