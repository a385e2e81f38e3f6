"""Test limits by the time of day: which one applies, how the ledger stores them, and what version 0.1 reads of them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from dualsync.runtime.model.records import CONTROL, Record
from dualsync.runtime.service.limit_timetable import MAX_ENTRIES, LimitChange, Timetable, find_time_zone, parse_minute
from dualsync.runtime.service.operator_controls import DirectionControls
from dualsync.runtime.transfer.throttle import Throttle
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.ledger import FakeLedger
from tests.unit.runtime.service.test_operator_controls import Lines, controls

OFFICE = Timetable((LimitChange(8 * 60, 20_000_000), LimitChange(19 * 60, 0)))


def at(text: str) -> float:
    return datetime.fromisoformat(f"2026-11-28T{text}").replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("time", "limit"),
    [("00:00", 0), ("07:59:59", 0), ("08:00", 20_000_000), ("18:59:59", 20_000_000), ("19:00", 0), ("23:59", 0)],
)
def test_limit_is_that_of_the_last_change(time: str, limit: int) -> None:
    assert OFFICE.limit_at(at(time)) == limit


def test_last_change_of_the_day_before_applies_before_the_first_one() -> None:
    night = Timetable((LimitChange(60, 5), LimitChange(23 * 60, 7)))
    assert [night.limit_at(at(time)) for time in ("00:30", "01:00", "23:00")] == [7, 5, 7]


def test_limit_follows_the_time_zone_and_its_summer_time() -> None:
    shanghai = Timetable(OFFICE.changes, "Asia/Shanghai")
    assert [shanghai.limit_at(at(time)) for time in ("00:00", "10:59", "11:00")] == [20_000_000, 20_000_000, 0]
    berlin = Timetable(OFFICE.changes, "Europe/Berlin")
    winter, summer = (datetime(2026, month, 1, 6, 30, tzinfo=UTC).timestamp() for month in (1, 7))
    assert (berlin.limit_at(winter), berlin.limit_at(summer)) == (0, 20_000_000)


def test_unknown_time_zone_counts_as_utc() -> None:
    assert find_time_zone("Mars/Olympus") is None
    assert Timetable(OFFICE.changes, "Mars/Olympus").limit_at(at("12:00")) == 20_000_000


def test_timetable_is_stored_in_a_member_of_its_own() -> None:
    orders = DirectionControls(requests_per_second=3, timetable=OFFICE)
    record = orders.record(int(at("09:00")))
    assert DirectionControls.from_record(record).timetable == OFFICE
    # Version 0.1 reads the members that it knows: the limit that held when it was given.
    assert record.data["bytes_per_second"] == 20_000_000
    assert set(record.data) - set(DirectionControls().record(1).data) == {"timetable"}


@pytest.mark.parametrize(
    "data",
    [
        None,
        "08:00",
        {},
        {"format": 2, "zone": "UTC", "changes": [[0, 1]]},
        {"format": 1, "zone": "UTC", "changes": []},
        {"format": 1, "zone": 3, "changes": [[0, 1]]},
        {"format": 1, "zone": "UTC", "changes": [[0]]},
        {"format": 1, "zone": "UTC", "changes": [[0, -1]]},
        {"format": 1, "zone": "UTC", "changes": [[1440, 1]]},
        {"format": 1, "zone": "UTC", "changes": [[60, 1], [30, 1]]},
        {"format": 1, "zone": "UTC", "changes": [[0, True]]},
        {"format": 1, "zone": "UTC", "changes": [[0, 10**400]]},
        {"format": 1, "zone": "UTC", "changes": [[n, 1] for n in range(MAX_ENTRIES + 1)]},
    ],
)
def test_malformed_or_newer_timetable_is_ignored(data: Any) -> None:
    record = Record(CONTROL, "orders", 1, data={"bytes_per_second": 9, "timetable": data})
    assert DirectionControls.from_record(record) == DirectionControls(bytes_per_second=9)


@pytest.mark.parametrize(("text", "minute"), [("08:05", 485), ("8:05", 485), ("24:00", None), ("8", None)])
def test_times_are_parsed_to_minutes(text: str, minute: int | None) -> None:
    assert parse_minute(text) == minute


def test_worker_applies_the_changes_of_the_day() -> None:
    ledger, time, log = FakeLedger(), Time(), Lines()
    throttle = Throttle(FakeClock(time))

    async def story() -> None:
        await ledger.record(DirectionControls(timetable=OFFICE).record(1))
        controlled = controls(ledger, time, log, throttle)
        for hour in ("07:59", "08:00", "12:00", "19:00"):
            time.now = at(hour)
            await controlled.poll()

    asyncio.run(story())
    logged = [line["bytes_per_second"] for line in log.lines if line["event"] == "controls"]
    assert logged == [0, 20_000_000, 0]
