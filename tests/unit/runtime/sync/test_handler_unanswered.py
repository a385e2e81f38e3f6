"""Test keys that never get an answer, refusals of all keys, and a program fault with one key of a message."""

from __future__ import annotations

from typing import Any

import pytest

from dualsync.runtime.errors import ServiceBlockedError, UnavailableError
from dualsync.runtime.sync.service_health import REFUSED_KEYS
from tests.support.builders import Journal, Side, settings
from tests.support.fakes.gate import run
from tests.support.fakes.notification import body
from tests.support.fakes.store import Store


def side(journal: Journal, **changes: Any) -> Side:
    return Side(settings(**changes), gate=journal.gate)


def held(store: Store, key: str = "k") -> bytes | None:
    version = store.current(key)
    return None if version is None else version.body


def process_for(world: Side, seconds: float) -> None:
    """Handle everything that becomes visible within `seconds`."""
    end = world.time.now + seconds
    while world.broker.letters:
        letter = min(world.broker.letters.values(), key=lambda each: each.visible)
        world.time.now = max(world.time.now, letter.visible)
        if world.time.now > end:
            return
        message = world.broker.take(letter)
        assert message is not None
        run(world.worker.process(message))


def poisoned(key: str, *, settings_denied: int = 6 * 3600) -> Side:
    """Return a side whose reads of one key always end in 500, while all others are answered."""
    world = side(Journal(), denied_seconds=settings_denied)
    read = world.local.read

    async def fails(asked: str) -> object:
        if asked == key:
            raise UnavailableError("s3 GetObject: InternalError (500)")
        return await read(asked)

    world.local.read = fails  # type: ignore[method-assign, assignment]
    return world


def test_key_that_never_gets_an_answer_is_dead_lettered_once_while_others_succeed() -> None:
    world = poisoned("poison")
    event = world.put("poison", b"x")
    world.broker.send(body(event))
    process_for(world, 5 * 3600)
    assert world.broker.dead == []
    process_for(world, 3 * 3600)
    [(_, reason)] = world.broker.dead
    assert reason.startswith("unanswered: ")
    assert "InternalError" in reason
    assert not world.broker.letters
    assert world.outcomes()["buried"] == 1


def test_key_without_an_answer_is_retried_while_no_key_gets_an_answer() -> None:
    world = poisoned("k")
    event = world.put("k", b"x")

    async def unreachable(key: str, version_id: str = "", *, checksum: bool = False) -> None:
        raise UnavailableError("no route")

    head, world.remote.head = world.remote.head, unreachable  # type: ignore[method-assign]
    world.broker.send(body(event))
    process_for(world, 3 * 86400)
    assert world.broker.dead == []
    world.remote.head = head  # type: ignore[method-assign]
    process_for(world, 3600)
    assert len(world.broker.dead) == 1


def test_new_request_of_a_key_that_failed_long_ago_has_the_full_retry_period() -> None:
    """Another process may have received the answer to the earlier request."""
    world = poisoned("k")
    world.health.record_no_answer("500", "k", world.time.now - 7 * 86400)
    world.broker.send(body(world.put("k", b"x")))
    process_for(world, 3600)
    assert world.broker.dead == []


def test_no_key_is_dead_lettered_while_all_keys_are_refused() -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.put"] = journal.faults["remote.head"] = ServiceBlockedError("s3 PutObject: NoSuchBucket")
    for number in range(REFUSED_KEYS + 4):
        world.work(world.put(f"k{number}", b"x"))
    assert world.health.refuses_every_key
    process_for(world, 2 * 86400)
    assert world.broker.dead == []
    journal.faults.clear()
    process_for(world, 3600)
    assert len(world.there.rows()) == REFUSED_KEYS + 4
    assert not world.health.refuses_every_key


def test_single_refused_key_is_dead_lettered_as_denied() -> None:
    journal = Journal()
    world = side(journal)
    journal.faults["remote.put"] = journal.faults["remote.head"] = ServiceBlockedError("s3 PutObject: KMS.Disabled")
    world.work(world.put("k", b"x"))
    process_for(world, 86400)
    [(_, reason)] = world.broker.dead
    assert reason.startswith("denied: ")


def test_program_fault_with_one_key_leaves_the_message_and_processes_the_other_keys() -> None:
    world = side(Journal())
    read = world.local.read

    async def faulty(key: str) -> object:
        if key == "bad":
            raise ZeroDivisionError("a fault of the program")
        return await read(key)

    world.local.read = faulty  # type: ignore[method-assign, assignment]
    events = [world.put(key, b"x") for key in ("a", "bad", "b")]
    with pytest.raises(ZeroDivisionError):
        run(world.worker.process(world.message(body(*events))))
    assert held(world.there, "a") == held(world.there, "b") == b"x"
    assert len(world.broker.letters) == 1
