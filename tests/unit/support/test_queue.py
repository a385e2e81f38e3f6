"""Test that the fake queue behaves as SQS documents standard queues."""

from __future__ import annotations

import pytest

from dualsync.runtime.errors import PermanentError
from tests.support.fakes.clock import Time
from tests.support.fakes.gate import run
from tests.support.fakes.queue import MAX_RECEIVES, RETENTION, VISIBILITY, Broker, FakeQueue


@pytest.fixture
def broker() -> Broker:
    return Broker(Time())


def test_a_received_message_is_hidden_and_delivered_again(broker: Broker) -> None:
    broker.send("x")
    (first,) = broker.receive(10)
    assert broker.receive(10) == []
    broker.time.now += VISIBILITY
    (second,) = broker.receive(10)
    assert (first.receives, second.receives) == (1, 2)
    assert first.handle != second.handle


def test_a_former_handle_can_neither_delete_nor_extend(broker: Broker) -> None:
    broker.send("x")
    (first,) = broker.receive(10)
    broker.time.now += VISIBILITY
    (second,) = broker.receive(10)
    broker.delete(first.handle)
    broker.extend(first.handle, 0)
    assert broker.receive(10) == []
    broker.delete(second.handle)
    broker.time.now += VISIBILITY
    assert broker.receive(10) == []


def test_a_message_received_too_often_becomes_a_dead_letter(broker: Broker) -> None:
    broker.send("x")
    for _ in range(MAX_RECEIVES):
        assert broker.receive(1)
        broker.time.now += VISIBILITY
    assert broker.receive(1) == []
    assert [text for text, _ in broker.dead] == ["x"]


def test_delayed_messages_wait(broker: Broker) -> None:
    queue = FakeQueue(broker)
    run(queue.send(["x"], 900))
    assert run(queue.receive(10, 20)) == []
    broker.time.now += 900
    assert len(run(queue.receive(10, 20))) == 1
    with pytest.raises(ValueError, match="900"):
        run(queue.send(["x"], 901))


def test_messages_are_deleted_after_the_retention(broker: Broker) -> None:
    broker.send("x")
    broker.time.now += RETENTION + 1
    assert broker.receive(10) == []


def test_extending_hides_for_longer_from_now(broker: Broker) -> None:
    broker.send("x")
    (message,) = broker.receive(10)
    broker.time.now += VISIBILITY - 1
    broker.extend(message.handle, VISIBILITY)
    broker.time.now += 2
    assert broker.receive(10) == []


def test_messages_arrive_in_any_order(broker: Broker) -> None:
    for i in range(50):
        broker.send(str(i))
    received = [m.body for _ in range(5) for m in broker.receive(10)]
    assert sorted(received, key=int) == [str(i) for i in range(50)]
    assert received != sorted(received, key=int)


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_a_body_with_an_invalid_character_is_refused(broker: Broker, character: str) -> None:
    with pytest.raises(PermanentError, match="InvalidMessageContents"):
        run(FakeQueue(broker).send(["good", f"a{character}"]))
    assert [message.body for message in broker.receive(10)] == ["good"]


def test_every_other_character_is_allowed(broker: Broker) -> None:
    body = "\t\n\r ~\x7f\x85\ud7ff\ue000\ufffd\U00010000\U0010ffff"
    run(FakeQueue(broker).send([body]))
    assert [message.body for message in broker.receive(10)] == [body]


def test_an_expired_handle_can_not_extend(broker: Broker) -> None:
    broker.send("x")
    (message,) = broker.receive(10)
    broker.time.now += VISIBILITY
    broker.extend(message.handle, 60)
    assert len(broker.receive(10)) == 1
