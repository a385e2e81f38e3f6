"""Test that the records which list what users name fit into an item, with the longest keys of the costliest letters."""

from __future__ import annotations

import pytest

from dualsync.runtime.aws.dynamodb.items import encode_record
from dualsync.runtime.finder.classify import Difference
from dualsync.runtime.finder.deletion_guard import SAMPLE, DeletionGuard
from dualsync.runtime.finder.key_ranges import POINTS, KeySampler, evenly_spaced_keys
from dualsync.runtime.finder.queued_keys import DIGEST_BYTES, MAX_DIGESTS, QueuedKeys
from dualsync.runtime.finder.range_progress import RangeProgress
from dualsync.runtime.finder.report import Report
from dualsync.runtime.log import Outcome, State
from dualsync.runtime.model.field_reader import MAX_KEY_BYTES
from dualsync.runtime.model.key_filter import KeyRange
from dualsync.runtime.model.records import FINDER_POINTS, HELD_DELETION, HELD_ID, LAST_ID, Record
from dualsync.runtime.service.heartbeat import PROBLEMS_KEPT, HeartbeatLog
from tests.support.builders import Lines, settings
from tests.support.fakes.clock import FakeClock, Time
from tests.support.fakes.gate import run
from tests.support.fakes.ledger import FakeLedger

ITEM_BYTES = 409_600
"""DynamoDB's largest item, with the names of its attributes ("Constraints in Amazon DynamoDB", Developer Guide)."""
LETTERS = {"control characters": "\x01", "emoji": "\U0001f600", "Chinese": "数", "ASCII": "k"}


def item_bytes(record: Record) -> int:
    return sum(len(name) + len(next(iter(value.values())).encode()) for name, value in encode_record(record).items())


@pytest.fixture(params=list(LETTERS.values()), ids=list(LETTERS))
def key(request: pytest.FixtureRequest) -> str:
    """The longest key of one letter, which JSON may write as up to 12 bytes."""
    letter = str(request.param)
    return letter * (MAX_KEY_BYTES // len(letter.encode()))


def test_held_deletions_fit(key: str) -> None:
    ledger, progress = FakeLedger(), RangeProgress(KeyRange())
    guard = DeletionGuard(settings(deletion_limit=0), None, [progress])
    for _ in range(2 * SAMPLE):
        guard.hold_back(progress, key, Difference.DELETED_THERE)
    report = Report(deletions=2 * SAMPLE)
    report.counters.here = report.counters.there = 1
    assert run(guard.decide(report, ledger, FakeClock(Time()))) == ()
    assert item_bytes(ledger.table.records[HELD_DELETION, HELD_ID]) < ITEM_BYTES


def test_points_of_the_ranges_fit(key: str) -> None:
    sampler = KeySampler()
    for _ in range(4 * POINTS):
        sampler.count_keys(1, key)
    points: list[object] = list(evenly_spaced_keys([sampler] * 4))
    assert len(points) > POINTS // 2
    assert item_bytes(Record(FINDER_POINTS, LAST_ID, 1, data={"points": points})) < ITEM_BYTES


def test_queued_keys_fit() -> None:
    queued = QueuedKeys("c" * 32, 1.0)
    queued.seen.update(number.to_bytes(DIGEST_BYTES, "big") for number in range(MAX_DIGESTS))
    assert item_bytes(queued.record(2.0, 60.0, repeat=True)) < ITEM_BYTES


def test_heartbeat_fits(key: str) -> None:
    log = HeartbeatLog(Lines(), FakeClock(Time()), "w" * 200)
    log.line("ERROR", "state", state=State.GUARD_REFUSED, reason=key)
    for _ in range(2 * PROBLEMS_KEPT):
        log.line("WARNING", "outcome", outcome=Outcome.BURIED, key=key, reason=key, denied_seconds=1.0)
    assert item_bytes(log.record(1)) < ITEM_BYTES
