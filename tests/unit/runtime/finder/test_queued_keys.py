"""Test queued keys: a run queues no key again that an earlier run queued, and lost messages are found again."""

from __future__ import annotations

import pytest

from dualsync.runtime.errors import AccessDeniedError, PermanentError
from dualsync.runtime.finder import queued_keys
from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.queued_keys import (
    DAY_SECONDS,
    MAX_REPEATED_DAILY,
    RETENTION_SECONDS,
    WEEK_SECONDS,
    are_lost,
)
from dualsync.runtime.finder.report import Report
from dualsync.runtime.model.records import CONTROL, CONTROLS_ID, FINDER_QUEUED, LAST_ID, Record
from dualsync.runtime.ports import QueueDepth
from tests.support.builders import USER
from tests.support.fakes.gate import run
from tests.support.fakes.notification import body
from tests.support.finder_harness import FinderHarness

HOUR = 3600


def find(world: FinderHarness, *, after: float = HOUR) -> Report:
    """Run the finder and leave the queue's messages in place."""
    world.time.now += after
    return run(world.finder().run())


def work(world: FinderHarness, most: int = 10**9) -> int:
    """Process up to `most` visible messages."""
    done = 0
    while done < most:
        messages = world.broker.receive(min(10, most - done))
        if not messages:
            break
        for message in messages:
            run(world.worker.process(message))
        done += len(messages)
    return done


def names(count: int) -> list[str]:
    return [f"k{i:05d}" for i in range(count)]


@pytest.fixture(params=["all recorded", "times only"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record all differences as digests, or more than fit, so that only their times are kept."""
    if request.param == "times only":
        monkeypatch.setattr(queued_keys, "MAX_DIGESTS", 15)
        monkeypatch.setattr(queued_keys, "MAX_DELETION_DIGESTS", 5)
        monkeypatch.setattr(queued_keys, "MAX_WAITING", 5)


@pytest.mark.usefixtures("memory")
def test_standing_backlog_is_queued_once() -> None:
    world = FinderHarness()
    world.only_here(*names(1000))
    find(world, after=3 * HOUR)
    for _ in range(6):
        report = find(world)
        assert (report.queued, report.waiting) == (0, 1000)
    assert len(world.broker.letters) == 1000


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("count", "hours"), [(1200, 6), (2800, 56)], ids=["10 M objects at 500/s", "100 M objects at 500/s"]
)
def test_first_copy_sends_at_most_1_05_messages_per_object(
    count: int, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an hour, 500/s carry 1.8 M objects: 10 M take 6 hours and 100 M take 56, with a finder run in each.

    The number of objects is scaled, and with it what a run remembers (of 100 M it remembers 0.03 %, here 0.5 %) and
    how many differences may be queued again each day (1000 of 100 M).
    """
    monkeypatch.setattr(queued_keys, "MAX_REPEATED_DAILY", 1)
    world = FinderHarness()
    world.only_here(*names(count))
    runs = most = 0
    while len(world.there.rows("", "", 10**6)) < count:
        find(world)
        most = max(most, len(world.broker.letters))
        work(world, count // hours)
        runs += 1
    assert runs >= hours
    assert most <= count
    assert world.broker.sends <= 1.05 * count


def test_pause_over_a_weekend_leaves_one_message_per_changed_key() -> None:
    world = FinderHarness()
    keys = names(50)
    world.both(*keys)
    world.time.now += 3 * HOUR
    orders = Record(CONTROL, CONTROLS_ID, 1, data={"paused": True})
    world.ledger.table.records[CONTROL, CONTROLS_ID] = orders
    for hour in range(60):
        for key in keys[hour::60]:
            world.here.put(key, b"changed", USER)
            world.broker.send(body(world.events[-1]))
        find(world)
    assert len(world.broker.letters) == len(keys)
    del world.ledger.table.records[CONTROL, CONTROLS_ID]
    find(world)
    assert len(world.broker.letters) == len(keys), "the first run after the pause"
    work(world)
    assert world.outcomes()["copied"] == len(keys)
    assert find(world).found == {}


@pytest.mark.usefixtures("memory")
def test_denied_key_has_one_message_and_becomes_one_dead_letter() -> None:
    world = FinderHarness(deletion_limit=10)

    async def refuse(*_: object, **__: object) -> None:
        raise AccessDeniedError("s3 PutObject: AccessDenied (403)")

    world.remote.put = refuse  # type: ignore[method-assign, assignment]
    keys = names(30)
    world.only_here(*keys)
    world.time.now += 3 * HOUR
    most = 0
    for minute in range(2 * 24 * 60):
        if minute % 60 == 0:
            run(world.finder().run())
        work(world)
        world.time.now += 60
        most = max(most, len(world.broker.letters))
    assert most == len(keys)
    assert len(world.broker.dead) == len(keys)


def test_nothing_is_queued_while_the_direction_is_paused() -> None:
    world = FinderHarness()
    keys = names(50)
    for key in keys:
        world.broker.send(f"event of {key}")
    world.only_here(*keys)
    orders = Record(CONTROL, CONTROLS_ID, 1, data={"paused": True})
    world.ledger.table.records[CONTROL, CONTROLS_ID] = orders
    for _ in range(60):
        assert find(world).queued == 0
    assert len(world.broker.letters) == len(keys)
    del world.ledger.table.records[CONTROL, CONTROLS_ID]
    world.broker.letters.clear()  # as if their events had been lost
    assert find(world).queued == len(keys)


@pytest.mark.usefixtures("memory")
def test_differences_found_during_a_pause_are_queued_at_its_end() -> None:
    world = FinderHarness()
    orders = Record(CONTROL, CONTROLS_ID, 1, data={"paused": True})
    world.ledger.table.records[CONTROL, CONTROLS_ID] = orders
    world.only_here(*names(20))
    for _ in range(3):
        assert find(world, after=3 * HOUR).queued == 0
    del world.ledger.table.records[CONTROL, CONTROLS_ID]
    assert find(world).queued == 20


def test_event_lost_during_a_pause_is_found_after_it() -> None:
    world = FinderHarness()
    orders = Record(CONTROL, CONTROLS_ID, 1, data={"paused": True})
    world.ledger.table.records[CONTROL, CONTROLS_ID] = orders
    for key in names(20):
        world.here.put(key, b"x", USER)
        world.broker.send(body(world.events[-1]))
    find(world, after=3 * HOUR)
    world.broker.letters.popitem()
    del world.ledger.table.records[CONTROL, CONTROLS_ID]
    work(world)
    assert find(world).queued == 1


def test_lost_messages_are_queued_again() -> None:
    world = FinderHarness()
    world.only_here(*names(40))
    find(world, after=3 * HOUR)
    world.broker.letters.clear()
    queued = find(world).queued + find(world).queued
    assert 40 <= queued <= 45
    assert {request.key for request in world.queued()} == set(names(40))


@pytest.mark.usefixtures("memory")
def test_new_changes_are_queued_despite_a_standing_backlog() -> None:
    world = FinderHarness()
    keys = names(40)
    world.only_here(*keys)
    world.both("agreed", "gone")
    find(world, after=3 * HOUR)
    world.time.now += 60
    world.here.put(keys[3], b"another content", USER)
    world.here.put("agreed", b"another content", USER)
    world.here.delete("gone", USER)
    before = set(world.broker.letters)
    assert find(world).queued == 3
    new = [world.broker.letters[n].body for n in set(world.broker.letters) - before]
    assert sorted(key for key in (keys[3], "agreed", "gone") if any(f'"{key}"' in body for body in new)) == [
        "agreed",
        "gone",
        keys[3],
    ]
    assert find(world).queued == 0


def test_deletion_is_queued_once_and_again_after_an_approval() -> None:
    world = FinderHarness()
    world.both(*names(5))
    world.here.delete(names(5)[0], USER)
    assert find(world, after=3 * HOUR).queued == 1
    assert find(world).queued == 0
    world.approve(1)
    assert find(world).queued == 1


def test_queued_keys_are_forgotten_under_other_settings() -> None:
    world = FinderHarness()
    world.only_here(*names(3))
    find(world, after=3 * HOUR)
    record = world.ledger.table.records[FINDER_QUEUED, LAST_ID]
    world.ledger.table.records[FINDER_QUEUED, LAST_ID] = Record(
        record.kind, record.id, record.time, data={**record.data, "of": "other"}
    )
    assert find(world).queued == 3


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"format": 2},
        {"since": "x"},
        {"since": float("nan")},
        {"digests": "no base64!"},
        {"digests": 7},
        {"repeated": None},
    ],
)
def test_malformed_record_is_ignored(data: dict[str, object]) -> None:
    world = FinderHarness()
    world.only_here(*names(3))
    find(world, after=3 * HOUR)
    record = world.ledger.table.records[FINDER_QUEUED, LAST_ID]
    changed = {**record.data, **data} if data else {}
    world.ledger.table.records[FINDER_QUEUED, LAST_ID] = Record(record.kind, record.id, record.time, data=changed)
    world.broker.letters.clear()
    assert find(world).queued == 3


def test_record_is_bounded_and_fits_into_one_item(monkeypatch: pytest.MonkeyPatch) -> None:
    queued = queued_keys.QueuedKeys("of", 0.0)
    for number in range(queued_keys.MAX_DIGESTS + 500):
        queued.is_queued(number.to_bytes(queued_keys.DIGEST_BYTES), 0.0)
        queued.keep_waiting(str(number), Difference.NEW_HERE)
    assert not queued.complete
    assert len(str(queued.record(1.0, 0.0, repeat=False).data)) < 300_000
    assert len(queued.waiting) == queued_keys.MAX_WAITING


@pytest.mark.parametrize(
    ("waiting", "depth", "seconds", "lost"),
    [
        (0, QueueDepth(0, 0), RETENTION_SECONDS, False),
        (5, QueueDepth(0, 0), 0, True),
        (5, QueueDepth(5, 0), 0, False),
        (5, QueueDepth(0, 5), 0, False),
        (5, QueueDepth(300, 0), HOUR, False),
        (5, QueueDepth(300, 0), DAY_SECONDS, True),
        (100, QueueDepth(0, 100), DAY_SECONDS, False),
        (100, QueueDepth(0, 100), WEEK_SECONDS, True),
        (8_000_000, QueueDepth(7_990_000, 0), DAY_SECONDS, False),
        (8_000_000, QueueDepth(7_990_000, 0), WEEK_SECONDS, False),
        (8_000_000, QueueDepth(7_990_000, 0), RETENTION_SECONDS, True),
        (8_000_000, QueueDepth(300_000, 0), HOUR, True),
        (MAX_REPEATED_DAILY + 1, QueueDepth(MAX_REPEATED_DAILY, 0), WEEK_SECONDS, False),
        (5, None, HOUR, False),
        (5, None, DAY_SECONDS, True),
    ],
)
def test_messages_count_as_lost_by_depth_and_age(
    waiting: int, depth: QueueDepth | None, seconds: float, lost: bool
) -> None:
    assert are_lost(waiting, depth, seconds) is lost


def test_message_that_the_queue_refuses_does_not_stop_the_run() -> None:
    world = FinderHarness()
    world.only_here(*names(150))
    queue = world.context.queue
    send = queue.send

    async def picky(bodies: list[str], delay_seconds: int = 0) -> None:
        if any("k00007" in body for body in bodies):
            raise PermanentError("InvalidMessageContents", "one of them")
        await send(bodies, delay_seconds)

    queue.send = picky  # type: ignore[method-assign, assignment]
    report = find(world, after=3 * HOUR)
    assert (report.queued, report.failed) == (149, 1)
    assert "InvalidMessageContents" in str(world.log.of("finder-key"))


def test_undecodable_entry_fails_only_its_own_key() -> None:
    world = FinderHarness()
    world.only_here(*names(3))
    world.both("damaged")
    get, get_many = world.ledger.get, world.ledger.get_many

    async def one(key: str) -> object:
        if key == "damaged":
            raise ValueError("attribute 'Local' is 7, not a text")
        return await get(key)

    async def many(keys: list[str]) -> object:
        for key in keys:
            await one(key)
        return await get_many(keys)

    world.ledger.get, world.ledger.get_many = one, many  # type: ignore[method-assign, assignment]
    world.here.put("damaged", b"new", USER)
    report = find(world, after=3 * HOUR)
    assert (report.queued, report.failed) == (4, 1)
    assert {request.key: request.may_delete for request in world.queued()}["damaged"] is False
