"""Test keys of any characters, also those that SQS messages cannot hold raw, from finding to deletion."""

from __future__ import annotations

from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.sync.decision import WAIT_ATTEMPTS_IN_A_TIE
from tests.contract.test_bucket import ODD_KEYS
from tests.support.builders import USER
from tests.support.fakes.gate import run
from tests.support.finder_harness import OLD, FinderHarness

KEYS = [
    *ODD_KEYS,
    *(
        "u\ufffe-end",
        "u\uffff-end",
        "\ufeffbom",
        "a\u2028b",
        "x/../y",
        "//x",
        "ff\u0308",
        "f\u00fc",
        "]]>",
        "<Key>k</Key>",
    ),
    *("a+b", "a%2Bb", "a%00", "${aws:username}", "*", "?", "\x1e", "dt=2026-11-28/a b&c@d:e", "k" * 1024, "\U0001f600"),
]


def work(world: FinderHarness) -> None:
    while messages := world.broker.receive(10):
        for message in messages:
            run(world.worker.process(message))


def test_finder_copies_and_deletes_keys_of_any_characters() -> None:
    world = FinderHarness(deletion_limit_percent=100)
    world.both("~beside")  # an empty side would hold all deletions
    world.only_here(*KEYS)
    assert world.find().queued == len(set(KEYS))
    work(world)
    assert {row.key for row in world.there.rows()} == {*KEYS, "~beside"}
    assert not world.broker.dead
    for key in set(KEYS):
        world.there.delete(key, USER)
    world.time.now += OLD
    run(world.finder().run())
    work(world)
    assert [row.key for row in world.here.rows()] == ["~beside"]
    assert not world.broker.dead


def test_waiting_check_is_sent_again_for_keys_of_any_characters() -> None:
    world = FinderHarness()
    for key in KEYS:
        world.here.put(key, b"here", USER)
        world.there.put(key, b"there, and longer", USER)
    world.time.now += OLD
    for key in set(KEYS):
        run(world.worker.process(world.signed(SyncRequest(key, Cause.FINDER, full_check=True))))
    assert world.outcomes() == {"postponed": len(set(KEYS))}
    for _ in range(WAIT_ATTEMPTS_IN_A_TIE):
        world.time.now += 900
        work(world)
    assert world.outcomes()["copied"] == len(set(KEYS))
    assert not world.broker.dead
