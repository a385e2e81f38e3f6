"""A bucket that sends no events any more is noticed by the first run that finds a fresh change."""

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
    """A side whose finder has run once, a moment ago."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.both("old")
        self.find()
        self.began = int(self.time.now)

    def change(self, key: str = "k", content: bytes = b"x") -> int:
        """A user writes half an hour after the last run; return when."""
        self.time.now += HOUR // 2
        self.here.put(key, content, USER)
        return int(self.time.now)

    def look(self, **worker: Any) -> dict[str, object]:
        """The next run, with what a worker has recorded; return what the run's record keeps."""
        self.time.now += HOUR // 2
        self.beat(**worker)
        run(self.finder().run())
        record = self.ledger.table.records[FINDER_RUN, LAST_ID]
        return {name: record.data[name] for name in (SINCE, COUNT) if name in record.data}

    @property
    def lines(self) -> list[object]:
        return [fields["state"] for fields in self.log.of("finder") if fields["state"] == "no-events"]


def test_a_change_without_an_event_is_noticed() -> None:
    side = Watched()
    when = side.change()
    assert side.look(event=side.began - 60) == {SINCE: when, COUNT: 1}
    assert side.lines == ["no-events"]


def test_a_changed_object_without_an_event_is_noticed() -> None:
    side = Watched()
    when = side.change("old", b"new")
    assert side.look(event=0) == {SINCE: when, COUNT: 1}


def test_several_are_counted_from_the_oldest_on() -> None:
    side = Watched()
    when = side.change("a")
    side.change("b")
    assert side.look(event=0) == {SINCE: when, COUNT: 2}
    assert len(side.lines) == 1


def test_it_lasts_until_an_event_has_come() -> None:
    side = Watched()
    when = side.change()
    side.look(event=0)
    assert side.look(event=0) == {SINCE: when}, "nothing fresh was found, and nothing has come"
    assert len(side.lines) == 1
    later = side.change("b")
    assert side.look(event=0, started=side.began + HOUR) == {SINCE: when, COUNT: 1}, (
        "another worker has begun meanwhile"
    )
    assert side.look(event=later + 1) == {}


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
    ids=["a later event has come", "version 0.1", "paused", "not receiving", "stopped", "started later"],
)
def test_what_explains_the_silence_or_proves_nothing(worker: dict[str, Any]) -> None:
    side = Watched()
    side.change()
    assert side.look(**worker) == {}
    assert side.lines == []


def test_a_dead_workers_record_proves_nothing() -> None:
    side = Watched()
    side.beat(event=0)
    side.change()
    side.time.now += HOUR // 2
    run(side.finder().run())
    assert side.lines == []


def test_what_was_there_before_the_last_run_is_not_fresh() -> None:
    side = Watched()
    side.here.put("k", b"x", USER)
    side.time.now += 2 * HOUR
    side.ledger.table.records[FINDER_RUN, LAST_ID] = Record(FINDER_RUN, LAST_ID, int(side.time.now))
    assert side.look(event=0) == {}


def test_an_event_may_still_be_on_its_way() -> None:
    side = Watched(finder_grace_seconds=0)
    side.time.now += HOUR
    side.here.put("k", b"x", USER)
    side.time.now += 200
    side.beat(event=0)
    run(side.finder().run())
    assert side.lines == []


def test_the_first_run_and_a_bucket_without_events_prove_nothing() -> None:
    first = FinderHarness()
    first.only_here("k")
    first.time.now += HOUR
    first.beat(event=0)
    run(first.finder().run())
    assert first.log.of("finder")[-1]["state"] == "finished"
    assert not [f for f in first.log.of("finder") if f["state"] == "no-events"]
    side = Watched(events=Events.NO)
    side.change()
    assert side.look(event=0) == {}


def test_a_change_of_the_peer_is_the_peers_finders_to_notice() -> None:
    side = Watched()
    side.time.now += HOUR // 2
    side.there.put("k", b"x", USER)
    assert side.look(event=0) == {}


def test_a_plan_logs_and_records_nothing() -> None:
    side = Watched()
    side.change()
    side.time.now += HOUR // 2
    side.beat(event=0)
    finder = side.finder()
    finder._preview = True
    run(finder.run())
    assert side.lines == []


def test_an_event_may_wait_behind_a_backlog() -> None:
    side = Watched()
    side.change()
    for number in range(BACKLOG_MESSAGES):
        side.broker.send(f"request {number} of a first copy")
    assert side.look(event=0) == {}
    assert side.lines == []
    for number in list(side.broker.letters)[1:]:
        del side.broker.letters[number]
    when = side.change("b")
    assert side.look(event=0)[SINCE] in (when, when - HOUR)
    assert side.lines == ["no-events"]
