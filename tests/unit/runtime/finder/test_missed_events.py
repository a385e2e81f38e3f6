"""Test missed events: the first run that finds a fresh change reports a bucket that no longer sends events."""

from __future__ import annotations

from typing import Any

import pytest

from dualsync.runtime.finder.missed_events import BACKLOG_MESSAGES, COUNT, SINCE
from dualsync.runtime.model.records import FINDER_RUN, LAST_ID, Record
from dualsync.runtime.settings import Events
from tests.support.builders import USER
from tests.support.fakes.gate import run
from tests.support.finder_harness import FinderHarness

HOUR = 3600


class Watched(FinderHarness):
    """A side whose finder has just run once."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.both("old")
        self.find()
        self.began = int(self.time.now)

    def change(self, key: str = "k", content: bytes = b"x") -> int:
        """Write a key half an hour after the last run, and return the time."""
        self.time.now += HOUR // 2
        self.here.put(key, content, USER)
        return int(self.time.now)

    def run_next(self, **worker: Any) -> dict[str, object]:
        """Run the finder with this heartbeat of a worker, and return what the run's record holds on missed events."""
        self.time.now += HOUR // 2
        self.write_heartbeat(**worker)
        run(self.finder().run())
        record = self.ledger.table.records[FINDER_RUN, LAST_ID]
        return {name: record.data[name] for name in (SINCE, COUNT) if name in record.data}

    @property
    def lines(self) -> list[object]:
        return [fields["state"] for fields in self.log.of("finder") if fields["state"] == "no-events"]


def test_new_object_without_an_event_is_reported() -> None:
    side = Watched()
    when = side.change()
    assert side.run_next(event=side.began - 60) == {SINCE: when, COUNT: 1}
    assert side.lines == ["no-events"]


def test_changed_object_without_an_event_is_reported() -> None:
    side = Watched()
    when = side.change("old", b"new")
    assert side.run_next(event=0) == {SINCE: when, COUNT: 1}


def test_several_missed_events_are_counted_with_the_oldest_time() -> None:
    side = Watched()
    when = side.change("a")
    side.change("b")
    assert side.run_next(event=0) == {SINCE: when, COUNT: 2}
    assert len(side.lines) == 1


def test_report_lasts_until_an_event_arrives() -> None:
    side = Watched()
    when = side.change()
    side.run_next(event=0)
    assert side.run_next(event=0) == {SINCE: when}, "no fresh change was found, and no event has arrived"
    assert len(side.lines) == 1
    later = side.change("b")
    assert side.run_next(event=0, started=side.began + HOUR) == {SINCE: when, COUNT: 1}, (
        "another worker has started since"
    )
    assert side.run_next(event=later + 1) == {}


@pytest.mark.parametrize(
    "worker",
    [
        {"event": 10**10},
        {"event": None},
        {"event": 0, "state": "PAUSED"},
        {"event": 0, "state": "CIRCUIT_OPEN"},
        {"event": 0, "state": "STOPPED"},
        {"event": 0, "started": 10**10},
    ],
    ids=["a later event has arrived", "version 0.1", "paused", "not receiving", "stopped", "started later"],
)
def test_nothing_is_reported_if_the_worker_explains_the_missing_event(worker: dict[str, Any]) -> None:
    side = Watched()
    side.change()
    assert side.run_next(**worker) == {}
    assert side.lines == []


def test_nothing_is_reported_from_a_stale_worker_record() -> None:
    side = Watched()
    side.write_heartbeat(event=0)
    side.change()
    side.time.now += HOUR // 2
    run(side.finder().run())
    assert side.lines == []


def test_change_before_the_last_run_is_not_reported() -> None:
    side = Watched()
    side.here.put("k", b"x", USER)
    side.time.now += 2 * HOUR
    side.ledger.table.records[FINDER_RUN, LAST_ID] = Record(FINDER_RUN, LAST_ID, int(side.time.now))
    assert side.run_next(event=0) == {}


def test_recent_change_is_not_reported() -> None:
    side = Watched(finder_grace_seconds=0)
    side.time.now += HOUR
    side.here.put("k", b"x", USER)
    side.time.now += 200
    side.write_heartbeat(event=0)
    run(side.finder().run())
    assert side.lines == []


def test_first_run_and_disabled_events_report_nothing() -> None:
    first = FinderHarness()
    first.only_here("k")
    first.time.now += HOUR
    first.write_heartbeat(event=0)
    run(first.finder().run())
    assert first.log.of("finder")[-1]["state"] == "finished"
    assert not [f for f in first.log.of("finder") if f["state"] == "no-events"]
    side = Watched(events=Events.NO)
    side.change()
    assert side.run_next(event=0) == {}


def test_change_at_the_peer_is_not_reported_here() -> None:
    side = Watched()
    side.time.now += HOUR // 2
    side.there.put("k", b"x", USER)
    assert side.run_next(event=0) == {}


def test_preview_run_reports_no_missed_events() -> None:
    side = Watched()
    side.change()
    side.time.now += HOUR // 2
    side.write_heartbeat(event=0)
    finder = side.finder()
    finder._preview = True
    run(finder.run())
    assert side.lines == []


def test_nothing_is_reported_while_the_queue_has_a_backlog() -> None:
    side = Watched()
    side.change()
    for number in range(BACKLOG_MESSAGES):
        side.broker.send(f"request {number} of a first copy")
    assert side.run_next(event=0) == {}
    assert side.lines == []
    for number in list(side.broker.letters)[1:]:
        del side.broker.letters[number]
    when = side.change("b")
    assert side.run_next(event=0)[SINCE] in (when, when - HOUR)
    assert side.lines == ["no-events"]
