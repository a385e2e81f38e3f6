"""Test that several programs can subscribe to one bucket at the same moment, in simulated time."""

from __future__ import annotations

import copy
import heapq
import threading
from random import Random
from typing import Any

import pytest

from dualsync.components.bucket_access import notifications
from dualsync.components.bucket_access.notifications import Subscription

OWNER = "1" * 12
RUNS = 60


class Turns:
    """Simulated time for threads. One thread runs at a time, in the order in which their pauses end."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._count = 0

    def enter(self, seconds: float) -> threading.Event:
        """Return the event that is set when this thread may run, `seconds` from now."""
        turn = threading.Event()
        self._count += 1
        heapq.heappush(self._waiting, (self.now + seconds, self._count, turn))
        return turn

    def pause(self, seconds: float) -> None:
        """Let the other threads run for this time."""
        turn = self.enter(seconds)
        self.end()
        turn.wait()

    def end(self) -> None:
        """Let the next thread run."""
        if self._waiting:
            self.now, _, turn = heapq.heappop(self._waiting)
            turn.set()


class Bucket:
    """A fake bucket's notification document. Each write replaces all of it, and each call takes time."""

    def __init__(self, turns: Turns, random: Random) -> None:
        self.document: dict[str, Any] = {}
        self._turns, self._random = turns, random

    def get_bucket_notification_configuration(self, **_: str) -> dict[str, Any]:
        self._turns.pause(self._random.uniform(0.02, 0.4))
        return copy.deepcopy(self.document)

    def put_bucket_notification_configuration(self, *, NotificationConfiguration: dict[str, Any], **_: str) -> None:
        self._turns.pause(self._random.uniform(0.02, 0.4))
        self.document = copy.deepcopy(NotificationConfiguration)


def subscribe(seed: int, programs: int, window: float) -> list[str]:
    """Start a number of programs within a window of seconds; return the ids that the bucket has in the end."""
    random, turns = Random(seed), Turns()
    bucket = Bucket(turns, random)
    failures: list[Exception] = []

    def run(subscription: Subscription, turn: threading.Event) -> None:
        turn.wait()
        try:
            notifications.put(bucket, subscription, turns.pause)
        except Exception as e:
            failures.append(e)
        turns.end()

    threads = []
    for number in range(programs):
        wanted = Subscription(
            bucket="b",
            owner=OWNER,
            id=f"pair{number}-cn-events",
            queue_arn=f"arn:aws-cn:sqs:cn-north-1:{OWNER}:q{number}",
            events=("s3:ObjectCreated:*",),
            prefix=f"{number} =&/",
        )
        threads.append(threading.Thread(target=run, args=(wanted, turns.enter(random.uniform(0, window))), daemon=True))
    for thread in threads:
        thread.start()
    turns.end()
    for thread in threads:
        thread.join(60)
    assert failures == []
    return sorted(entry["Id"] for entry in bucket.document["QueueConfigurations"])


@pytest.mark.parametrize("window", [0.3, 2.0, 5.0])
@pytest.mark.parametrize("programs", [2, 3, 6])
def test_entries_of_all_parallel_programs_stay(programs: int, window: float) -> None:
    expected = [f"pair{number}-cn-events" for number in range(programs)]
    assert [seed for seed in range(RUNS) if subscribe(seed, programs, window) != expected] == []


@pytest.mark.parametrize("programs", [2, 3])
def test_entries_are_lost_without_the_second_read(programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show that the simulation finds the loss."""
    monkeypatch.setattr(notifications, "_settled", lambda *_: True)
    assert any(len(subscribe(seed, programs, 0.3)) < programs for seed in range(RUNS))
